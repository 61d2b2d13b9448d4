"""Driver errors into our error tree, at the engine, so that no caller ever sees a SQLAlchemy error
it should act on. What is left untranslated is a fault in our own SQL."""

from __future__ import annotations

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError

from rag.errors import AttestError, BadInput, Conflict, Corrupt, DiskFull, StoreUnavailable

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "40001", "40P01", "55P03")
_FULL = ("SQLITE_FULL", "53100")
_BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "XX001", "XX002")
_NO_TABLE = ("42P01", "42703")


def listen(engine: Engine) -> None:
    """Have every error of this engine's connections translated."""
    event.listen(engine, "handle_error", _raise_ours)


def _raise_ours(context: ExceptionContext) -> BaseException | None:
    if context.is_pre_ping:  # the pool mends this itself
        return None
    return translated(context.original_exception, context.sqlalchemy_exception)


def translated(error: BaseException, wrapped: BaseException | None = None) -> AttestError | None:
    """Our error for a driver's `error` (`wrapped` is SQLAlchemy's class for it), None for a fault
    of ours."""
    code = _code(error)
    said = str(error).strip().split("\n")[0]
    if code.startswith(_FULL):
        return DiskFull(f"the database's disk is full ({said}); free space and try again")
    if code.startswith(_BUSY):
        return StoreUnavailable(f"the database was busy for too long ({said}); try again")
    if code.startswith(_BROKEN):
        return Corrupt(f"the database file is damaged ({said}); restore it from a backup")
    if code.startswith(_NO_TABLE) or said.startswith(("no such table", "no such column")):
        return StoreUnavailable(f"the database has not been upgraded to this version ({said})")
    if isinstance(error, UnicodeEncodeError) or isinstance(wrapped, DataError):
        return BadInput(f"a value cannot be stored: {said}")
    if isinstance(wrapped, IntegrityError):
        return Conflict(f"the database refused a row that contradicts another ({said})")
    if isinstance(wrapped, OperationalError | InterfaceError):
        return StoreUnavailable(f"the database cannot be used: {said}")
    return None


def _code(error: BaseException) -> str:
    """SQLite's error name or PostgreSQL's SQLSTATE; "" when the driver gives none."""
    for name in ("sqlite_errorname", "sqlstate"):
        value = getattr(error, name, None)
        if isinstance(value, str):
            return value
    return ""
