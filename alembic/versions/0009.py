"""What an answer rests on, and blobs whose rows are gone: so that a purge finds both"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)
PAGE = 500  # answers in memory at a time

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("answers", sa.Column("erased", INSTANT, nullable=True))
    sources = op.create_table(
        "answer_sources",
        sa.Column("answer", sa.String(64), nullable=False),
        sa.Column("chunk", sa.String(64), nullable=False),
        sa.Column("document", sa.String(64), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer"],
            ["answers.id"],
            name="fk_answer_sources_answer_answers",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("answer", "chunk", "document", name="pk_answer_sources"),
    )
    op.create_index("ix_answer_sources_chunk", "answer_sources", ["chunk"])
    op.create_index("ix_answer_sources_document", "answer_sources", ["document"])
    op.create_table(
        "unused_blobs",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_unused_blobs"),
    )
    for page in _answers():
        rows = [row for answer in page for row in _sources(*answer)]
        if rows:
            op.bulk_insert(sources, rows)


def _answers() -> Iterator[list[tuple[str, Any, Any]]]:
    """(id, passages, replay), both decoded, a page at a time."""
    connection, after = op.get_bind(), 0
    query = sa.text(
        "SELECT number, id, passages, replay FROM answers WHERE number > :after "
        "ORDER BY number LIMIT :page"
    )
    while found := connection.execute(query, {"after": after, "page": PAGE}).all():
        after = found[-1].number
        yield [(row.id, _decoded(row.passages), _decoded(row.replay)) for row in found]


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value  # PostgreSQL's driver decodes


def _sources(answer: str, passages: Any, replay: Any) -> Iterator[dict[str, Any]]:
    shared = {"answer": answer, "generation": replay["generation"]}
    found = {(passage["chunk"]["id"], passage["document"]) for passage in passages}
    found |= {("", copy["document"]) for each in passages for copy in each.get("also", ())}
    for chunk, document in sorted(found):
        yield shared | {"chunk": chunk, "document": document}


def downgrade() -> None:
    """Answers that were erased go wholly: before, nothing said so of them."""
    op.execute(
        "DELETE FROM feedback WHERE answer IN (SELECT id FROM answers WHERE erased IS NOT NULL)"
    )
    op.execute("DELETE FROM answers WHERE erased IS NOT NULL")
    op.drop_table("unused_blobs")
    op.drop_table("answer_sources")
    op.drop_column("answers", "erased")
