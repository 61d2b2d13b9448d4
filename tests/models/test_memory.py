"""Freed memory goes back to the system though something above it is still in use."""

from __future__ import annotations

import ctypes
import platform

import psutil
import pytest

from models.memory import give_back_memory

SIZE, COUNT = 100_000, 1_000  # bytes and number of blocks, each too small to be mapped by itself


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc keeps what is freed")
def test_what_was_freed_below_something_in_use_goes_back() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    blocks = [library.malloc(SIZE) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, SIZE)
    above = library.malloc(SIZE)
    for block in blocks:
        library.free(block)
    held = psutil.Process().memory_info().rss
    give_back_memory()
    assert held - psutil.Process().memory_info().rss > SIZE * COUNT // 2
    library.free(above)
