"""Which jobs came with many others and let those go first that a person waits for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("bulk", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index("ix_jobs_state_bulk_number", "jobs", ["state", "bulk", "number"])


def downgrade() -> None:
    op.drop_index("ix_jobs_state_bulk_number", "jobs")
    op.drop_column("jobs", "bulk")
