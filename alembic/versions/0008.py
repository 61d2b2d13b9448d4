"""Vectors in a table of their own, by embedding, so that another embedder's can be built beside
those in use; and jobs that read stored bytes again"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "embeddings",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=True),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("left_at", INSTANT, nullable=True),
        sa.Column("created", INSTANT, nullable=False),
        sa.CheckConstraint(
            "state IN ('building', 'current', 'leaving', 'former', 'dropped')",
            name="ck_embeddings_state",
        ),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_embeddings_collection_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_embeddings"),
    )
    op.create_index("ix_embeddings_state", "embeddings", ["state"])
    for state in ("current", "building"):
        only = sa.text(f"state = '{state}'")
        op.create_index(
            f"uq_embeddings_collection_{state}",
            "embeddings",
            ["collection"],
            unique=True,
            sqlite_where=only,
            postgresql_where=only,
        )
    op.create_table(
        "vectors",
        sa.Column("chunk", sa.String(64), nullable=False),
        sa.Column("embedding", sa.String(64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk", "embedding", name="pk_vectors"),
    )
    op.execute(
        'INSERT INTO embeddings (id, collection, embedder, dimension, state, born, "after", '
        '"user", step, progress, error, created) '
        "SELECT id, id, embedder, dimension, 'current', 0, 0, '', '', 1, '', created "
        "FROM collections"
    )
    op.execute(  # rows of a chunk under other rights have the same vector
        "INSERT INTO vectors (chunk, embedding, vector) "
        "SELECT c.chunk, c.collection, c.vector FROM chunks c WHERE NOT EXISTS "
        "(SELECT 1 FROM chunks o WHERE o.chunk = c.chunk AND o.born < c.born) "
        "AND length(c.vector) > 0"
    )
    op.drop_column("chunks", "vector")
    op.drop_column("collections", "embedder")
    op.drop_column("collections", "dimension")
    op.add_column(
        "jobs", sa.Column("reread", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """To the embedder in use; chunks that have no vector by it ended before it was, and get an
    empty one."""
    op.drop_column("jobs", "reread")
    op.add_column("collections", sa.Column("dimension", sa.Integer(), nullable=True))
    op.add_column(
        "collections", sa.Column("embedder", sa.Text(), nullable=False, server_default="")
    )
    current = "(SELECT e.{} FROM embeddings e WHERE e.collection = collections.id AND {})"
    held = "e.state = 'current'"
    op.execute(
        f"UPDATE collections SET embedder = {current.format('embedder', held)}, "
        f"dimension = {current.format('dimension', held)}"
    )
    op.add_column(
        "chunks", sa.Column("vector", sa.LargeBinary(), nullable=False, server_default="")
    )
    op.execute(
        "UPDATE chunks SET vector = v.vector FROM vectors v, embeddings e "
        "WHERE v.chunk = chunks.chunk AND e.id = v.embedding AND e.state = 'current'"
    )
    op.drop_table("vectors")
    op.drop_table("embeddings")
