"""What an API process and an engine process say to each other; JSON by `rag.wire`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rag.domain import MetadataValue, Sampling

BEAT = 5.0  # seconds of silence after which the engine says, by an empty line, that it is there


@dataclass(frozen=True, slots=True)
class ReaderCard:
    """Which weights read, and what who asks them must know."""

    model: str
    adapter: str
    prompt_version: str
    computed: Mapping[str, MetadataValue]
    refusal: str
    min_confidence: float
    confidence: Mapping[str, float]
    context_tokens: int
    most_passages: int


@dataclass(frozen=True, slots=True)
class Named:
    """The reader that is meant, as its card says: another is never taken in its place, since the
    answer keeps on record who wrote it."""

    model: str
    adapter: str


@dataclass(frozen=True, slots=True)
class ToGenerate:
    reader: Named
    passages: list[str]
    question: str
    sampling: Sampling
    keep: bool


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence of an answer and the markers after it."""

    text: str
    markers: list[int]


@dataclass(frozen=True, slots=True)
class ToAttribute:
    reader: Named
    passages: list[str]
    question: str
    sentences: list[Spoken]


@dataclass(frozen=True, slots=True)
class ToCount:
    reader: Named
    texts: list[str]


@dataclass(frozen=True, slots=True)
class BlockKeys:
    """Of KV blocks: the sha256 of the texts, never the texts."""

    keys: list[str]


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """`ready`: its weights are read."""

    status: str
    version: str
    ready: bool
