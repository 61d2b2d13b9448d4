"""Streams of the old Office container (compound files)."""

from __future__ import annotations

import olefile

from rag.errors import UnreadableDocument


def streams(data: bytes, *names: str) -> list[bytes]:
    """The bytes of each named stream, b"" for one that is missing. Raises UnreadableDocument."""
    try:
        with olefile.OleFileIO(data) as ole:
            return [ole.openstream(name).read() if ole.exists(name) else b"" for name in names]
    except (OSError, ValueError, IndexError, TypeError, AttributeError) as exc:
        raise damaged(exc) from exc


def damaged(exc: Exception) -> UnreadableDocument:
    return UnreadableDocument(
        f"the old Office file is damaged ({type(exc).__name__}: {str(exc)[:100]}); open it and "
        "save it in today's format or as PDF"
    )
