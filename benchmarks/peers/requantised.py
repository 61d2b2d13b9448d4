"""The packaged weights in the other number formats of llama.cpp, by its own quantiser.

The packaged file is Q4_1, which llama.cpp has no fast layout for; a fair comparison gives it the
formats that it is good at as well.
"""

from __future__ import annotations

import ctypes
import logging
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import PeerFailed, PeerMissing

PACKAGED = "Q4_1"
FORMATS = {PACKAGED: 3, "Q4_0": 2, "Q8_0": 7, "BF16": 32}  # llama.h: LLAMA_FTYPE_MOSTLY_...


def llama_cpp() -> Any:
    """The package llama-cpp-python. Raises PeerMissing."""
    try:
        return import_module("llama_cpp")
    except (ImportError, OSError, RuntimeError) as exc:  # the latter: its shared library
        raise PeerMissing(
            f"llama-cpp-python cannot be used here ({exc}); build it with "
            "CMAKE_ARGS=-DGGML_NATIVE=ON pip install 'attest-rag[bench]'"
        ) from exc


def in_format(source: Path, wanted: str, folder: Path) -> Path:
    """`source` itself for the packaged format, else a file in `folder`, made once. Raises
    PeerMissing, PeerFailed."""
    if wanted == PACKAGED:
        return source
    target = folder / f"{source.stem.removesuffix(PACKAGED)}{wanted}.gguf"
    if not target.is_file():
        package = llama_cpp()
        parameters = package.llama_model_quantize_default_params()
        parameters.ftype = FORMATS[wanted]
        parameters.allow_requantize = True
        fresh = target.with_suffix(".part")
        logging.getLogger("llama-cpp-python").setLevel(logging.ERROR)  # a line for each tensor
        failed = package.llama_model_quantize(
            str(source).encode(), str(fresh).encode(), ctypes.byref(parameters)
        )
        if failed:
            raise PeerFailed(f"llama.cpp could not write {source} as {wanted} (code {failed})")
        fresh.rename(target)
    return target
