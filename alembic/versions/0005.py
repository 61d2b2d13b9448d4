"""Origins: where documents are brought from, and what was seen there"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "origins",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("every", sa.Double(), nullable=False),
        sa.Column("readers", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.Column("due", INSTANT, nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("synced", INSTANT, nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('folder', 'urls', 'sitemap', 'bucket')", name="ck_origins_kind"
        ),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_origins_collection_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_origins"),
        sa.UniqueConstraint("collection", "name", name="uq_origins_collection_name"),
    )
    op.create_index("ix_origins_due", "origins", ["due"], unique=False)
    op.create_table(
        "origin_items",
        sa.Column("origin", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("missing", sa.Boolean(), nullable=False),
        sa.Column("seen", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["document"],
            ["documents.id"],
            name="fk_origin_items_document_documents",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["origin"],
            ["origins.id"],
            name="fk_origin_items_origin_origins",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("origin", "digest", name="pk_origin_items"),
    )
    op.create_index("ix_origin_items_document", "origin_items", ["document"], unique=False)


def downgrade() -> None:
    op.drop_table("origin_items")
    op.drop_table("origins")
