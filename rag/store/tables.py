"""The tables: the truth, from which everything else can be made again.

Rows of `versions` and `chunks` carry `born` and `died` generations and never change but for
`died`. All times are UTC. Types are chosen to mean the same on SQLite and PostgreSQL; JSON stays
`json` (not `jsonb`), so that numbers and key order come back as they went in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAME_LENGTH: Final = 500


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


Id = String(64)
Sha256 = String(64)
Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only INTEGER keys
Json = JSON(none_as_null=True)


def _collection() -> Mapped[str]:
    return mapped_column(Id, ForeignKey("collections.id", ondelete="CASCADE"))


class CollectionRow(Base):
    __tablename__ = "collections"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    rights: Mapped[dict[str, str]] = mapped_column(Json)
    settings: Mapped[dict[str, Any]] = mapped_column(Json)
    generation: Mapped[int] = mapped_column(BigInteger)
    created: Mapped[datetime] = mapped_column(Instant)


class EmbeddingRow(Base):
    """The vectors of a collection's chunks by one embedder (`rag.domain.Embedding`). The first has
    the collection's id. `through` is the generation up to which one that is built has all vectors,
    `after` the row up to which it was looked for chunks without one, `left_at` when it was
    replaced."""

    __tablename__ = "embeddings"
    __table_args__ = (
        Index(
            "uq_embeddings_collection_current",
            "collection",
            unique=True,
            sqlite_where=text("state = 'current'"),
            postgresql_where=text("state = 'current'"),
        ),
        Index(
            "uq_embeddings_collection_building",
            "collection",
            unique=True,
            sqlite_where=text("state = 'building'"),
            postgresql_where=text("state = 'building'"),
        ),
        Index("ix_embeddings_state", "state"),
        CheckConstraint(
            "state IN ('building', 'current', 'leaving', 'former', 'dropped')", name="state"
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    collection: Mapped[str] = _collection()
    embedder: Mapped[str] = mapped_column(Text)
    dimension: Mapped[int | None]  # None until the first document
    state: Mapped[str] = mapped_column(String(16))
    born: Mapped[int] = mapped_column(BigInteger)
    through: Mapped[int | None] = mapped_column(BigInteger)
    after: Mapped[int] = mapped_column(BigInteger, default=0)
    user: Mapped[str] = mapped_column(Text, default="")
    step: Mapped[str] = mapped_column(Text, default="")
    progress: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[str] = mapped_column(Text, default="")
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    left_at: Mapped[datetime | None] = mapped_column(Instant)
    created: Mapped[datetime] = mapped_column(Instant)


class VectorRow(Base):
    """A chunk's vector in one embedding; float32, little-endian. Rows of the chunk under other
    rights share it."""

    __tablename__ = "vectors"

    chunk: Mapped[str] = mapped_column(Id, primary_key=True)
    embedding: Mapped[str] = mapped_column(Id, primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class GenerationRow(Base):
    """One committed change of a collection; `change` is published, deleted, access or embedder,
    `document` the one changed, or the embedding that questions read from then on."""

    __tablename__ = "generations"

    collection: Mapped[str] = mapped_column(
        Id, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    change: Mapped[str] = mapped_column(String(16))
    document: Mapped[str] = mapped_column(Id)
    at: Mapped[datetime] = mapped_column(Instant)


class DocumentRow(Base):
    """`given` is the uploader's metadata; the file's own lies with the version. `gone` is the
    generation from which the document is deleted, `parent` the document whose file holds this
    one's: it is replaced, narrowed and deleted with that."""

    __tablename__ = "documents"
    __table_args__ = (
        Index(
            "uq_documents_collection_name",
            "collection",
            "name",
            unique=True,
            sqlite_where=text("gone IS NULL"),
            postgresql_where=text("gone IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    collection: Mapped[str] = _collection()
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    readers: Mapped[list[str] | None] = mapped_column(Json)
    given: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    gone: Mapped[int | None] = mapped_column(BigInteger)
    parent: Mapped[str | None] = mapped_column(Id, index=True)
    created: Mapped[datetime] = mapped_column(Instant)


class VersionRow(Base):
    """`own` is the metadata found in the file. Live while `died` is empty. `findings` and
    `signature` are empty for what was taken in before texts were examined."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("document", "sha256", "born"),
        Index(
            "uq_versions_document_live",
            "document",
            unique=True,
            sqlite_where=text("died IS NULL"),
            postgresql_where=text("died IS NULL"),
        ),
        CheckConstraint("died IS NULL OR died >= born", name="lifetime"),
        Index("ix_versions_collection_sha256", "collection", "sha256"),
        Index("ix_versions_collection_text_blob", "collection", "text_blob"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    collection: Mapped[str] = mapped_column(
        Id, ForeignKey("collections.id", ondelete="CASCADE"), index=True
    )
    document: Mapped[str] = mapped_column(Id, ForeignKey("documents.id", ondelete="CASCADE"))
    sha256: Mapped[str] = mapped_column(Sha256)
    media_type: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    pages: Mapped[int | None]
    text_blob: Mapped[str] = mapped_column(Sha256)
    layout_blob: Mapped[str | None] = mapped_column(Sha256)
    own: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    findings: Mapped[dict[str, Any] | None] = mapped_column(Json)
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    chunks: Mapped[int]
    born: Mapped[int] = mapped_column(BigInteger)
    died: Mapped[int | None] = mapped_column(BigInteger)
    created: Mapped[datetime] = mapped_column(Instant)


class BandRow(Base):
    """What the versions of a collection that are nearly the same have in common, see
    `rag.resemblance.bands`."""

    __tablename__ = "bands"
    __table_args__ = (Index("ix_bands_collection_band", "collection", "band"),)

    version: Mapped[str] = mapped_column(
        Id, ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True
    )
    band: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    collection: Mapped[str] = _collection()


class BlocksRow(Base):
    """The blocks of one version, in order, as one JSON list: they are only ever read together."""

    __tablename__ = "blocks"

    version: Mapped[str] = mapped_column(
        Id, ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True
    )
    items: Mapped[list[dict[str, Any]]] = mapped_column(Json)


class ChunkRow(Base):
    """One indexed chunk under one access. A changed right ends the row and starts a new one with
    the same `chunk`. Its vectors lie in `vectors`."""

    __tablename__ = "chunks"
    __table_args__ = (
        Index("ix_chunks_collection_born", "collection", "born"),
        Index("ix_chunks_collection_died", "collection", "died"),
        UniqueConstraint("chunk", "born"),
        Index(
            "uq_chunks_chunk_live",
            "chunk",
            unique=True,
            sqlite_where=text("died IS NULL"),
            postgresql_where=text("died IS NULL"),
        ),
        CheckConstraint("died IS NULL OR died > born", name="lifetime"),
        {"sqlite_autoincrement": True},  # a purged row's number is never used again
    )

    row: Mapped[int] = mapped_column(Serial, primary_key=True)
    collection: Mapped[str] = _collection()
    document: Mapped[str] = mapped_column(
        Id, ForeignKey("documents.id", ondelete="CASCADE"), index=True
    )
    version: Mapped[str] = mapped_column(
        Id, ForeignKey("versions.id", ondelete="CASCADE"), index=True
    )
    chunk: Mapped[str] = mapped_column(Id)
    start: Mapped[int]
    end: Mapped[int]
    heading_path: Mapped[list[str]] = mapped_column(Json)
    page: Mapped[int | None]
    text: Mapped[str] = mapped_column(Text)
    indexed: Mapped[str] = mapped_column(Text)
    readers: Mapped[list[str] | None] = mapped_column(Json)
    merged: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    born: Mapped[int] = mapped_column(BigInteger)
    died: Mapped[int | None] = mapped_column(BigInteger)


CHUNKS: Final[Table] = Base.metadata.tables["chunks"]  # for statements over many rows
VECTORS: Final[Table] = Base.metadata.tables["vectors"]


class JobRow(Base):
    """`number` is the order of acceptance: of two uploads of one document the later one wins.
    `readers` and `given` are what the uploader wants the document to have. Whoever has `bulk` lets
    those go first that a person waits for. `reread`: bytes that are live already are read again."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_state_lease_until", "state", "lease_until"),
        Index("ix_jobs_state_bulk_number", "state", "bulk", "number"),
        Index("ix_jobs_document_number", "document", "number"),
        Index("ix_jobs_collection_number", "collection", "number"),
        CheckConstraint("progress >= 0 AND progress <= 1", name="progress"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    collection: Mapped[str] = _collection()
    document: Mapped[str] = mapped_column(Id, ForeignKey("documents.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    sha256: Mapped[str] = mapped_column(Sha256)
    size: Mapped[int] = mapped_column(BigInteger)
    readers: Mapped[list[str] | None] = mapped_column(Json)
    given: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    bulk: Mapped[bool] = mapped_column(default=False, server_default=false())
    reread: Mapped[bool] = mapped_column(default=False, server_default=false())
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    step: Mapped[str] = mapped_column(Text, default="")
    progress: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[str] = mapped_column(Text, default="")
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    version: Mapped[str | None] = mapped_column(Id)
    generation: Mapped[int | None] = mapped_column(BigInteger)
    created: Mapped[datetime] = mapped_column(Instant)
    updated: Mapped[datetime] = mapped_column(Instant)


class AnswerRow(Base):
    __tablename__ = "answers"
    __table_args__ = (
        Index("ix_answers_collection_user_number", "collection", "user", "number"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    collection: Mapped[str] = _collection()
    user: Mapped[str] = mapped_column(Text)
    question: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(String(16))
    confidence: Mapped[float]
    citations: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    passages: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    timings: Mapped[dict[str, float]] = mapped_column(Json)
    replay: Mapped[dict[str, Any]] = mapped_column(Json)
    usage: Mapped[dict[str, int] | None] = mapped_column(Json)  # NULL: not counted
    created: Mapped[datetime] = mapped_column(Instant)
    erased: Mapped[datetime | None] = mapped_column(Instant)  # its words went with a document


class AnswerSourceRow(Base):
    """What an answer rests on: a chunk it was given, at the generation it was asked at. `chunk` is
    "" for a document that it only names, as one that says the same."""

    __tablename__ = "answer_sources"
    __table_args__ = (
        Index("ix_answer_sources_chunk", "chunk"),
        Index("ix_answer_sources_document", "document"),
    )

    answer: Mapped[str] = mapped_column(
        Id, ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True
    )
    chunk: Mapped[str] = mapped_column(Id, primary_key=True)
    document: Mapped[str] = mapped_column(Id, primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger)


class UnusedBlobRow(Base):
    """A blob that a row which is gone has used; whether another still does is asked before its
    bytes go."""

    __tablename__ = "unused_blobs"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)


class UserRow(Base):
    __tablename__ = "users"

    user: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)
    admin: Mapped[bool] = mapped_column(default=False)
    disabled: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(Instant)


class MembershipRow(Base):
    __tablename__ = "memberships"

    user: Mapped[str] = mapped_column(
        String(NAME_LENGTH), ForeignKey("users.user", ondelete="CASCADE"), primary_key=True
    )
    group: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)


class KeyRow(Base):
    """An API key; only its hash is kept."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user: Mapped[str] = mapped_column(
        String(NAME_LENGTH), ForeignKey("users.user", ondelete="CASCADE"), index=True
    )
    label: Mapped[str] = mapped_column(Text)
    key_hash: Mapped[str] = mapped_column(String(200), unique=True)
    scopes: Mapped[list[str]] = mapped_column(Json)
    created: Mapped[datetime] = mapped_column(Instant)
    revoked: Mapped[datetime | None] = mapped_column(Instant)


class AuditRow(Base):
    """`detail` is canonical JSON text, because the digest is over its letters."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Instant)
    user: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(Sha256)
    digest: Mapped[str] = mapped_column(Sha256)


class AuditHeadRow(Base):
    """The last entry's number and digest: the one row that writers of the log queue for, and what
    shows that entries were cut off at the end."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(Sha256)


class RunRow(Base):
    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_kind_number", "kind", "number"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    kind: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(Text)
    report: Mapped[dict[str, Any]] = mapped_column(Json)
    created: Mapped[datetime] = mapped_column(Instant)


class AdapterRow(Base):
    """One registered adapter. `collection` empty: for every collection of its base; no foreign key,
    so that a deleted collection's adapter does not become everybody's. `promotion` counts the
    promotions: the promoted one of a scope has the greatest, a rollback goes back to the next
    smaller. It is empty for what was never promoted, was rolled back or was retired by hand."""

    __tablename__ = "adapters"
    __table_args__ = (
        Index(
            "uq_adapters_base_promoted",
            "base",
            unique=True,
            sqlite_where=text("state = 'promoted' AND collection IS NULL"),
            postgresql_where=text("state = 'promoted' AND collection IS NULL"),
        ),
        Index(
            "uq_adapters_base_collection_promoted",
            "base",
            "collection",
            unique=True,
            sqlite_where=text("state = 'promoted' AND collection IS NOT NULL"),
            postgresql_where=text("state = 'promoted' AND collection IS NOT NULL"),
        ),
        CheckConstraint("state IN ('candidate', 'promoted', 'retired')", name="state"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    base: Mapped[str] = mapped_column(String(NAME_LENGTH))
    digest: Mapped[str] = mapped_column(Sha256)
    folder: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    collection: Mapped[str | None] = mapped_column(Id)
    card: Mapped[dict[str, Any]] = mapped_column(Json)
    promotion: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    promoted: Mapped[datetime | None] = mapped_column(Instant)
    created: Mapped[datetime] = mapped_column(Instant)


class AdapterSourceRow(Base):
    """A document's version that an adapter was trained on. It outlives the document: a purge asks
    which adapters still carry it."""

    __tablename__ = "adapter_sources"

    adapter: Mapped[int] = mapped_column(
        Serial, ForeignKey("adapters.number", ondelete="CASCADE"), primary_key=True
    )
    document: Mapped[str] = mapped_column(Id, primary_key=True, index=True)
    version: Mapped[str] = mapped_column(Id, primary_key=True)


class FeedbackRow(Base):
    """What a user says of an answer: `verdict` is right or wrong, `correction` the right answer or
    "". `passages` are the chunk ids in prompt order, `cited` those that the answer cites. A user
    has one opinion of an answer; a later one replaces it."""

    __tablename__ = "feedback"
    __table_args__ = (
        UniqueConstraint("answer", "user"),
        Index("ix_feedback_collection_number", "collection", "number"),
        CheckConstraint("verdict IN ('right', 'wrong')", name="verdict"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(Id, unique=True)
    answer: Mapped[str] = mapped_column(Id, ForeignKey("answers.id", ondelete="CASCADE"))
    collection: Mapped[str] = _collection()
    user: Mapped[str] = mapped_column(String(NAME_LENGTH))
    question: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(String(16))
    correction: Mapped[str] = mapped_column(Text, default="")
    passages: Mapped[list[str]] = mapped_column(Json)
    cited: Mapped[list[str]] = mapped_column(Json)
    created: Mapped[datetime] = mapped_column(Instant)


class OriginRow(Base):
    """`rules` holds include, exclude and prefix. No secret is ever written here: those that a
    bucket needs are in the settings. `due` empty: only when somebody asks."""

    __tablename__ = "origins"
    __table_args__ = (
        UniqueConstraint("collection", "name"),
        Index("ix_origins_due", "due"),
        CheckConstraint("kind IN ('folder', 'urls', 'sitemap', 'bucket')", name="kind"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    collection: Mapped[str] = _collection()
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    kind: Mapped[str] = mapped_column(String(16))
    addresses: Mapped[list[str]] = mapped_column(Json)
    rules: Mapped[dict[str, Any]] = mapped_column(Json)
    every: Mapped[float]
    readers: Mapped[list[str] | None] = mapped_column(Json)
    given: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    user: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(Instant)
    due: Mapped[datetime | None] = mapped_column(Instant)
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    synced: Mapped[datetime | None] = mapped_column(Instant)
    counts: Mapped[dict[str, int]] = mapped_column(Json)
    held: Mapped[int] = mapped_column(default=0)
    confirmed: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str] = mapped_column(Text, default="")


class OriginItemRow(Base):
    """`digest` is the sha256 of the key, which may be longer than an index takes."""

    __tablename__ = "origin_items"

    origin: Mapped[str] = mapped_column(
        Id, ForeignKey("origins.id", ondelete="CASCADE"), primary_key=True
    )
    digest: Mapped[str] = mapped_column(Sha256, primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    mark: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Sha256)
    document: Mapped[str | None] = mapped_column(
        Id, ForeignKey("documents.id", ondelete="SET NULL"), index=True
    )
    error: Mapped[str] = mapped_column(Text)
    missing: Mapped[bool]
    seen: Mapped[datetime] = mapped_column(Instant)
