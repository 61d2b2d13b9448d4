"""Without garbage collection while much is imported."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """For imports and loading: hundreds of thousands of objects are made that stay, and the
    collector would look through them again and again (a tenth of the time that torch takes, two
    fifths of numba's). What is there at the end counts as lasting and is not looked at any more
    (`gc.freeze`), so this is for what a process does once."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()
            gc.enable()
