"""`attest ask`, `attest search`, `attest replay`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rag.attribution import Attribution, attribution
from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.domain import Answer, Citation, Found, Leg, Passage, Principal, Said, Turn
from rag.sentences import marked_sentences
from rag.wire import Json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rag.bootstrap import Attest


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    asking = commands.add_parser("ask", parents=[common], help="ask a question, with citations")
    asking.add_argument("question")
    asking.add_argument("--collection", required=True, metavar="NAME")
    asking.add_argument(
        "--after",
        metavar="ANSWER_ID",
        action="append",
        default=[],
        help="the answer that this question follows on (again for a longer conversation)",
    )
    asking.set_defaults(run=ask)

    searching = commands.add_parser("search", parents=[common], help="the passages nearest a query")
    searching.add_argument("query")
    searching.add_argument("--collection", required=True, metavar="NAME")
    searching.add_argument("-k", type=count, default=10, help="how many (default 10)")
    searching.add_argument("--leg", choices=[leg.value for leg in Leg], default="hybrid")
    searching.set_defaults(run=search)

    replaying = commands.add_parser("replay", parents=[common], help="compute an answer again")
    replaying.add_argument("answer", metavar="ANSWER_ID")
    replaying.add_argument(
        "--attribution",
        action="store_true",
        help="how much less likely each sentence is without each passage",
    )
    replaying.set_defaults(run=replay)


def count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError("a number from 1 to 1000")
    return value


def ask(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        who = acting(asked, attest)
        history = _history(attest, who, asked.after)
        events = attest.answering.stream(who, asked.collection, asked.question, history=history)
        answer = _last(events, terminal)
    terminal.result(answer_json(answer), _sources(answer))
    return 0


def _history(attest: Attest, who: Principal, answers: Sequence[str]) -> list[Turn]:
    """The conversation of these answers, oldest first. Raises UnknownAnswer."""
    from rag.reach import answer_for

    with attest.store() as work:
        held = [answer_for(work, id, who) for id in answers]
    return [Turn(each.question, each.text) for each in held]


def _last(events: Iterator[Found | Said | Answer], terminal: Terminal) -> Answer:
    """Show sentences as they are verified; the stored answer comes last."""
    said = False
    for event in events:
        if isinstance(event, Said):
            terminal.stream(event.text if not said else f" {event.text}")
            said = True
        elif isinstance(event, Answer):
            terminal.stream("\n" if said else f"{event.text}\n")
            return event
    raise AssertionError("answering ends in an answer or an error")


def _sources(answer: Answer) -> str:
    lines = [f"\n{answer.verdict.value}, confidence {answer.confidence:.2f}, answer {answer.id}"]
    if answer.replay.searched:
        lines.append(f"searched for: {' '.join(answer.replay.searched.split())}")
    for held in answer.citations:
        page = f", page {held.page}" if held.page else ""
        lines.append(f'[{held.marker}] {held.document_name}{page}: "{held.quote}"')
    if not answer.citations:
        names = dict.fromkeys(passage.document_name for passage in answer.passages)
        lines.append(f"nearest sources: {', '.join(names) or 'none'}")
    return "\n".join(lines)


def answer_json(answer: Answer) -> dict[str, Json]:
    return {
        "answer": answer.text,
        "verdict": answer.verdict.value,
        "confidence": answer.confidence,
        "citations": _citations_json(answer),
        "passages": [passage_json(passage) for passage in answer.passages],
        "timings": to_json(answer.timings),
        "answer_id": answer.id,
        "searched": answer.replay.searched or answer.question,
        "generation": answer.replay.generation,
    }


def _citations_json(answer: Answer) -> list[Json]:
    said = marked_sentences(answer.text, len(answer.passages))
    return [_citation_json(each, said[each.sentence][0]) for each in answer.citations]


def _citation_json(citation: Citation, sentence: str) -> Json:
    """`sentence` is the sentence's text without its markers."""
    return {
        "sentence": sentence,
        "marker": citation.marker,
        "document": citation.document_name,
        "document_id": citation.document,
        "version": citation.version,
        "start": citation.start,
        "end": citation.end,
        "page": citation.page,
        "quote": citation.quote,
        "support": citation.support,
        "boxes": to_json(citation.boxes),
    }


def passage_json(passage: Passage) -> Json:
    return {
        "document": passage.document_name,
        "document_id": passage.document,
        "version": passage.chunk.version,
        "start": passage.chunk.start,
        "end": passage.chunk.end,
        "page": passage.chunk.page,
        "text": passage.chunk.text,
        "also": [copy.document_name for copy in passage.also],
        "score": passage.score,
        "scores": to_json(passage.scores),
    }


def search(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        passages = attest.answering.search(
            acting(asked, attest), asked.collection, asked.query, leg=Leg(asked.leg), k=asked.k
        )
    hits: list[Json] = [passage_json(passage) for passage in passages]
    terminal.result({"hits": hits}, "\n".join(_hit(passage) for passage in passages) or "no hits")
    return 0


def _hit(passage: Passage) -> str:
    page = f" page {passage.chunk.page}" if passage.chunk.page else ""
    line = " ".join(passage.chunk.text.split())[:160]
    where = f"{passage.document_name}{page} [{passage.chunk.start}:{passage.chunk.end}]"
    return f"{passage.score:8.4f}  {where}\n          {line}"


def replay(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 1 when the answer did not come out the same."""
    with opened(asked) as attest:
        from rag.reach import answer_for

        who = acting(asked, attest)
        with attest.store() as work:
            answer_for(work, asked.answer, who)
        replayed = attest.answering.replay(who, asked.answer)
        found: tuple[Attribution, ...] = ()
        if asked.attribution:
            reader = attest.answering.readers.named(replayed.stored.replay.adapter)
            found = attribution(reader, replayed.again)
    document: dict[str, Json] = {
        "same": replayed.same,
        "stored": answer_json(replayed.stored),
        "again": answer_json(replayed.again),
        "changed": list(replayed.changed),
    }
    if asked.attribution:
        document["attribution"] = [_attribution_json(each) for each in found]
    said = "the same text and citations" if replayed.same else "NOT the same"
    text = f"{said}\nstored: {replayed.stored.text}\nagain:  {replayed.again.text}"
    otherwise = [f"computed otherwise: {each}" for each in replayed.changed]
    terminal.result(document, "\n".join([text, *otherwise, *map(_attributed, found)]))
    return 0 if replayed.same else 1


def _attribution_json(found: Attribution) -> Json:
    """`drops[i]` belongs to passage i + 1; nats."""
    return {
        "sentence": found.sentence,
        "cited": list(found.cited),
        "drops": list(found.drops),
        "largest": found.largest,
        "agrees": found.agrees,
    }


def _attributed(found: Attribution) -> str:
    cited = "".join(f"[{n}]" for n in found.cited)
    drops = "  ".join(f"[{n}] {drop:+.2f}" for n, drop in enumerate(found.drops, 1))
    agrees = "cited" if found.agrees else "NOT cited"
    said = f"largest drop: [{found.largest}], {agrees}"
    return f"\n{found.sentence} {cited}\n  nats lost without {drops}\n  {said}"
