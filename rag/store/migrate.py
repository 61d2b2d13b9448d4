"""Bringing a database to this version's tables, from any working directory.

The migrations lie in the top-level folder `alembic/`: beside the package in a checkout, under
`share/attest-rag/alembic` of the environment when installed from a wheel.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

import rag
from rag.errors import BadSettings, Conflict, Corrupt, StoreUnavailable
from rag.store.engine import WRITING, database_url, make_engine

_LOCK = 0x417474657374  # the name of PostgreSQL's advisory lock for migrations: "Attest"


def upgrade(url: str, revision: str = "head") -> str:
    """Apply what is missing, all or nothing; returns the revision reached. Processes that do it
    together wait for each other. Raises BadSettings, StoreUnavailable, DiskFull, Conflict when
    the database was made by a newer Attest."""
    _make_folder(url)
    if revision == "head" and current(url) == head():  # nearly always: nobody has to wait for it
        return head()
    with _migrating(url) as (connection, config):
        command.upgrade(config, revision)
        return _current(connection) or ""


def downgrade(url: str, revision: str) -> str:
    """Go back to `revision` ("base": no tables); returns it. Raises as `upgrade`."""
    with _migrating(url) as (connection, config):
        command.downgrade(config, revision)
        return _current(connection) or ""


def current(url: str) -> str:
    """The revision the database is at, "" for one without tables."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return _current(connection) or ""
    finally:
        engine.dispose()


@cache
def head() -> str:
    """The newest revision this version knows."""
    return ScriptDirectory(str(scripts())).get_current_head() or ""


def scripts() -> Path:
    """The folder of the migrations. Raises BadSettings when the installation lacks it."""
    beside = Path(rag.__file__).resolve().parent.parent / "alembic"
    installed = Path(sysconfig.get_path("data")) / "share" / "attest-rag" / "alembic"
    for folder in (beside, installed):
        if (folder / "env.py").is_file():
            return folder
    raise BadSettings(f"the migrations are missing: neither {beside} nor {installed} has env.py")


@contextmanager
def _migrating(url: str) -> Iterator[tuple[Connection, Config]]:
    """One writing transaction, committed at the end. SQLite's foreign keys are off in it, since a
    migration that rebuilds a table would otherwise delete the rows that refer to it; they are
    checked as a whole before the commit."""
    engine = make_engine(url, foreign_keys=False)
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.connect().execution_options(**{WRITING: True}) as connection:
            config.attributes["connection"] = connection
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield connection, config
            _check_references(connection)
            connection.commit()
    except CommandError as exc:
        raise Conflict(
            f"the database is at a revision this version does not know ({exc}); "
            "install the Attest that made it, or a newer one"
        ) from exc
    finally:
        engine.dispose()


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5)
        if broken:
            raise Corrupt(f"rows refer to others that do not exist: {broken}")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _make_folder(url: str) -> None:
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StoreUnavailable(
                f"the folder of {parsed.database} cannot be made: {exc}"
            ) from exc
