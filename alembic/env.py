"""How Alembic reaches the database: the connection of rag.store.migrate, else a URL."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from rag.store.engine import make_engine
from rag.store.tables import Base


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,  # our SQLite transactions are real ones, see rag.store.engine
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    arguments = context.get_x_argument(as_dictionary=True)
    url = arguments.get("url") or os.environ.get("ATTEST_DATABASE_URL")
    if not url:
        raise SystemExit("name the database: alembic -x url=sqlite:///PATH, or ATTEST_DATABASE_URL")
    with make_engine(url, foreign_keys=False).connect() as opened:
        migrate(opened)
        opened.commit()
