"""When Python looks for garbage: hardly while a function starts, since nothing of what it loads is any.

Those looks cost a cold start a tenth. With the first answer the usual pace comes back, and what was loaded is
not looked at again. https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import gc
from functools import cache

# Objects made and not yet freed; a start makes some 150,000.
WHILE_STARTING = 200_000


@cache
def _usual() -> tuple[int, int, int]:
    return gc.get_threshold()


def wait() -> None:
    """Look hardly ever, until `settle`."""
    _, *others = _usual()
    gc.set_threshold(WHILE_STARTING, *others)


@cache
def settle() -> None:
    """Look as usual from now on; done once."""
    gc.freeze()
    gc.set_threshold(*_usual())
