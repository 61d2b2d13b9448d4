"""`attest explain`: how a question came to its passages."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rag.commands.opening import acting, opened
from rag.commands.questions import count
from rag.commands.terminal import Terminal
from rag.domain import Candidate, Condition, Explanation, MetadataValue, Passage, Removed, Term
from rag.wire import to_json

Where = tuple[str, tuple[MetadataValue, ...]]


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    said = "how a question comes to its passages"
    explaining = commands.add_parser("explain", parents=[common], help=said, description=said)
    explaining.add_argument(
        "subject",
        metavar="QUESTION|ANSWER_ID",
        help="a question to the collection, or without one the id of a stored answer",
    )
    explaining.add_argument("--collection", metavar="NAME")
    explaining.add_argument(
        "--where",
        action="append",
        default=[],
        type=where,
        metavar="KEY=VALUE",
        help="only documents with this metadata; of one key any of its values",
    )
    explaining.add_argument("-k", type=count, default=20, help="passages to print (default 20)")
    explaining.set_defaults(run=explain)


def where(text: str) -> Where:
    """A number or a truth value is looked for as itself and as it is written."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        meant = json.loads(value)
    except ValueError:
        meant = None
    return key, (value, meant) if isinstance(meant, bool | int | float) else (value,)


def conditions(given: list[Where]) -> list[Condition]:
    values: dict[str, tuple[MetadataValue, ...]] = {}
    for key, meant in given:
        values[key] = values.get(key, ()) + meant
    return [Condition(key, meant) for key, meant in values.items()]


def explain(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        who, answering = acting(asked, attest), attest.answering
        if asked.collection is None:
            found = answering.explain_answer(who, asked.subject)
        else:
            met = conditions(asked.where)
            found = answering.explain(who, asked.collection, asked.subject, conditions=met)
    terminal.result(to_json(found), told(found, asked.k))
    return 0


def told(found: Explanation, most: int) -> str:
    lines = [f"generation {found.generation}; {found.readable} passages that you may read"]
    if found.conditions:
        named = ", ".join(map(_condition, found.conditions))
        lines.append(f"conditions {named}: {found.meeting} of them meet these")
    if not found.same:
        lines.append("settings or rights have changed: the answer was given other passages")
    lines += [*_words(found.terms), ""]
    lines.append(f"{'prompt':<10}" + "".join(f"{name:<14}" for name in found.lists) + "passage")
    lines += [_candidate(each, found.lists) for each in found.candidates[:most]]
    if len(found.candidates) > most:
        lines.append(f"and {len(found.candidates) - most} more (-k)")
    if found.removed:
        lines += ["", "found, but for the conditions", *map(_removed, found.removed[:most])]
    spent = (f"{stage} {seconds * 1000:.1f}" for stage, seconds in found.timings.items())
    return "\n".join([*lines, "", f"milliseconds: {', '.join(spent)}"])


def _words(terms: tuple[Term, ...]) -> list[str]:
    counted = ", ".join(_term(each) for each in terms if each.tokens)
    skipped = ", ".join(each.text for each in terms if not each.tokens)
    return [f"words: {counted or 'none'}", *([f"not counted: {skipped}"] if skipped else [])]


def _term(term: Term) -> str:
    times = f" ({term.times} times)" if term.times > 1 else ""
    same = term.tokens == (term.text.casefold(),)
    return term.text + times + ("" if same else f" as {' + '.join(term.tokens)}")


def _candidate(found: Candidate, lists: tuple[str, ...]) -> str:
    why = f"[{found.marker}]" if found.marker else str(found.left_out)
    places = "".join(f"{_place(found, name):<14}" for name in lists)
    line = f"{why:<10}{places}{_passage(found.passage)}"
    if found.terms:
        added = ", ".join(f"{word} {score:.2f}" for word, score in found.terms.items())
        line += f"\n{'':<10}words: {added}"
    return line


def _place(found: Candidate, name: str) -> str:
    """Rank and score; a list may rank without a score."""
    if name not in found.ranks:
        return "-"
    score = found.passage.scores.get(name)
    return f"{found.ranks[name]}" + ("" if score is None else f" ({score:.3f})")


def _passage(passage: Passage) -> str:
    page = f" page {passage.chunk.page}" if passage.chunk.page else ""
    return f"{passage.document_name}{page} [{passage.chunk.start}:{passage.chunk.end}]"


def _removed(found: Removed) -> str:
    unmet = ", ".join(map(_condition, found.unmet))
    return f"{found.rank:<10}{_passage(found.passage)}, not {unmet}"


def _condition(condition: Condition) -> str:
    return f"{condition.key}={'|'.join(dict.fromkeys(map(str, condition.values)))}"
