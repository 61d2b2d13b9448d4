"""Calls of pdfium that cost as little as they can."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any


def direct(function: Any, result: Any = ctypes.c_int) -> Callable[..., Any]:
    """A pdfium function that is called without letting go of the interpreter's lock and takes its
    arguments as they are: three times as quick for one that takes a fraction of a microsecond."""
    address: Any = ctypes.cast(function, ctypes.c_void_p).value
    return ctypes.PYFUNCTYPE(result)(address)
