"""Reading a draft while it is written: split it, cite, verify, and decide what is shown."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from time import perf_counter

from rag.cite import Cited, attribute
from rag.confidence import Confidence, Signals
from rag.domain import Box, Citation, Draft, Passage, Said, Verdict
from rag.ports import Piece, Verifier
from rag.sentences import closed, marked_sentences

Boxes = Callable[[str, int, int], tuple[Box, ...]]  # (version, start, end) -> where it stands


@dataclass(frozen=True, slots=True)
class Limits:
    """A sentence whose passages support it by less than `min_support`, or whose confidence is below
    `min_confidence`, is not shown."""

    min_support: float
    min_confidence: float
    confidence: Confidence = field(default_factory=Confidence)

    def as_settings(self) -> dict[str, float]:
        own = {"min_support": self.min_support, "min_confidence": self.min_confidence}
        return own | self.confidence.as_settings()

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> Limits:
        """What `as_settings` wrote."""
        support, sure = (float(str(settings[k])) for k in ("min_support", "min_confidence"))
        return cls(support, sure, Confidence.from_settings(settings) or Confidence())


@dataclass
class Result:
    """What reading came to. `tokens` were written, shown or not."""

    text: str = ""
    verdict: Verdict = Verdict.REFUSED
    confidence: float = 0.0
    signals: Signals | None = None  # of the sentence that is surest
    citations: list[Citation] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    tokens: int = 0


class Reading:
    """Iterates over the verified sentences of one draft while it is written; then `result` holds
    the whole. A sentence is shown only once it is complete, cited and supported. Whoever stops
    iterating stops the reader. `passages` are as the reader reads them, and `numbers` what each is
    called in the answer."""

    def __init__(
        self,
        pieces: Generator[Piece],
        question: str,
        passages: Sequence[Passage],
        numbers: Sequence[int],
        limits: Limits,
        refusal: str,
        boxes: Boxes,
        verifier: Verifier,
    ) -> None:
        self._pieces, self._question, self._passages = pieces, question, passages
        self._numbers = numbers
        self._limits, self._refusal, self._boxes = limits, refusal, boxes
        self._verifier = verifier
        self._draft = Draft("", 0.0, 0)
        self._willing = 1.0
        self._lowest = 0.0
        self._handled = 0
        self._dropped = 0
        self._sentences: list[str] = []
        self.result = Result()

    def __iter__(self) -> Iterator[Said]:
        began = perf_counter()
        spent = 0.0
        first: float | None = None
        with closing(self._pieces):
            for piece in self._pieces if self._passages else ():
                first = first if first is not None else perf_counter() - began
                self.result.timings |= piece.timings
                self.result.tokens += piece.tokens
                self._willing = min(self._willing, 1.0 - piece.refusal)
                total = self._draft.logprob + piece.logprob
                tokens = self._draft.tokens + piece.tokens
                self._draft = Draft(self._draft.text + piece.text, total, tokens)
                if self._hopeless():
                    self._draft = Draft("", 0.0, 0)
                    break
                if piece.tokens:
                    self._lowest = min(self._lowest, piece.logprob / piece.tokens)
                if "[" in self._draft.text:
                    at = perf_counter()
                    yield from self._verified(whole=False)
                    spent += perf_counter() - at
        at = perf_counter()
        yield from self._verified(whole=True)
        spent += perf_counter() - at
        self.result.timings |= {
            "first_token": first or 0.0,
            "generate": perf_counter() - began - spent,
            "verify": spent,
        }
        self._conclude()

    def _hopeless(self) -> bool:
        """Whether the model is so unwilling that nothing it writes could be shown."""
        return self._limits.confidence.most(self._willing) < self._limits.min_confidence

    def _verified(self, whole: bool) -> Iterator[Said]:
        if self._draft.text.strip() == self._refusal:
            return
        count = len(self._passages)
        text = self._draft.text if whole else closed(self._draft.text, count)
        ready = marked_sentences(text, count)
        for number in range(self._handled, len(ready)):
            self._handled += 1
            # One without a marker is checked against what the next marked one cites.
            markers = next((marks for _, marks in ready[number:] if marks), ())
            said = self._said(ready[number][0], markers)
            if said is None:
                self._dropped += 1
                continue
            self._sentences.append(said.text)
            self.result.citations += said.citations
            yield said

    def _said(self, text: str, markers: Sequence[int]) -> Said | None:
        if not markers:
            return None
        least, verifier = self._limits.min_support, self._verifier
        cited = attribute(text, markers, self._passages, self._question, least, verifier)
        if not cited:
            return None
        mean = self._draft.logprob / max(1, self._draft.tokens)
        asked = max(c.asked for c in cited)
        signals = Signals(self._willing, mean, self._lowest, asked)
        confidence = self._limits.confidence.of(signals)
        if self.result.signals is None or confidence > self.result.confidence:
            self.result.confidence, self.result.signals = confidence, signals
        if confidence < self._limits.min_confidence:
            return None
        number = len(self._sentences)
        marks = "".join(f"[{self._numbers[c.marker - 1]}]" for c in cited)
        return Said(f"{text} {marks}", tuple(self._citation(number, c) for c in cited))

    def _citation(self, sentence: int, cited: Cited) -> Citation:
        passage, quote = cited.passage, cited.quote
        version = passage.chunk.version
        boxes = self._boxes(version, quote.start, quote.end)
        return Citation(
            sentence=sentence,
            marker=self._numbers[cited.marker - 1],
            chunk=passage.chunk.id,
            document=passage.document,
            document_name=passage.document_name,
            version=version,
            start=quote.start,
            end=quote.end,
            quote=quote.text,
            support=cited.support,
            page=boxes[0].page if boxes else passage.chunk.page,
            boxes=boxes,
        )

    def _conclude(self) -> None:
        if not self._sentences:
            self.result.text = self._refusal
            return
        self.result.text = " ".join(self._sentences)
        self.result.verdict = Verdict.PARTIAL if self._dropped else Verdict.ANSWERED
