"""The nouns of Attest. Standard library only; every other module speaks in these.

All `start`/`end` are character offsets (Python `str` indices) into a version's stored text, half
open. Pages count from 1. Boxes are in PDF points with the origin at the top left of the page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

MetadataValue = str | int | float | bool


# --- people and rights -------------------------------------------------------------------------


class Right(StrEnum):
    """What a group may do with a collection. Each right includes the ones before it."""

    READ = "read"
    WRITE = "write"
    MANAGE = "manage"

    def includes(self, other: Right) -> bool:
        order = list(Right)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. Rights come from groups only; `admin` may create users and groups."""

    user: str
    groups: frozenset[str]
    admin: bool = False


LOCAL_GROUP = "local"
LOCAL_USER = Principal("local", frozenset({LOCAL_GROUP}), admin=True)


# --- documents ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Box:
    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class BlockKind(StrEnum):
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Block:
    """A parsed piece of a document. `level` is a heading's depth (1 is the top), else 0."""

    kind: BlockKind
    start: int
    end: int
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    level: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """Where text[start:end] stands on its page; the smallest geometry a citation can point at."""

    start: int
    end: int
    box: Box


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive or a mail; `name` is its path in there."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """One version's text with its structure: what a parser returns.

    `text` is what is stored and quoted; every block and word is a span of it. `pages` is None for
    formats without pages. `members` become documents of their own.
    """

    text: str
    blocks: tuple[Block, ...]
    media_type: str
    title: str = ""
    pages: int | None = None
    words: tuple[Word, ...] = ()
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a version, ready to be embedded. `text` equals version_text[start:end]."""

    id: str
    version: str
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...] = ()
    page: int | None = None


