"""An answer as the scorers read it: sentences without markers, each with the ids it cites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.scorers.citation import CitedSentence
from rag.domain import Answer, Verdict
from rag.sentences import marked_sentences


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
        CitedSentence(" ".join(text.split()), tuple(context[m - 1] for m in markers))
        for text, markers in marked_sentences(answer.text, len(context))
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
