"""What names a KV block: who reads, and which text. Imports no torch: erasing needs no more."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Place(NamedTuple):
    """Where a block lies: the folder of its reading, and the sha256 of its text."""

    folder: str
    text: str


@dataclass(frozen=True, slots=True)
class BlockKey:
    """`reading` is everything but the passage that the keys and values depend on: weights, dtype,
    the adapter where it reads passages, prefix and prompt version; `text` is a `text_key`. Raises
    ValueError when `text` is none."""

    reading: str
    text: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.text):
            raise ValueError(f"{self.text!r:.100} is not the sha256 of a text; use text_key")

    @property
    def place(self) -> Place:
        return Place(folder_name(self.reading), self.text)


def text_key(text: str) -> str:
    """The sha256 of a passage's text as the reader is shown it."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def folder_name(reading: str) -> str:
    return hashlib.sha256(reading.encode("utf-8")).hexdigest()[:32]
