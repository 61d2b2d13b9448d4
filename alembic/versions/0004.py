"""Which document a document lies in: files of archives, attachments of mails"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("parent", sa.String(64), nullable=True))
    op.create_index("ix_documents_parent", "documents", ["parent"])


def downgrade() -> None:
    op.drop_index("ix_documents_parent", "documents")
    op.drop_column("documents", "parent")
