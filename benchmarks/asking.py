"""One question put to the API, as the pages put it: where the right page comes, what is shown, and
whether each promise about citations (CITED, EXACT) holds, looked up by other means than its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

from rag.client import Client
from rag.domain import Answer, Citation, Found, Said, Verdict

FIRST = 5  # passages among which the right page must be
MARKERS = re.compile(r"(?:\[\d+\])+$")


@dataclass(frozen=True)
class Question:
    """Any of `pages` (document names) answers it; the quote should hold the words `contains`."""

    question: str
    pages: tuple[str, ...]
    contains: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """`rank` of the first passage of a right page, from 1, None beyond the first five. `broken`
    says which promise does not hold, and where. Seconds are those of the one who waits."""

    question: Question
    rank: int | None
    answer: Answer
    broken: tuple[str, ...]
    search_seconds: float
    ask_seconds: float

    @property
    def right(self) -> bool:
        """A shown quote of a right page holds the expected words."""
        return any(
            citation.document_name in self.question.pages
            and all(words in " ".join(citation.quote.split()) for words in self.question.contains)
            for citation in self.answer.citations
        )


def ask(client: Client, collection: str, question: Question) -> Asked:
    """Raises AttestError."""
    began = perf_counter()
    passages = client.search(collection, question.question, k=FIRST)
    searched = perf_counter()
    events = list(client.ask_stream(collection, question.question))
    answered = perf_counter()
    places = [n for n, p in enumerate(passages, 1) if p.document_name in question.pages]
    answer = events[-1]
    if not isinstance(answer, Answer):
        raise TypeError("the stream ended without an answer")
    said = [event for event in events if isinstance(event, Said)]
    first = isinstance(events[0], Found)
    broken = [] if first else ["the stream did not begin with the passages"]
    broken += _broken(client, answer, said)
    return Asked(
        question,
        places[0] if places else None,
        answer,
        tuple(broken),
        searched - began,
        answered - searched,
    )


def _broken(client: Client, answer: Answer, said: list[Said]) -> Iterator[str]:
    stored = client.answer(answer.id)
    if (stored.text, stored.citations) != (answer.text, answer.citations):
        yield "the stored answer is another than the shown one"
    if answer.verdict is Verdict.REFUSED:
        if said or answer.citations:
            yield "a refusal shows sentences or citations"
        return
    if " ".join(each.text for each in said) != answer.text:
        yield "the answer is not the sentences that were streamed"
    for number, each in enumerate(said):
        yield from _uncited(answer, number, each)
    for citation in answer.citations:
        yield from _inexact(client, answer, citation)


def _uncited(answer: Answer, number: int, said: Said) -> Iterator[str]:
    run = MARKERS.search(said.text)
    shown = [int(each) for each in re.findall(r"\d+", run[0])] if run else []
    held = [c.marker for c in answer.citations if c.sentence == number]
    if not shown or shown != held:
        yield f"sentence {number} shows the markers {shown} and holds citations for {held}"


def _inexact(client: Client, answer: Answer, citation: Citation) -> Iterator[str]:
    where = f"citation [{citation.marker}] of sentence {citation.sentence}"
    if not 1 <= citation.marker <= len(answer.passages):
        yield f"{where} is no passage of the prompt"
        return
    chunk = answer.passages[citation.marker - 1].chunk
    if (chunk.id, chunk.version) != (citation.chunk, citation.version):
        yield f"{where} names another chunk than passage {citation.marker}"
    if not chunk.start <= citation.start < citation.end <= chunk.end:
        yield f"{where} reaches beyond its passage"
    text = client.version_text(citation.version)
    if text[citation.start : citation.end] != citation.quote or not citation.quote.strip():
        yield f"{where} is not what stands at {citation.start}:{citation.end}"
    if text[chunk.start : chunk.end] != chunk.text:
        yield f"passage {citation.marker} is not what stands at {chunk.start}:{chunk.end}"
    if client.document(citation.document).document.version != citation.version:
        yield f"{where} is of a version that is not live"
