"""The ports: what the core needs of the outside, as Protocols. Adapters live elsewhere and are
chosen in `rag.bootstrap` only. Vectors are float32 numpy arrays of shape (n, dimension), rows of
length 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Generator as Writing
from dataclasses import astuple, dataclass
from datetime import datetime
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rag.domain import (
    Adapter,
    Answer,
    Block,
    Chunk,
    Collection,
    Copy,
    Document,
    Embedding,
    EmbeddingState,
    Feedback,
    Filter,
    Findings,
    Hit,
    Job,
    JobState,
    MetadataValue,
    Origin,
    OriginItem,
    Passage,
    Principal,
    Right,
    Sampling,
    Version,
)

Vectors = NDArray[np.float32]


# --- models ------------------------------------------------------------------------------------


class Embedder(Protocol):
    """Text to unit vectors. `identity` names weights, back end and precision; vectors of two
    identities are never mixed. `max_tokens` is the longest input that is not cut."""

    @property
    def identity(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    def count_tokens(self, text: str) -> int: ...
    def embed(self, texts: Sequence[str]) -> Vectors: ...


class Reranker(Protocol):
    """Orders passages by relevance to the question, best first; may return fewer. `identity` names
    its weights, "none" where passages keep their order."""

    @property
    def identity(self) -> str: ...
    def rerank(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]: ...


class Piece(Protocol):
    """One streamed step of generation. `logprob` is the sum over its tokens, in nats; `refusal`
    the probability, before the first token, that the reader would rather refuse. The first piece
    may have no text: who sees there that it would refuse need not let it write."""

    @property
    def text(self) -> str: ...
    @property
    def tokens(self) -> int: ...
    @property
    def logprob(self) -> float: ...
    @property
    def refusal(self) -> float: ...
    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds of what came before it, by stage; given once."""
        ...


class Generator(Protocol):
    """Our Transformer as the core sees it. `generate` reads the system text, the passages (numbered
    from 1) and the question, and streams an answer in which only the markers [1]..[len(passages)]
    can occur and every sentence ends in one, or the fixed refusal `refusal`."""

    @property
    def model(self) -> str: ...
    @property
    def adapter(self) -> str: ...
    @property
    def prompt_version(self) -> str: ...
    @property
    def computed(self) -> Mapping[str, MetadataValue]:
        """How its numbers come about beside that: what two answers must share to be the same to
        the letter."""
        ...

    @property
    def refusal(self) -> str: ...
    @property
    def min_confidence(self) -> float:
        """Below this, labelled questions showed too many wrong answers of these weights."""
        ...

    @property
    def confidence(self) -> Mapping[str, float]:
        """The weights of `rag.confidence` fitted for these weights; empty where none were."""
        ...

    @property
    def context_tokens(self) -> int: ...
    @property
    def most_passages(self) -> int:
        """How many passages it can number; it reads no more."""
        ...

    def count_tokens(self, text: str) -> int: ...
    def token_counts(self, texts: Sequence[str]) -> Sequence[int]:
        """`count_tokens` of each, at once where the reader is far away."""
        ...

    def generate(
        self, passages: Sequence[str], question: str, sampling: Sampling, keep: bool = True
    ) -> Writing[Piece]:
        """`keep`: what is computed of the passages may be kept for the next question; not of text
        that belongs to no live chunk, since nothing would tell when to forget it."""
        ...

    def drops(
        self, passages: Sequence[str], question: str, sentences: Sequence[tuple[str, Sequence[int]]]
    ) -> Sequence[Sequence[float]]:
        """For each sentence of an answer (its words, the markers after them) how far the
        log-probability of its words falls without passage 1, 2, ... (nats). Raises ValueError when
        the prompt does not fit the model."""
        ...


class Warmer(Generator, Protocol):
    """A reader whose model runs in this process, so that it can work ahead."""

    def warm(
        self, texts: Iterable[str], stop: Callable[[], bool]
    ) -> tuple[int, Literal["done", "stopped", "full"]]:
        """Make the KV blocks that these texts (as shown, just read) lack, ahead of use and behind
        every question, until `stop()` or until there is no room for more. How many were made, and
        why it ended."""
        ...


