"""A place in a document that can be opened: the words of a citation, or a passage."""

from __future__ import annotations

from dataclasses import dataclass

from rag.domain import Box, Citation, Passage


@dataclass(frozen=True, slots=True)
class Place:
    """`start` and `end` are offsets into the version's text. `support` is None for a passage."""

    document_name: str
    version: str
    start: int
    end: int
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    marker: int | None = None
    support: float | None = None

    @property
    def pages(self) -> list[int]:
        """The pages its words stand on, the first one first; none for formats without pages."""
        found = dict.fromkeys(box.page for box in self.boxes)
        if not found and self.page is not None:
            found = {self.page: None}
        return list(found)


def of_citation(citation: Citation) -> Place:
    return Place(
        citation.document_name,
        citation.version,
        citation.start,
        citation.end,
        citation.page,
        citation.boxes,
        citation.marker,
        citation.support,
    )


def of_passage(passage: Passage, marker: int | None = None) -> Place:
    chunk = passage.chunk
    return Place(
        passage.document_name, chunk.version, chunk.start, chunk.end, chunk.page, (), marker
    )
