"""Documents that show whether a search saw all of one of them: several parts, each with the
document's own word, its edition and its number; and the one who looks while all is in motion."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rag.client import Client
from rag.domain import Leg, Passage
from rag.errors import AttestError, Unavailable

MARK = re.compile(r"edition (\d+) part (\d+) of (\d+)")
PROSE = (
    "the office books trains and pays for them at the end of each month when all bills are in and "
    "a manager has read what they are for while others keep the list of rooms and their keys"
)
PAUSE = 0.1  # seconds between two searches: the processors are there for the work
MOST = 100  # passages of one search: more than any edition has


@dataclass(frozen=True)
class Paper:
    """One document in `editions` editions; a `broken` one cannot be read by anybody."""

    name: str
    word: str
    editions: int
    broken: bool

    def bytes(self, edition: int) -> bytes:
        if self.broken:
            return b"%PDF-1.7 " + self.word.encode()
        chance = random.Random(f"{self.word} {edition}")
        words = PROSE.split()
        parts = chance.randint(3, 6)
        lines = [f"# Paper {self.word}"]
        for part in range(1, parts + 1):
            mark = f"{self.word} edition {edition} part {part} of {parts}"
            sentences = (f"{mark}: {' '.join(chance.choices(words, k=14))}." for _ in range(6))
            lines += [f"## Part {part}", " ".join(sentences)]
        return "\n\n".join(lines).encode()


def papers(count: int, seed: int) -> list[Paper]:
    """A third has two editions; one of fifty is broken."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        broken = chance.random() < 0.02
        editions = 1 if broken or chance.random() > 1 / 3 else 2
        word = "qz" + "".join("bcdfghjklm"[int(digit)] for digit in f"{number:05}") + "x"
        ending = "pdf" if broken else "md"
        made.append(Paper(f"papers/{number:05}.{ending}", word, editions, broken))
    return made


@dataclass(frozen=True)
class Sighting:
    """What one search for a paper's word saw: marks of (edition, part, parts), and versions."""

    marks: frozenset[tuple[int, int, int]]
    versions: int

    @property
    def edition(self) -> int:
        """The newest one in sight, 0 for none."""
        return max((edition for edition, _, _ in self.marks), default=0)

    def wrong(self, seen_before: int) -> str:
        """Why no question should see this, after one that saw edition `seen_before`; "" if none."""
        if len({edition for edition, _, _ in self.marks}) > 1 or self.versions > 1:
            return f"two editions at once: {sorted(self.marks)}"
        whole = {(self.edition, part, of) for _, _, of in self.marks for part in range(1, of + 1)}
        if whole != self.marks:
            return f"a part of edition {self.edition}: {sorted(self.marks)}"
        if self.edition < seen_before:
            return f"edition {self.edition} after edition {seen_before} had been seen"
        return ""


def sighting(passages: Iterable[Passage]) -> Sighting:
    found = list(passages)
    marks = (MARK.findall(passage.chunk.text) for passage in found)
    return Sighting(
        frozenset((int(a), int(b), int(c)) for each in marks for a, b, c in each),
        len({passage.chunk.version for passage in found}),
    )


class Searcher:
    """Searches for random papers through the API, in a thread, until the block ends. `bad` says
    what should not have been seen, `seen` counts the sightings by edition (0: nothing yet)."""

    def __init__(self, address: str, collection: str, papers: Sequence[Paper], seed: int) -> None:
        self._address, self._collection, self._seed = address, collection, seed
        self._papers = [paper for paper in papers if not paper.broken]
        self._newest: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="searcher", daemon=True)
        self.bad: list[str] = []
        self.seen: Counter[int] = Counter()
        self.refused = 0  # searches while the API was away

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        chance = random.Random(self._seed)
        with Client(self._address, timeout=60) as client:
            while not self._over.wait(PAUSE):
                try:
                    self.look(client, chance.choice(self._papers))
                except Unavailable:
                    self.refused += 1
                    time.sleep(0.3)
                except AttestError as exc:
                    self.bad.append(f"a search was refused: {exc}")

    def look(self, client: Client, paper: Paper) -> Sighting:
        """Raises AttestError."""
        before = self._newest.get(paper.name, 0)
        found = sighting(client.search(self._collection, paper.word, Leg.LEXICAL, MOST))
        if wrong := found.wrong(before):
            self.bad.append(f"{paper.name}: {wrong}")
        self._newest[paper.name] = max(before, found.edition)
        self.seen[found.edition] += 1
        return found