def chunk_id(version: str, start: int, end: int) -> str:
    """A chunk's id comes from its version and span, never from an embedding."""
    return hashlib.sha256(f"{version}:{start}:{end}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents with one access policy and one embedding model.

    `rights` maps a group to its right. `embedder` is the identity of the model that made all the
    vectors that questions read now ("" until the first document). `generation` is the newest
    committed one.
    `settings` holds what was tuned for it (fusion weights, refusal threshold, adapter).
    """

    id: str
    name: str
    rights: Mapping[str, Right]
    embedder: str
    generation: int
    settings: Mapping[str, MetadataValue]
    created: datetime


@dataclass(frozen=True, slots=True)
class Document:
    """A logical document. `readers` narrows the collection's readers to these groups; None means
    whoever may read the collection. `version` is the live one, None while the first is ingested
    or once the document is deleted. `parent` is the archive or mail that its file lies in."""

    id: str
    collection: str
    name: str
    readers: frozenset[str] | None
    metadata: Mapping[str, MetadataValue]
    version: str | None
    created: datetime
    parent: str | None = None


class PersonalPolicy(StrEnum):
    """What a collection does with personal data in what is handed in. MASK writes a block character
    over every character of it before anything is indexed; REFUSE fails the job."""

    ALLOW = "allow"
    MASK = "mask"
    REFUSE = "refuse"


class FindingKind(StrEnum):
    PERSONAL = "personal"
    INSTRUCTION = "instruction"  # text that looks like an order to the model
    NOISE = "noise"  # text that no language has, as of a bad scan


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about text[start:end]; never holds the words themselves."""

    kind: FindingKind
    detail: str
    start: int
    end: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What the examination of a version found. `personal` counts the places by kind (email, iban,
    ...), also those in title and metadata; `policy` is what was done about them. `language` is
    ISO 639-1, "" where it cannot be told; `surprise` the mean bits a letter costs a model of that
    language's letters, None where it has none. `places` are the first of each kind of finding."""

    policy: PersonalPolicy
    personal: Mapping[str, int]
    instructions: int
    noise: int
    language: str
    surprise: float | None
    places: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """One uploaded state of a document. Live for generations born <= g < died. `findings` is None
    for what was taken in before texts were examined."""

    id: str
    document: str
    sha256: str
    media_type: str
    title: str
    size: int
    pages: int | None
    text_blob: str
    layout_blob: str | None
    chunks: int
    born: int
    died: int | None
    created: datetime
    findings: Findings | None = None


class Sameness(StrEnum):
    BYTES = "same bytes"
    TEXT = "same text"
    NEAR = "nearly the same text"


@dataclass(frozen=True, slots=True)
class Copy:
    """Another live document of the collection that says the same. `share` is the estimated share of
    the two texts' shingles that both have (Jaccard), 1.0 for equal ones."""

    document: str
    name: str
    sameness: Sameness
    share: float


# --- work --------------------------------------------------------------------------------------


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # a permanent error: the reason is in `error`
    POISONED = "poisoned"  # killed its worker too often
    CANCELLED = "cancelled"  # a person called it off: `error` says who


@dataclass(frozen=True, slots=True)
class Job:
    """One accepted upload on its way into the index. `step` and `progress` (0 to 1) are
    for people. A `bulk` one came with many others, and lets those go first that a person waits
    for. `reread`: bytes that are live already are read again, by the settings of now."""

    id: str
    collection: str
    document: str
    name: str
    sha256: str
    state: JobState
    attempts: int
    step: str
    progress: float
    error: str
    version: str | None
    generation: int | None
    created: datetime
    updated: datetime
    bulk: bool = False
    reread: bool = False


class EmbeddingState(StrEnum):
    BUILDING = "building"  # its vectors are made beside the current one's
    CURRENT = "current"  # what questions read
    LEAVING = "leaving"  # was replaced just now: its index goes
    FORMER = "former"  # its vectors are kept, for going back
    DROPPED = "dropped"  # called off or given up: its vectors go


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vectors of a collection's chunks by one embedder (its identity); the collection's first
    has the collection's id. Questions read the current one, at generations from `born` on; another
    one is built beside it and takes its place whole, in one generation. `dimension` is None until
    the first document. `step` and `progress` (0 to 1) are for people; `error` is why the last
    attempt at it ended."""

    id: str
    collection: str
    embedder: str
    dimension: int | None
    state: EmbeddingState
    born: int
    user: str
    step: str
    progress: float
    error: str
    created: datetime


# --- origins -----------------------------------------------------------------------------------


class OriginKind(StrEnum):
    FOLDER = "folder"
    URLS = "urls"
    SITEMAP = "sitemap"
    BUCKET = "bucket"


@dataclass(frozen=True, slots=True)
class Origin:
    """A place outside that documents of a collection are brought from and kept in step with; to
    users a source. `user` added it, and a sync does no more than that user may. What `include` and
    `exclude` (shell patterns) admit becomes a document called `prefix` + its path, with these
    readers and metadata. It is synced `every` so many seconds; 0: only when somebody asks.

    State: `due` is the next sync, `synced` the end of the last one, `counts` what that changed,
    `held` how many items had vanished without their documents being deleted, since so many
    vanished at once (`confirmed`: a person said that it is right), `error` what went wrong."""

    id: str
    collection: str
    name: str
    kind: OriginKind
    addresses: tuple[str, ...]
    user: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    prefix: str = ""
    every: float = 0.0
    readers: frozenset[str] | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    created: datetime | None = None
    due: datetime | None = None
    syncing: bool = False
    synced: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    documents: int = 0
    held: int = 0
    confirmed: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class OriginItem:
    """What an origin was last seen to hold under `key` (a path or an address). As long as `mark`
    stays (a size and times, an entity tag) so do the bytes, whose sha256 is "" when they were never
    taken. `document` is what they became; `error` why they were not taken; `missing`: they were not
    there at the last sync."""

    key: str
    name: str
    mark: str
    sha256: str
    document: str | None
    error: str
    missing: bool
    seen: datetime


# --- retrieval ---------------------------------------------------------------------------------


class Leg(StrEnum):
    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


@dataclass(frozen=True, slots=True)
class Condition:
    """`metadata[key] in values`."""

    key: str
    values: tuple[MetadataValue, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows a question may see: live at `generation`, readable by one of `groups`, and meeting
    every condition. No group means no row. `documents` (ids) narrows further when given."""

    generation: int
    groups: frozenset[str]
    conditions: tuple[Condition, ...] = ()
    documents: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """`score` is the leg's own (BM25 or cosine), higher is better; `rank` counts from 1."""

    chunk: str
    score: float
    rank: int
    leg: Leg


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where else nearly the same words stand: a document and the chunk of it."""

    document: str
    document_name: str
    chunk: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk in the running for one question, with how it got there. `scores` holds the leg
    scores and the fused one by name; `score` is the one it is ordered by. `also` names the other
    documents whose nearly same words were folded under this one."""

    chunk: Chunk
    document: str
    document_name: str
    title: str
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)
    also: tuple[Elsewhere, ...] = ()


