"""What the API says beyond the nouns: small frozen values, standard library only.

The API makes them, the client returns them, pages show them. They hold no behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rag.domain import Copy, Document, Embedding, Job, Version


@dataclass(frozen=True, slots=True)
class Health:
    """`status` is "ok" when every part is; `parts` maps each part to "ok" or what is wrong."""

    status: str
    version: str
    sign_in: str
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in session: send `token` as `Authorization: Bearer ...` until `expires`."""

    user: str
    token: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Reindexing:
    """How far a collection's indexing anew is: its embeddings, the names of the embedders that the
    settings offer, and how many documents are still to be read again."""

    embeddings: tuple[Embedding, ...]
    embedders: tuple[str, ...]
    rereading: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """One document as the library shows it: its live version and its newest job, if any, and the
    documents one may see that say the same."""

    document: Document
    version: Version | None
    job: Job | None
    copies: tuple[Copy, ...] = ()


@dataclass(frozen=True, slots=True)
class Extract:
    """A quote in its context: `text` is version_text[start:end], the quote is
    version_text[quote_start:quote_end]; `length` is the length of the whole text."""

    version: str
    document: str
    document_name: str
    start: int
    end: int
    text: str
    quote_start: int
    quote_end: int
    length: int

    @property
    def quote(self) -> str:
        return self.text[self.quote_start - self.start : self.quote_end - self.start]


@dataclass(frozen=True, slots=True)
class Text:
    """The stored text of one version; offsets of citations count in it."""

    version: str
    document: str
    document_name: str
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation run; `report` is its JSON document."""

    id: str
    kind: str
    name: str
    report: Mapping[str, object]
    created: datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second run less the first, paired over the `shared` samples. `differences` maps each
    metric to its `value`, the interval's `low` and `high`, `n`, and whether it is `sure`."""

    shared: int
    differences: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TuningStep:
    """Training after `step` steps (in a thinned curve: the mean over the steps since the point
    before). `loss` is mean nats per learnt token, `fraction` how much of the schedule lies behind,
    `examples` the questions read since the beginning."""

    step: int
    loss: float
    fraction: float
    examples: int
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class TuningRun:
    """A training run: how many steps it took, their curve (or its last point), and when the last
    of them ended."""

    name: str
    steps: int
    curve: tuple[TuningStep, ...]
    updated: datetime


@dataclass(frozen=True, slots=True)
class User:
    """An account without its secrets."""

    user: str
    groups: frozenset[str]
    admin: bool
    disabled: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A new API key. `token` is shown this once; only its hash is kept."""

    id: str
    label: str
    token: str
    scopes: frozenset[str] = field(default_factory=frozenset)