class Warmers(Protocol):
    def of(self, collection: str | None) -> Warmer:
        """The one that answers the questions of a collection (by id; None: of no collection)."""
        ...


class Verifier(Protocol):
    """How far evidence supports a sentence, in [0, 1], 0.6 being where labelled pairs were told
    apart best; the same bytes always get the same score. `identity` names the method and its
    weights."""

    @property
    def identity(self) -> str: ...
    def support(self, evidence: str, sentence: str, question: str) -> float:
        """`question` is what the sentence answers: a bare yes or no says the question itself."""
        ...


class Verifiers(Protocol):
    """Which verifier judges."""

    def now(self) -> Verifier:
        """The one for new answers. Raises ModelError."""
        ...

    def named(self, identity: str) -> Verifier:
        """The one that judged a stored answer. Raises WeightsMissing when it is gone."""
        ...


class Generators(Protocol):
    """One model with its adapters: which of them answers is decided for each question anew."""

    def of(self, collection: str | None) -> Generator:
        """The one that answers a collection's questions now (an id; None: passages that belong to
        no collection). Raises ModelError, UnknownAdapter when the promoted one's weights are gone.
        """
        ...

    def named(self, adapter: str) -> Generator:
        """The one whose `adapter` this is, to replay with. Raises UnknownAdapter when it is gone
        or belongs to another model."""
        ...


# --- the index ---------------------------------------------------------------------------------


class SearchIndex(Protocol):
    """Both legs over one collection. Rights, generation and conditions of the filter are applied
    inside each leg, before top-k. A filter's generation may be older than the newest one."""

    def catch_up(self) -> int:
        """Apply what was committed since the last call; return the newest generation."""
        ...

    def lexical(self, query: str, filter: Filter, k: int) -> list[Hit]: ...
    def dense(self, vector: NDArray[np.float32], filter: Filter, k: int) -> list[Hit]: ...

    def places(
        self, asked: Sequence[str], chunks: Iterable[str]
    ) -> Mapping[str, Sequence[tuple[int, str]]]:
        """Where the tokens `asked`, each given once, stand in what a reader is shown of each chunk
        (`rag.prompt.shown`), counted in tokens, in order; of what the legs found just before, as
        far as the index keeps it. Of the chunks that are missing the texts must be read."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One indexed chunk as the searchers read it from the truth. A row never changes but for
    `died`; a changed right or metadata value ends the row and starts a new one."""

    row: int  # ascending in the order of commits, unique in the collection
    chunk: str
    document: str
    born: int
    died: int | None
    readers: frozenset[str] | None  # None: whoever may read the collection
    metadata: Mapping[str, MetadataValue]
    text: str  # what is indexed: title, heading path and the chunk's text
    own: int  # where in `text` the words under title and headings begin
    shown: str  # what a reader is shown of the chunk (`rag.prompt.shown`)
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Delta:
    """What happened in (since, generation]: rows born, and (row, died) of rows ended."""

    since: int
    generation: int
    born: Sequence[Row]
    died: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class News:
    """How far a searcher is behind `generation`, the newest: rows born and rows ended since, and
    the `Chunks.mark` of the generation it is at."""

    generation: int
    born: int
    ended: int
    mark: str


@dataclass(frozen=True, slots=True)
class Fresh:
    """A live chunk's row, its collection, and what a reader is shown of it (`rag.prompt.shown`)."""

    row: int
    collection: str
    text: str


class KVBlocks(Protocol):
    """The keys and values that readers keep of passages, named by the sha256 of what a reader is
    shown (`rag.prompt.shown`). Derived: losing one costs time only."""

    def forget(self, texts: Iterable[str]) -> None:
        """Erase those of these texts, from every process that shares them. Raises StoreUnavailable
        when that cannot be promised."""
        ...

    def keys(self) -> set[str]:
        """Those on disk."""
        ...

    def forget_keys(self, keys: Iterable[str]) -> None:
        """As `forget`."""
        ...


# --- the truth ---------------------------------------------------------------------------------


