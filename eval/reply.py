"""An answer as the scorers read it: sentences without markers, each with the ids it cites."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.scorers.citation import CitedSentence
from rag.domain import Answer, Verdict

_MARKERS = r"(?:\s*\[\d+\])"
_END = re.compile(
    rf"(?:(?P<stop>[.!?])[\"'”’)]*{_MARKERS}*|{_MARKERS}+[.!?]?)(?=\s+[\"'“‘(]?[A-Z0-9]|\s*$)"
)
_ABBREVIATED = re.compile(r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|No|Inc|Ltd|Co|cf|al))$")


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` has no markers and is empty for a refusal; `cited` and `passages` are ids, the latter
    in prompt order. `confidence` in [0, 1]; `timings` are seconds per stage."""

    text: str
    verdict: Verdict
    sentences: tuple[CitedSentence, ...]
    cited: tuple[str, ...]
    passages: tuple[str, ...]
    confidence: float
    timings: Mapping[str, float]

    @property
    def refused(self) -> bool:
        return self.verdict is Verdict.REFUSED


def reply_of(answer: Answer, given: Sequence[str] = ()) -> Reply:
    """The reply in an answer. `given` are the passage ids handed in, for a reader that does not
    say which it used."""
    context = answer.replay.context or tuple(p.chunk.id for p in answer.passages) or tuple(given)
    if answer.verdict is Verdict.REFUSED:
        return Reply("", answer.verdict, (), (), context, answer.confidence, dict(answer.timings))
    sentences = tuple(
        CitedSentence(without_markers(part, len(context)), _ids(part, context))
        for part in split(answer.text)
    )
    cited = tuple(dict.fromkeys(c.chunk for c in answer.citations))
    return Reply(
        text=" ".join(sentence.text for sentence in sentences),
        verdict=answer.verdict,
        sentences=sentences,
        cited=cited,
        passages=context,
        confidence=answer.confidence,
        timings=dict(answer.timings),
    )


def without_markers(text: str, passages: int) -> str:
    """The text without the markers [1]..[passages]; other brackets are the author's own words."""
    kept = re.sub(r"\s*\[(\d+)\]", lambda m: "" if 1 <= int(m[1]) <= passages else m[0], text)
    return " ".join(kept.split())


def split(text: str) -> list[str]:
    """Sentences with their markers. A sentence ends at a full stop, or at markers that another
    sentence or nothing follows."""
    parts: list[str] = []
    start = 0
    for match in _END.finditer(text):
        bare = match["stop"] == "." and "[" not in match[0]
        if bare and _ABBREVIATED.search(text[start : match.start()]):
            continue
        parts.append(text[start : match.end()].strip())
        start = match.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _ids(sentence: str, context: Sequence[str]) -> tuple[str, ...]:
    numbers = dict.fromkeys(int(n) for n in re.findall(r"\[(\d+)\]", sentence))
    return tuple(context[n - 1] for n in numbers if 1 <= n <= len(context))
