"""The first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("number", SERIAL, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_audit_head_single"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.create_table(
        "collections",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("rights", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collections"),
        sa.UniqueConstraint("name", name="uq_collections_name"),
    )
    op.create_table(
        "runs",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
        sa.UniqueConstraint("id", name="uq_runs_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_kind_number", "runs", ["kind", "number"], unique=False)

    op.create_table(
        "users",
        sa.Column("user", sa.String(length=500), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user", name="pk_users"),
    )
    op.create_table(
        "answers",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("citations", sa.JSON(), nullable=False),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.Column("timings", sa.JSON(), nullable=False),
        sa.Column("replay", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_answers_collection_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name="pk_answers"),
        sa.UniqueConstraint("id", name="uq_answers_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_answers_collection_user_number",
        "answers",
        ["collection", "user", "number"],
        unique=False,
    )

    op.create_table(
        "documents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("readers", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("gone", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_documents_collection_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
    )
    op.create_index(
        "uq_documents_collection_name",
        "documents",
        ["collection", "name"],
        unique=True,
        sqlite_where=sa.text("gone IS NULL"),
        postgresql_where=sa.text("gone IS NULL"),
    )

    op.create_table(
        "generations",
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("change", sa.String(length=16), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_generations_collection_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection", "number", name="pk_generations"),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=500), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.String(length=200), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user"], ["users.user"], name="fk_keys_user_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("key_hash", name="uq_keys_key_hash"),
    )
    op.create_index("ix_keys_user", "keys", ["user"], unique=False)

    op.create_table(
        "memberships",
        sa.Column("user", sa.String(length=500), nullable=False),
        sa.Column("group", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["user"], ["users.user"], name="fk_memberships_user_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user", "group", name="pk_memberships"),
    )
    op.create_table(
        "jobs",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("readers", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name="ck_jobs_progress"),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_jobs_collection_collections",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["document"], ["documents.id"], name="fk_jobs_document_documents", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_collection_number", "jobs", ["collection", "number"], unique=False)
    op.create_index("ix_jobs_document_number", "jobs", ["document", "number"], unique=False)
    op.create_index("ix_jobs_state_lease_until", "jobs", ["state", "lease_until"], unique=False)

    op.create_table(
        "versions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("text_blob", sa.String(length=64), nullable=False),
        sa.Column("layout_blob", sa.String(length=64), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("died", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("died IS NULL OR died >= born", name="ck_versions_lifetime"),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_versions_collection_collections",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["document"],
            ["documents.id"],
            name="fk_versions_document_documents",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.UniqueConstraint("document", "sha256", "born", name="uq_versions_document_sha256_born"),
    )
    op.create_index("ix_versions_collection", "versions", ["collection"], unique=False)
    op.create_index(
        "uq_versions_document_live",
        "versions",
        ["document"],
        unique=True,
        sqlite_where=sa.text("died IS NULL"),
        postgresql_where=sa.text("died IS NULL"),
    )

    op.create_table(
        "blocks",
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["versions.id"], name="fk_blocks_version_versions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version", name="pk_blocks"),
    )
    op.create_table(
        "chunks",
        sa.Column("row", SERIAL, nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("chunk", sa.String(length=64), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("heading_path", sa.JSON(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("indexed", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("readers", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("died", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("died IS NULL OR died > born", name="ck_chunks_lifetime"),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_chunks_collection_collections",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["document"], ["documents.id"], name="fk_chunks_document_documents", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["versions.id"], name="fk_chunks_version_versions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("row", name="pk_chunks"),
        sa.UniqueConstraint("chunk", "born", name="uq_chunks_chunk_born"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_chunks_collection_born", "chunks", ["collection", "born"], unique=False)
    op.create_index("ix_chunks_collection_died", "chunks", ["collection", "died"], unique=False)
    op.create_index("ix_chunks_document", "chunks", ["document"], unique=False)
    op.create_index("ix_chunks_version", "chunks", ["version"], unique=False)
    op.create_index(
        "uq_chunks_chunk_live",
        "chunks",
        ["chunk"],
        unique=True,
        sqlite_where=sa.text("died IS NULL"),
        postgresql_where=sa.text("died IS NULL"),
    )
    head = sa.table("audit_head", sa.column("id"), sa.column("number"), sa.column("digest"))
    op.bulk_insert(head, [{"id": 1, "number": 0, "digest": "0" * 64}])


def downgrade() -> None:
    op.drop_table("chunks")
    op.drop_table("blocks")
    op.drop_table("versions")
    op.drop_table("jobs")
    op.drop_table("memberships")
    op.drop_table("keys")
    op.drop_table("generations")
    op.drop_table("documents")
    op.drop_table("answers")
    op.drop_table("users")
    op.drop_table("runs")
    op.drop_table("collections")
    op.drop_table("audit_head")
    op.drop_table("audit")