class Blobs(Protocol):
    """Content-addressed bytes. `put` returns the sha256 and is idempotent."""

    def put(self, data: bytes) -> str: ...
    def get(self, sha256: str) -> bytes: ...
    def has(self, sha256: str) -> bool: ...
    def size(self, sha256: str) -> int:
        """In bytes; 0 of one that is not there."""
        ...

    def delete(self, sha256: str) -> None: ...
    def untouched(self, seconds: float) -> Iterator[str]:
        """Those that nobody has put for so long, in no order."""
        ...


class Collections(Protocol):
    def create(self, name: str, rights: Mapping[str, Right]) -> Collection:
        """Raises Conflict when the name is taken, BadName when it is not usable."""
        ...

    def get(self, id: str) -> Collection: ...
    def named(self, name: str) -> Collection:
        """Raises UnknownCollection."""
        ...

    def embedder(self, id: str) -> str:
        """The collection's `embedder` alone, for less. Raises UnknownCollection."""
        ...

    def all(self) -> list[Collection]: ...
    def set_rights(self, id: str, rights: Mapping[str, Right]) -> None: ...
    def set_settings(self, id: str, settings: Mapping[str, MetadataValue]) -> None: ...
    def delete(self, id: str) -> None:
        """Ends every document and removes the name; rows are purged with it."""
        ...


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file that was found inside a document's; its bytes are stored."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Publication:
    """A finished version, about to become visible. `vectors[i]` and `indexed[i]` belong to
    `chunks[i]`; `text_blob` and `layout_blob` are already stored. `members` are all the files
    inside; each becomes the document "name of this one/name of the member"."""

    version: str  # the id the chunks were cut under; used for one job only
    media_type: str
    title: str
    size: int
    pages: int | None
    text_blob: str
    layout_blob: str | None
    metadata: Mapping[str, MetadataValue]  # from the file; the uploader's values win
    blocks: Sequence[Block]
    chunks: Sequence[Chunk]
    indexed: Sequence[str]
    vectors: Vectors
    embedder: str
    members: Sequence[Enclosed] = ()
    findings: Findings | None = None
    signature: bytes = b""  # `rag.resemblance.signature` of the text


MOST_COPIES = 20


class Documents(Protocol):
    def accept(
        self,
        collection: str,
        name: str,
        sha256: str,
        size: int,
        readers: frozenset[str] | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        *,
        bulk: bool = False,
    ) -> Job:
        """Record an upload whose bytes are stored: the document (made when the name is new) and a
        queued job. Readers or metadata None: as the document has them; a new one has neither. Bytes
        equal to the live version's: the job comes back done at once, and at most access changes. A
        waiting or running job for the same bytes, unless overtaken by a later upload, is returned
        instead of a new one. Of two uploads the later accepted one wins."""
        ...

    def reread(self, collection: str, document: str | None = None) -> list[str]:
        """Queue a job for every live document of the collection, in bulk, or for the one and those
        inside it, to be read again from its stored bytes; what waits already gets no second one.
        Returns the ids of all their jobs."""
        ...

    def publish(self, job: str, worker: str, publication: Publication) -> int:
        """In this one transaction: end the old version, start the new one at the next generation,
        accept the files inside and end those that are inside no more, finish the job. Returns the
        generation. A job already done returns its generation; a lease that was lost raises
        Conflict; another embedder than the collection's raises EmbedderChanged."""
        ...

    def publish_all(
        self, worker: str, publications: Mapping[str, Publication]
    ) -> Mapping[str, int]:
        """As `publish`, for several jobs (ids) of one collection, each at a generation of its own.
        A job whose lease was lost is left out of what is returned; any other error is raised."""
        ...

    def get(self, id: str) -> Document: ...
    def named(self, collection: str, name: str) -> Document:
        """Raises UnknownDocument."""
        ...

    def all(self, collection: str) -> list[Document]:
        """Live or waiting documents, by name; deleted ones are left out."""
        ...

    def version(self, id: str) -> Version: ...
    def versions(self, document: str) -> list[Version]: ...
    def blocks(self, version: str) -> list[Block]: ...
    def copies(self, collection: str, document: str | None = None) -> Mapping[str, Sequence[Copy]]:
        """For each live document (or the one) that has any, the live documents of the collection
        that say the same, likest first and at most MOST_COPIES of them."""
        ...

    def delete(self, id: str) -> int:
        """End the live version and all documents inside; return the generation from which they are
        gone. Their waiting jobs are cancelled (failed, with that reason)."""
        ...

    def rename(self, id: str, name: str) -> None:
        """A live document goes on under another name: same versions, same chunks, no generation.
        Raises Conflict when the name is taken."""
        ...

    def set_access(
        self, id: str, readers: frozenset[str] | None, metadata: Mapping[str, MetadataValue]
    ) -> int:
        """Change rights and metadata as one new generation (rows are ended and started anew); those
        of the documents inside too."""
        ...


