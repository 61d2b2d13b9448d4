"""The reader's pieces on their way to `rag.reading`: ended once nobody waits for them, and cut
before a stop sequence. Whoever stops listening closes the reader with it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from rag.errors import Abandoned
from rag.ports import Piece

Gone = Callable[[], bool]  # whether nobody waits any more; asked before each piece


def somebody_waits() -> bool:
    """The `Gone` of callers that stay."""
    return False


def wanted(pieces: Generator[Piece], gone: Gone) -> Generator[Piece]:
    """The pieces while somebody waits for them. Raises Abandoned."""
    with closing(pieces):
        while not gone():
            piece = next(pieces, None)
            if piece is None:
                return
            yield piece
    raise Abandoned("nobody waits for this answer any more")


@dataclass(frozen=True, slots=True)
class PlainPiece:
    """A piece by itself: with its text cut, or come from elsewhere."""

    text: str
    tokens: int
    logprob: float
    refusal: float = 0.0
    timings: Mapping[str, float] = field(default_factory=dict)


def before(pieces: Generator[Piece], stop: Sequence[str]) -> Generator[Piece]:
    """The pieces up to the first of the sequences in `stop` (none of them empty), without it. What
    may be the beginning of one is held back until that is known."""
    longest = max(map(len, stop), default=1) - 1
    held = ""
    with closing(pieces):
        for piece in pieces:
            held += piece.text
            found = [at for at in map(held.find, stop) if at >= 0]
            sure = min(found) if found else max(0, len(held) - longest)
            yield PlainPiece(held[:sure], piece.tokens, piece.logprob, piece.refusal, piece.timings)
            if found:
                return
            held = held[sure:]
    if held:
        yield PlainPiece(held, 0, 0.0)
