"""How many tokens the reader read and wrote for an answer"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("answers", sa.Column("usage", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("answers", "usage")