class Jobs(Protocol):
    def get(self, id: str) -> Job: ...
    def all(self, collection: str, states: Sequence[JobState] = ()) -> list[Job]:
        """Newest first."""
        ...

    def inside(self, document: str) -> list[Job]:
        """The newest job of each document whose file lies in this one's, by name."""
        ...

    def counts(self) -> Mapping[JobState, int]:
        """How many there are in each state, of all collections; a state without jobs is 0."""
        ...

    def first(self, named: str) -> str | None:
        """Which job to do at a message that names one: before a bulk one, the oldest that a person
        waits for; where the named one is not due any more, as its message had others done, the
        oldest that waits, None when nothing does; else the named one."""
        ...

    def take_bulk(self, worker: str, seconds: float, most: int) -> list[Job]:
        """Take, as `lease` does, the oldest jobs of a bulk load that nobody has tried. None of them
        when there is none, or a person waits for another job."""
        ...

    def lease(self, id: str, worker: str, seconds: float) -> Job | None:
        """Take a queued job, or a running one whose lease ran out, counting an attempt. None when
        it is done, failed or held by another. After `max_attempts` attempts, or twice as many
        whose workers were lost, it marks the job poisoned and returns None."""
        ...

    def heartbeat(self, id: str, worker: str, seconds: float, step: str, progress: float) -> bool:
        """Extend the lease and show progress; False when the lease was lost or the job ended."""
        ...

    def heartbeats(
        self, worker: str, seconds: float, shown: Mapping[str, tuple[str, float]]
    ) -> set[str]:
        """As `heartbeat`, for jobs of one worker, each with its step and progress; returns those
        whose lease was lost."""
        ...

    def fail(self, id: str, worker: str, error: str) -> None:
        """A permanent error; the old version, if any, stays live."""
        ...

    def release(self, id: str, worker: str, error: str, *, counted: bool) -> None:
        """Back to queued with the reason. An attempt that is not `counted` did not end by the
        document's own fault (a full disk, a store that is away), so it poisons nothing."""
        ...

    def retry(self, id: str) -> Job:
        """A person asks again for a failed, poisoned or cancelled job: queued, attempts 0."""
        ...

    def cancel(self, id: str, user: str) -> Job:
        """A person calls off a queued or running job, which loses its lease: nothing of it becomes
        visible, an older version stays live."""
        ...

    def cancel_rereads(self, collection: str, user: str) -> int:
        """As `cancel`, all jobs that read a live document again; returns how many."""
        ...

    def rereading(self, collection: str) -> int:
        """How many of those wait or run."""
        ...

    def unfinished(self) -> bool:
        """Whether any is queued or running."""
        ...

    def waited_for(self) -> bool:
        """Whether one is queued that a person waits for."""
        ...

    def due(self) -> list[str]:
        """Ids of queued jobs and of running ones with an expired lease: to be sent again, those
        that a person waits for first."""
        ...


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A live chunk without a vector of an embedder, and the text that is embedded of it."""

    row: int
    chunk: str
    indexed: str


class Embeddings(Protocol):
    """A collection's vectors by embedder. What works at one holds a lease; all that is done under
    it raises Conflict once the lease is lost."""

    def get(self, id: str) -> Embedding:
        """Raises NotFound for one whose vectors were removed."""
        ...

    def current(self, collection: str) -> Embedding:
        """The one that questions read now. Raises UnknownCollection."""
        ...

    def all(self, collection: str) -> list[Embedding]:
        """Oldest first."""
        ...

    def searched(self) -> set[str]:
        """Ids of those that have an index, of all collections."""
        ...

    def begin(self, collection: str, embedder: str, dimension: int, user: str) -> Embedding:
        """Have one built beside the current one; one that is being built already, or whose vectors
        are kept, is gone on with. Raises Conflict when the embedder is in use, another's is being
        built, or the collection has no vectors at all."""
        ...

    def drop(self, collection: str, states: Sequence[EmbeddingState]) -> list[Embedding]:
        """Give up those in these states, never the current one; their vectors go by and by."""
        ...

    def due(self, kept_seconds: float) -> list[str]:
        """Ids of those to work at: to build, to clear away, or replaced longer ago than this."""
        ...

    def lease(self, id: str, worker: str, seconds: float) -> Embedding | None:
        """None when another holds it, or there is nothing to do."""
        ...

    def heartbeat(self, id: str, worker: str, seconds: float, step: str, progress: float) -> bool:
        """Extend the lease and show progress; False when it was lost."""
        ...

    def release(self, id: str, worker: str, error: str) -> None:
        """Give the lease back, with what went wrong ("": nothing)."""
        ...

    def counted(self, id: str) -> tuple[int, int]:
        """How many live chunks have a vector in it, and how many there are."""
        ...

    def missing(self, id: str, limit: int) -> list[Unembedded]:
        """The next live chunks without a vector, after those that were put."""
        ...

    def put(self, id: str, worker: str, chunks: Sequence[Unembedded], vectors: Vectors) -> None:
        """`vectors[i]` belongs to `chunks[i]`."""
        ...

    def complete(self, id: str, worker: str) -> bool:
        """Whether every live chunk has a vector; if so, searchers may read it up to the newest
        generation, so that its index can be made before questions need it. If not, `missing`
        begins from the front."""
        ...

    def swap(self, id: str, worker: str) -> int | None:
        """Make it the current one, from the returned next generation on; the lease ends. None, and
        nothing is changed, when chunks without a vector have come since it was complete."""
        ...

    def left(self, id: str, worker: str) -> None:
        """The index of one that was replaced is gone; its vectors are kept."""
        ...

    def remove(self, id: str, worker: str, limit: int) -> bool:
        """Remove some of the vectors of a dropped one; True once all are gone, and itself."""
        ...


class Chunks(Protocol):
    """What searchers read is by embedding (`embedding` is its id; a collection's first has the
    collection's): rows that have a vector in it, up to where it is complete. Raises
    UnknownCollection, and EmbedderChanged for one that is not read any more."""

    def since(self, embedding: str, generation: int, limit: int | None = None) -> Delta:
        """What a searcher at `generation` must apply to reach the newest one (0: everything). With
        a `limit`, it ends at an earlier generation where more rows than that would be born, but
        never before the next one."""
        ...

    def mark(self, embedding: str, generation: int) -> str:
        """Tells this generation from another one of its number, in a database that was put back to
        a backup and went on from there; "" for 0 and for one that never was."""
        ...

    def news(self, embedding: str, generation: int) -> News:
        """How much `since` would give; quick when there is nothing."""
        ...

    def stretch(self, embedding: str, after: int, generation: int, limit: int) -> Sequence[Row]:
        """The first `limit` rows numbered above `after` that were born up to `generation`,
        ascending; what ended later comes as live. Reads a collection piece by piece."""
        ...

    def settled(self, embedding: str, before: datetime) -> int:
        """The newest generation committed up to then; 0 when there is none."""
        ...

    def passages(self, collection: str, ids: Sequence[str], filter: Filter) -> list[Passage]:
        """The chunks of `ids` that the filter permits, checked in SQL, in the order of `ids`,
        score 0. What an index returned by mistake is missing here."""
        ...

    def count(self, collection: str, filter: Filter) -> int:
        """How many chunks the filter permits."""
        ...

    def shown(self, collection: str) -> Iterator[str]:
        """What a reader is shown of each live chunk (`rag.prompt.shown`), in no order."""
        ...

    def newest(self, limit: int, before: int | None, collection: str | None) -> Sequence[Fresh]:
        """At most so many live chunks, newest first, of one collection or of all; to go on,
        `before` is the last one's row."""
        ...


class Answers(Protocol):
    def add(self, answer: Answer) -> None: ...
    def get(self, id: str) -> Answer:
        """Raises UnknownAnswer."""
        ...

    def recent(self, collection: str, user: str, limit: int) -> list[Answer]: ...


class Opinions(Protocol):
    """Feedback on answers: at most one opinion per user and answer."""

    def give(self, feedback: Feedback) -> None:
        """Replaces what the user said of the answer before. Raises UnknownAnswer."""
        ...

    def given(self, answer: str, user: str) -> Feedback | None:
        """None when the user said nothing of it."""
        ...

    def all(self, collection: str) -> list[Feedback]:
        """Oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    user: str
    password_hash: str
    groups: frozenset[str]
    admin: bool
    disabled: bool


class Accounts(Protocol):
    def create(
        self, user: str, password_hash: str, groups: frozenset[str], admin: bool
    ) -> Account: ...
    def get(self, user: str) -> Account: ...
    def all(self) -> list[Account]: ...
    def set_groups(self, user: str, groups: frozenset[str]) -> None: ...
    def set_password(self, user: str, password_hash: str) -> None: ...
    def disable(self, user: str) -> None: ...
    def add_key(self, user: str, label: str, key_hash: str, scopes: frozenset[str]) -> str:
        """Returns the key's id."""
        ...

    def by_key(self, key_hash: str) -> tuple[Account, frozenset[str]]:
        """The key's account and scopes; raises NotSignedIn."""
        ...

    def revoke_key(self, id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class AuditEntry:
    number: int
    at: datetime
    user: str
    action: str
    subject: str
    detail: Mapping[str, MetadataValue]
    previous: str
    digest: str


class Audit(Protocol):
    """Append-only and hash-chained: digest = sha256(previous digest + canonical JSON)."""

    def add(
        self, user: str, action: str, subject: str, detail: Mapping[str, MetadataValue]
    ) -> None: ...
    def add_all(
        self, user: str, action: str, entries: Sequence[tuple[str, Mapping[str, MetadataValue]]]
    ) -> None:
        """As `add`, for several (subject, detail), in their order."""
        ...

    def entries(self, after: int = 0, limit: int = 1000) -> list[AuditEntry]: ...
    def verify(self) -> int | None:
        """The number of the first broken entry, None when the chain holds."""
        ...


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One evaluation run. `report` is its JSON document."""

    id: str
    kind: str
    name: str
    report: Mapping[str, object]
    created: datetime


class Runs(Protocol):
    def add(self, run: RunRecord) -> None: ...
    def get(self, id: str) -> RunRecord: ...
    def recent(self, limit: int = 50, kind: str = "") -> list[RunRecord]: ...


class Adapters(Protocol):
    """Registered adapters. A scope is a base with one collection, or with None for all of them; it
    has at most one promoted adapter."""

    def register(self, adapter: Adapter) -> None:
        """As a candidate, whatever its state says. Raises Conflict when the name is taken."""
        ...

    def get(self, name: str) -> Adapter:
        """Raises UnknownAdapter."""
        ...

    def all(self) -> list[Adapter]:
        """Newest first."""
        ...

    def of_digest(self, digest: str) -> list[Adapter]:
        """Those whose weights' sha256 begins with `digest`, newest first."""
        ...

    def promoted(self, base: str, collection: str | None) -> Adapter | None: ...
    def promote(self, name: str) -> Adapter | None:
        """Make it its scope's promoted one; the earlier one is retired and returned. One that is
        promoted already stays as it is."""
        ...

    def withdraw(self, name: str) -> None:
        """Retire it for good: no rollback brings it back, only a new promotion."""
        ...

    def earlier(self, base: str, collection: str | None) -> Adapter | None:
        """The retired one of the scope that was promoted last and not withdrawn."""
        ...

    def set_card(self, name: str, card: Mapping[str, object]) -> None: ...
    def made_from(self, document: str) -> list[Adapter]:
        """The adapters trained on any version of the document, even one that is purged."""
        ...


class Origins(Protocol):
    """Where documents are brought from. A sync holds a lease, so that no two run at once."""

    def add(self, origin: Origin) -> Origin:
        """Under a new id, due at once. Raises Conflict when the collection has one of that name."""
        ...

    def get(self, id: str) -> Origin: ...
    def named(self, collection: str, name: str) -> Origin:
        """Raises UnknownOrigin."""
        ...

    def all(self, collection: str) -> list[Origin]:
        """By name."""
        ...

    def ask(self, id: str, confirmed: bool) -> None:
        """Have it synced at once, whatever its interval."""
        ...

    def due(self) -> list[str]:
        """Ids of those to sync now: asked for, at the end of their interval, or left in the middle
        by a sync that was killed."""
        ...

    def lease(self, id: str, worker: str, seconds: float) -> Origin | None:
        """None when another holds it."""
        ...

    def hold(self, id: str, worker: str, seconds: float) -> bool:
        """Extend the lease and keep the origin locked until this unit of work ends; False when it
        was lost."""
        ...

    def finish(
        self, id: str, worker: str, counts: Mapping[str, int], held: int, error: str, again: bool
    ) -> None:
        """Give the lease back and set the next sync, `again`: at once. Who has lost the lease
        changes nothing."""
        ...

    def retire(self, id: str) -> None:
        """No sync any more; one that runs has lost its lease."""
        ...

    def remove(self, id: str) -> None:
        """And what was seen there; documents stay."""
        ...

    def items(self, id: str) -> list[OriginItem]:
        """By key."""
        ...

    def put(self, id: str, item: OriginItem) -> None:
        """In place of what was seen under its key."""
        ...

    def drop(self, id: str, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Doomed:
    """A deleted document (id) whose rows are still there."""

    document: str
    collection: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What a purge removed, or would: `chunks` are rows, a chunk under other rights another one;
    `answers` were emptied; `bytes` are those of texts, vectors and blobs."""

    documents: int = 0
    versions: int = 0
    chunks: int = 0
    vectors: int = 0
    answers: int = 0
    blobs: int = 0
    bytes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __bool__(self) -> bool:
        return any(astuple(self))


class Purging(Protocol):
    """Removes rows for good, `limit` at a time and each time in the caller's transaction. What is
    left is found by the rows themselves, so that a purge goes on where another was killed."""

    def doomed(self, limit: int) -> list[Doomed]:
        """Some documents that were deleted."""
        ...

    def answers(self, limit: int) -> int:
        """Empty answers that were given words of documents that are deleted, with what users said
        of them; in those that only name such a document, take out the name. How many were
        emptied."""
        ...

    def document(self, doomed: Doomed, limit: int) -> tuple[Removed, bool]:
        """Some of its rows, at last its own; whether that was all."""
        ...

    def replaced(self, collection: str, seconds: float, limit: int) -> Removed:
        """Some rows that ended longer ago than `seconds` and that no kept answer was given, and
        versions that have none left. Nothing: there are no more."""
        ...

    def cutoff(self, collection: str, seconds: float) -> int:
        """The newest generation that is older."""
        ...

    def unused(self, limit: int) -> tuple[list[str], bool]:
        """The blobs to remove, before the commit, of some that rows which are gone have named; and
        whether there were any to look at. Until the commit nobody begins to name a blob."""
        ...

    def strays(self, names: Sequence[str]) -> list[str]:
        """As `unused`, of these blobs."""
        ...

    def loose_vectors(self, limit: int) -> Removed:
        """Some vectors of chunks that have no row."""
        ...

    def due(self, seconds: float) -> tuple[Removed, set[str]]:
        """What there is to remove now, the blobs by name."""
        ...


class UnitOfWork(Protocol):
    """One transaction. Leaving the block without `commit()` rolls back."""

    collections: Collections
    documents: Documents
    jobs: Jobs
    chunks: Chunks
    embeddings: Embeddings
    answers: Answers
    feedback: Opinions
    accounts: Accounts
    audit: Audit
    runs: Runs
    adapters: Adapters
    origins: Origins
    purging: Purging

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def commit(self) -> None: ...


Store = Callable[[], UnitOfWork]


class Queue(Protocol):
    """Sends work to the workers; a hint only, the jobs table is the truth."""

    def send(self, job: str) -> None:
        """Raises BrokerUnavailable; the job stays queued and is sent again by the sweep."""
        ...


def readable(collection: Collection, who: Principal) -> Right | None:
    """The highest right one of the groups of `who` has on the collection; None is no access."""
    held = [collection.rights[group] for group in who.groups if group in collection.rights]
    return max(held, key=list(Right).index, default=None)
