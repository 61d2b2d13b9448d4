"""Readers whose model runs in an engine process, reached over HTTP. Loads no weights and imports no
torch. Which adapter answers is decided by the engine, from the same database, for each question."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Generator as Writing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from rag.domain import MetadataValue, Sampling
from rag.engine_client import LONG_REPLY, EngineClient
from rag.engine_wire import (
    Named,
    ReaderCard,
    Spoken,
    ToAttribute,
    ToCount,
    ToGenerate,
)
from rag.errors import EngineUnavailable
from rag.pieces import PlainPiece
from rag.ports import Generator, Piece

_COUNTS_KEPT = 50_000  # of texts; about 10 MB


class RemoteReaders:
    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine
        self._counts = Counts(_COUNTS_KEPT)

    def of(self, collection: str | None) -> Generator:
        asked = {} if collection is None else {"collection": collection}
        return self._reader(asked)

    def named(self, adapter: str) -> Generator:
        return self._reader({"adapter": adapter})

    def _reader(self, asked: Mapping[str, str]) -> Generator:
        card = self._engine.get(ReaderCard, "/readers", asked)
        return RemoteReader(self._engine, card, self._counts)


class Counts:
    """Tokens of texts that were counted before, by what counted them. Holds no text (PERMITTED)."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._known: OrderedDict[bytes, int] = OrderedDict()

    def get(self, key: bytes) -> int | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def put(self, key: bytes, count: int) -> None:
        with self._lock:
            self._known[key] = count
            while len(self._known) > self._most:
                self._known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class RemoteReader:
    """The reader that `card` describes. Beside what the port says, everything that asks the engine
    raises EngineUnavailable, and UnknownAdapter or EngineUnavailable when the engine does not have
    these weights any more."""

    _engine: EngineClient
    _card: ReaderCard
    _counts: Counts

    @property
    def model(self) -> str:
        return self._card.model

    @property
    def adapter(self) -> str:
        return self._card.adapter

    @property
    def prompt_version(self) -> str:
        return self._card.prompt_version

    @property
    def computed(self) -> Mapping[str, MetadataValue]:
        return self._card.computed

    @property
    def refusal(self) -> str:
        return self._card.refusal

    @property
    def min_confidence(self) -> float:
        return self._card.min_confidence

    @property
    def confidence(self) -> Mapping[str, float]:
        return self._card.confidence

    @property
    def context_tokens(self) -> int:
        return self._card.context_tokens

    @property
    def most_passages(self) -> int:
        return self._card.most_passages

    def count_tokens(self, text: str) -> int:
        return self.token_counts([text])[0]

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """One request for all that were not counted before."""
        keys = [self._key(text) for text in texts]
        known = {key: n for key in keys if (n := self._counts.get(key)) is not None}
        missing = {k: text for k, text in zip(keys, texts, strict=True) if k not in known}
        if missing:
            asked = ToCount(self._named, list(missing.values()))
            found = self._engine.post(list[int], "/count", asked)
            if len(found) != len(missing):
                raise EngineUnavailable(
                    f"the engine at {self._engine.url} counted {len(found)} of {len(missing)} "
                    "texts; run the same version of Attest on both sides"
                )
            for key, count in zip(missing, found, strict=True):
                self._counts.put(key, count)
                known[key] = count
        return [known[key] for key in keys]

    def generate(
        self, passages: Sequence[str], question: str, sampling: Sampling, keep: bool = True
    ) -> Writing[Piece]:
        asked = ToGenerate(self._named, list(passages), question, sampling, keep)
        for pieces in self._engine.stream(list[PlainPiece], "/generate", asked):
            yield from pieces

    def drops(
        self, passages: Sequence[str], question: str, sentences: Sequence[tuple[str, Sequence[int]]]
    ) -> list[tuple[float, ...]]:
        spoken = [Spoken(text, list(markers)) for text, markers in sentences]
        asked = ToAttribute(self._named, list(passages), question, spoken)
        return self._engine.post(list[tuple[float, ...]], "/drops", asked, LONG_REPLY)

    @property
    def _named(self) -> Named:
        return Named(self._card.model, self._card.adapter)

    def _key(self, text: str) -> bytes:
        card = self._card
        parts = (card.model, card.adapter, card.prompt_version, text)
        named = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hashlib.sha256(named).digest()
