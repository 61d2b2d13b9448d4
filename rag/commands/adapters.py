"""`attest adapters`: list, show, measure, promote, rollback, retire."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.domain import Adapter
from rag.wire import Json, to_json

if TYPE_CHECKING:
    from rag.bootstrap import Attest

SHOWN = ("right", "f1", "answered_share", "wrong_answer_rate", "citation_hit", "groundedness")


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    from rag.commands.tuning import judging

    parser = commands.add_parser(
        "adapters", parents=[common], help="which adapters there are, and which one answers"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", parents=[common], help="all of them, newest first")
    listing.add_argument("--document", metavar="ID", help="those made from this document")
    listing.set_defaults(run=list_)
    for verb, run, about in (
        ("show", show, "an adapter's card"),
        ("retire", retire, "never to be used again, unless it is promoted anew"),
    ):
        one = verbs.add_parser(verb, parents=[common], help=about)
        one.add_argument("name", metavar="NAME")
        one.set_defaults(run=run)
    raising = verbs.add_parser(
        "promote", parents=[common], help="let it answer from the next question on"
    )
    raising.add_argument("name", metavar="NAME")
    raising.add_argument("--ungated", action="store_true", help="although no gate let it pass")
    raising.set_defaults(run=promote)
    back = verbs.add_parser("rollback", parents=[common], help="bring the earlier one back")
    back.add_argument("--collection", metavar="NAME", help="of this collection's own adapters")
    back.add_argument("--base", default="", help="where adapters of several models are promoted")
    back.set_defaults(run=rollback)
    measuring = verbs.add_parser("measure", parents=[common], help="against what answers now")
    measuring.add_argument("name", metavar="NAME")
    measuring.add_argument("--seed", type=int, default=0)
    judging(measuring, required=True)
    measuring.set_defaults(run=measure)


def list_(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest, attest.store() as work:
        held = work.adapters.made_from(asked.document) if asked.document else work.adapters.all()
        names = {each.id: each.name for each in work.collections.all()}
    rows: list[Json] = [adapter_json(adapter) for adapter in held]
    text = "\n".join(line(adapter, names) for adapter in held) or "no adapter is registered"
    terminal.result({"adapters": rows}, text)
    return 0


def show(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest, attest.store() as work:
        adapter = work.adapters.get(asked.name)
    terminal.result(adapter_json(adapter, whole=True), card_text(adapter))
    return 0


def promote(asked: argparse.Namespace, terminal: Terminal) -> int:
    from rag import adapters

    with opened(asked) as attest:
        who = acting(asked, attest)
        now, before = adapters.promote(
            attest.store, who, _data(attest), asked.name, ungated=asked.ungated
        )
    replaced = f" in place of {before.identity}" if before else ""
    document: Json = {
        "adapter": adapter_json(now),
        "before": None if before is None else adapter_json(before),
    }
    terminal.result(document, f"{now.identity} answers from the next question on{replaced}")
    return 0


def rollback(asked: argparse.Namespace, terminal: Terminal) -> int:
    from rag import adapters
    from rag.domain import Right
    from rag.reach import collection_for

    with opened(asked) as attest:
        who = acting(asked, attest)
        scope: str | None = None
        if asked.collection is not None:
            with attest.store() as work:
                scope = collection_for(work, asked.collection, who, Right.READ).id
        gone, back = adapters.rollback(attest.store, who, _data(attest), scope, asked.base)
    answers = (
        back.identity if back else "what stood before it: the wider scope's, or the shipped one"
    )
    document: Json = {
        "withdrawn": adapter_json(gone),
        "adapter": None if back is None else adapter_json(back),
    }
    terminal.result(document, f"{gone.identity} is taken back; {answers} answers")
    return 0


def retire(asked: argparse.Namespace, terminal: Terminal) -> int:
    from rag import adapters

    with opened(asked) as attest:
        adapter = adapters.retire(attest.store, acting(asked, attest), asked.name)
    terminal.result({"adapter": adapter_json(adapter)}, line(adapter))
    return 0


def measure(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 1 when a gate was given and not passed."""
    from eval.tuning.judge import judge
    from rag.commands.tuning import exit_code, judging_of, outcome_json, outcome_text

    with opened(asked) as attest:
        who = acting(asked, attest)
        adapter, effect = judge(attest, who, asked.name, judging_of(asked), terminal.progress)
    terminal.result(outcome_json(adapter, effect), outcome_text(adapter, effect))
    return exit_code(effect)


def adapter_json(adapter: Adapter, whole: bool = False) -> dict[str, Json]:
    """Without its card and lineage, unless `whole`."""
    found: dict[str, Json] = {
        "name": adapter.name,
        "identity": adapter.identity,
        "state": adapter.state.value,
        "base": adapter.base,
        "digest": adapter.digest,
        "folder": adapter.folder,
        "collection": adapter.collection,
        "promoted": to_json(adapter.promoted),
        "created": to_json(adapter.created),
        "documents": len({source.document for source in adapter.sources}),
    }
    if whole:
        found |= {"card": to_json(adapter.card), "sources": to_json(adapter.sources)}
    return found


def line(adapter: Adapter, names: dict[str, str] | None = None) -> str:
    scope = adapter.collection
    where = "every collection" if scope is None else (names or {}).get(scope, scope)
    documents = len({source.document for source in adapter.sources})
    made = f", made from {documents} documents" if documents else ""
    return f"{adapter.identity}  {adapter.state.value}  for {where}, base {adapter.base}{made}"


def card_text(adapter: Adapter) -> str:
    card: Any = adapter.card
    lines = [line(adapter), f"made by: {card.get('made_by', 'unknown')}"]
    lines += [
        f"data: {one['name']} ({one['records']} records, weight {one['weight']:g}, "
        f"licence: {one['licence']}, sha256 {one['sha256'][:12] or 'none'})"
        for one in card.get("data") or ()
    ]
    if losses := card.get("losses"):
        lines.append(f"loss {losses['first']} -> {losses['last']} in {losses['steps']} steps")
    lines += [f"document {source.document}, version {source.version}" for source in adapter.sources]
    return "\n".join([*lines, *effect_text(card.get("effect"))])


def effect_text(effect: Any) -> list[str]:
    """What was measured, with intervals, beside what answered before."""
    if not effect:
        return ["not measured yet"]
    samples = effect["samples"]
    lines = [
        f"measured on {samples['file']}, n {samples['n']}; before: {effect['current']['adapter']}"
    ]
    rows = effect["candidate"]["metrics"], effect["current"]["metrics"], effect["difference"]
    for name in SHOWN:
        if all(name in row for row in rows):
            own, before, difference = (_estimate(row[name]) for row in rows)
            lines.append(f"  {name:<18} {own}  before {before}  difference {difference}")
    if gate := effect.get("gate"):
        lines += [
            "gate passed" if gate["passed"] else "GATE FAILED: not promoted",
            *gate["reasons"],
        ]
    return lines


def _estimate(row: Any) -> str:
    bounds = "" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{bounds}"


def _data(attest: Attest) -> Path:
    data: Path = attest.settings.data
    return data
