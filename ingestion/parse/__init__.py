"""One file a family of formats; `parse` chooses among them by content."""

from ingestion.parse.dispatch import parse

__all__ = ["parse"]
