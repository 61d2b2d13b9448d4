"""What the examination of a version found, and what finds copies of it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("versions", sa.Column("findings", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("versions", sa.Column("signature", sa.LargeBinary(), nullable=True))
    op.create_index("ix_versions_collection_sha256", "versions", ["collection", "sha256"])
    op.create_index("ix_versions_collection_text_blob", "versions", ["collection", "text_blob"])
    op.create_table(
        "bands",
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("band", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["versions.id"], name="fk_bands_version_versions", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["collection"],
            ["collections.id"],
            name="fk_bands_collection_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version", "band", name="pk_bands"),
    )
    op.create_index("ix_bands_collection_band", "bands", ["collection", "band"])


def downgrade() -> None:
    op.drop_table("bands")
    op.drop_index("ix_versions_collection_text_blob", "versions")
    op.drop_index("ix_versions_collection_sha256", "versions")
    op.drop_column("versions", "signature")
    op.drop_column("versions", "findings")