class LeftOut(StrEnum):
    """Why a passage that was found is not in the prompt."""

    RERANKED = "reranked"  # a step between the search and the prompt gave it up
    REPEAT = "repeat"  # it says what a better one says, or nothing
    BUDGET = "budget"  # it is longer than the room that was left
    LIMIT = "limit"  # enough better ones were chosen


@dataclass(frozen=True, slots=True)
class Context:
    """The numbered passages that fit the token budget; marker n is passages[n - 1]. `left_out`
    says of each other chunk (id) why it is not among them."""

    passages: tuple[Passage, ...]
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)


# --- answers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to decode. temperature 0 is greedy and ignores the rest but the penalty and limits."""

    max_tokens: int = 160
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """Raw model output: text with markers, and the mean log-probability of its tokens (nats)."""

    text: str
    logprob: float
    tokens: int


class Verdict(StrEnum):
    ANSWERED = "answered"
    PARTIAL = "partial"  # some sentences were not supported and are not shown
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Citation:
    """Sentence number `sentence` (from 0) of the answer rests on `quote`, which is
    version_text[start:end]. `support` in [0, 1] is how far the quote's passage supports it."""

    sentence: int
    marker: int
    chunk: str
    document: str
    document_name: str
    version: str
    start: int
    end: int
    quote: str
    support: float
    page: int | None = None
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question of a conversation and what was answered ("" where nothing was)."""

    question: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """All that recomputes an answer to the same text. For a question that follows on earlier ones,
    `searched` is what was looked for and `read` what the reader was asked; "" for the question
    itself. `computed` is how the reader's numbers came about; empty for answers from before it was
    kept."""

    generation: int
    model: str
    adapter: str
    prompt_version: str
    sampling: Sampling
    context: tuple[str, ...]  # chunk ids in prompt order
    settings: Mapping[str, MetadataValue] = field(default_factory=dict)
    searched: str = ""
    read: str = ""
    conditions: tuple[Condition, ...] = ()  # those the question came with
    computed: Mapping[str, MetadataValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the reader: `prompt` those of the passages and the question that it read (the frame
    around them, the same for every question, is not counted), `completion` those it wrote, shown
    or not."""

    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` carries markers; for a refusal it is the fixed refusal sentence, `citations` is empty
    and `passages` names the nearest sources. `timings` are seconds per stage; `total` is what the
    user waited, in the `queue` too. `usage` is None for answers from before it was counted."""

    id: str
    collection: str
    question: str
    text: str
    verdict: Verdict
    confidence: float
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    timings: Mapping[str, float]
    replay: Replay
    user: str
    created: datetime
    usage: Usage | None = None


class Opinion(StrEnum):
    """What a user thinks of an answer."""

    RIGHT = "right"
    WRONG = "wrong"


NOT_HELD = "Not in the documents."  # as a correction: it should have been refused


@dataclass(frozen=True, slots=True)
class Feedback:
    """One user's opinion of one answer. `correction` is the right answer where the user gave it,
    NOT_HELD where the answer should have been a refusal, else "". `passages` are the chunk ids that
    were in the prompt, in its order; `cited` those that the answer cites."""

    id: str
    answer: str
    collection: str
    user: str
    question: str
    verdict: Opinion
    correction: str
    passages: tuple[str, ...]
    cited: tuple[str, ...]
    created: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """Streamed first: the packed passages, in the order of their markers."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Streamed per verified sentence; `text` includes its markers."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """An answer computed again from what was stored; `same` is equality of text and citations.
    `changed` says, a line each, what the reader computes otherwise than it did then: where it is
    not empty, another word need not mean that the stored answer is false."""

    stored: Answer
    again: Answer
    same: bool
    changed: tuple[str, ...] = ()


# --- explanations ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a question as the lexical leg counts it: what it was analysed to, and how often
    the question says it. Without `tokens` it is not counted (a stop word)."""

    text: str
    tokens: tuple[str, ...]
    times: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage in the running and how it fared. `ranks` are its places, from 1, by list: "dense",
    "lexical", "hybrid" (the fused one) and "rerank" (the order the prompt was filled in); it has
    none in a list that lacks it. `passage.scores` are by the same names. `terms` says how much each
    word of the question adds to its BM25 score, words that it lacks being left out. Either `marker`
    is its number in the prompt, or `left_out` says why it is not in it."""

    passage: Passage
    ranks: Mapping[str, int]
    terms: Mapping[str, float]
    marker: int | None
    left_out: LeftOut | None


@dataclass(frozen=True, slots=True)
class Removed:
    """A passage that the question would have found but for `unmet`, its conditions that the
    passage does not meet. `rank` is its place, from 1, in the fused list without conditions."""

    passage: Passage
    rank: int
    unmet: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a question came to its passages, as of `generation`. It tells of nothing that the one who
    asks may not read: `readable` counts the chunks of the collection that are live and permitted,
    `meeting` those among them that meet the conditions. `lists` names the ranked lists in the order
    they came about. `candidates` stand in the order the prompt was filled in, those that were given
    up before it last. `timings` are seconds per stage.

    Of a stored answer (`answer` is its id) the search was done again as of its generation, by
    today's settings and rights: `same` is whether the prompt came out with the passages it had.
    Its `timings` are the answer's own."""

    question: str
    generation: int
    terms: tuple[Term, ...]
    lists: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    readable: int
    meeting: int
    conditions: tuple[Condition, ...]
    removed: tuple[Removed, ...]
    timings: Mapping[str, float]
    answer: str = ""
    same: bool = True


# --- adapters ----------------------------------------------------------------------------------


class AdapterState(StrEnum):
    CANDIDATE = "candidate"  # registered, answers nobody's questions yet
    PROMOTED = "promoted"  # answers the questions of its scope
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Source:
    """A document's version that an adapter was trained on."""

    document: str
    version: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """LoRA weights with their base, training data lineage and measured effect. `base` is the
    identity of the checkpoint, `digest` the sha256 of the weights file, `folder` where they lie,
    relative to the data folder. Its scope is one collection (an id), or None: every collection of
    its base. `promoted` is when it was last promoted, None once that was taken back."""

    name: str
    base: str
    digest: str
    folder: str
    state: AdapterState
    collection: str | None
    card: Mapping[str, object]
    sources: tuple[Source, ...]
    promoted: datetime | None
    created: datetime

    @property
    def identity(self) -> str:
        """How a stored answer names it."""
        return adapter_identity(self.name, self.digest)

    @property
    def gate(self) -> object:
        """What the last gate it was measured by said, as its card keeps it; None without one."""
        effect = self.card.get("effect")
        return effect.get("gate") if isinstance(effect, Mapping) else None

    @property
    def passed(self) -> bool:
        """Whether that gate let it pass."""
        return isinstance(self.gate, Mapping) and bool(self.gate.get("passed"))


def adapter_identity(name: str, digest: str) -> str:
    """An adapter's name with the first 12 hex digits of its weights' sha256."""
    return f"{name}@{digest[:12]}"
