"""Which peers there are, by the names of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from benchmarks.peers.hugging_face import HuggingFace
from benchmarks.peers.llama_cpp_python import LlamaCpp
from benchmarks.peers.llama_server import LlamaServer
from benchmarks.peers.peer import Parts, Peer, PeerFailed, PeerMissing, Served
from benchmarks.peers.requantised import FORMATS
from models.tokenizer import Tokenizer

PREFIX_FORMAT = "Q4_0"  # of the row that keeps its prefix

P = TypeVar("P", bound=Peer)


def single(
    gguf: Path, tokenizer: Tokenizer, folder: Path, threads: int, example: Parts
) -> list[Peer]:
    """Those that answer one question at a time; `folder` takes what is requantised."""
    found: list[Peer] = []
    for format in FORMATS:
        found.append(LlamaCpp(gguf, format, folder, threads))
        found.append(LlamaCpp(gguf, format, folder, threads, example))
    found.append(LlamaCpp(gguf, PREFIX_FORMAT, folder, threads, example, prefix=True))
    for dtype, cache in (
        (torch.bfloat16, "dynamic"),
        (torch.bfloat16, "static"),
        (torch.float32, "dynamic"),
        (torch.float32, "static"),
    ):
        found.append(HuggingFace(gguf, tokenizer, dtype, cache, threads))
    return found


def serving(binary: str, gguf: Path, folder: Path, threads: int, slots: int) -> list[Served]:
    """Those that many ask at once."""
    return [
        LlamaServer(binary, gguf, format, folder, threads, slots, best)
        for format in FORMATS
        for best in (False, True)
    ]


def named(peers: Iterable[P], wanted: Sequence[str] | None) -> list[P]:
    """Those in whose name one of `wanted` stands; None: all."""
    return [p for p in peers if wanted is None or any(each in p.name for each in wanted)]


def prepared(peers: Iterable[P], missing: dict[str, str]) -> list[P]:
    """Those that could be loaded; `missing` gets the reason of each other, and it is printed."""
    there: list[P] = []
    for peer in peers:
        try:
            peer.prepare()
            there.append(peer)
        except (PeerMissing, PeerFailed) as exc:
            missing[peer.name] = str(exc)
            print(f"NOT MEASURED: {peer.name}: {exc}", flush=True)
    return there
