"""A faithful simulator of Meta's WhatsApp Cloud API: its own command, and usable inside tests.

See docs/simulator.md.
"""

from local.graph.app import SimulatorApp, create_simulator
from local.graph.clock import Clock
from local.graph.settings import Settings
from local.graph.simulator import Refused, Simulator

__all__ = ["Clock", "Refused", "Settings", "Simulator", "SimulatorApp", "create_simulator"]
