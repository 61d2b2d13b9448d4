"""Adapters, the documents they were made from, and what users say of answers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "adapters",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("base", sa.String(length=500), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=True),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("promotion", sa.BigInteger(), nullable=True),
        sa.Column("promoted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('candidate', 'promoted', 'retired')", name="ck_adapters_state"
        ),
        sa.PrimaryKeyConstraint("number", name="pk_adapters"),
        sa.UniqueConstraint("name", name="uq_adapters_name"),
        sa.UniqueConstraint("promotion", name="uq_adapters_promotion"),
        sqlite_autoincrement=True,
    )
    _unique_promoted("uq_adapters_base_promoted", ["base"], "collection IS NULL")
    _unique_promoted(
        "uq_adapters_base_collection_promoted", ["base", "collection"], "collection IS NOT NULL"
    )
    op.create_table(
        "adapter_sources",
        sa.Column("adapter", SERIAL, nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter"],
            ["adapters.number"],
            name="fk_adapter_sources_adapter_adapters",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("adapter", "document", "version", name="pk_adapter_sources"),
    )
    op.create_index("ix_adapter_sources_document", "adapter_sources", ["document"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=500), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("correction", sa.Text(), nullable=False),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.Column("cited", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("verdict IN ('right', 'wrong')", name="ck_feedback_verdict"),
        sa.ForeignKeyConstraint(
            ["answer"], ["answers.id"], name="fk_feedback_answer_answers", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_feedback_collection_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name="pk_feedback"),
        sa.UniqueConstraint("id", name="uq_feedback_id"),
        sa.UniqueConstraint("answer", "user", name="uq_feedback_answer_user"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_collection_number", "feedback", ["collection", "number"])


def _unique_promoted(name: str, columns: list[str], scope: str) -> None:
    only = sa.text(f"state = 'promoted' AND {scope}")
    op.create_index(
        name, "adapters", columns, unique=True, sqlite_where=only, postgresql_where=only
    )


def downgrade() -> None:
    op.drop_table("feedback")
    op.drop_table("adapter_sources")
    op.drop_table("adapters")
