"""What is deployed: one folder per function; they never import each other."""

from shared import collector

# Here, since a package is loaded before all that its modules import.
collector.wait()
