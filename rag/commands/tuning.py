"""`attest tune`; the work is done in `eval.tuning`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.commands.adapters import adapter_json, effect_text, line
from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.wire import Json, to_json

if TYPE_CHECKING:
    from eval.tuning.judge import Judging
    from eval.tuning.sources import Named
    from eval.tuning.tune import Tuning
    from models.training.train import Progress

WEIGHED = "FILE[=WEIGHT]"


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "tune",
        parents=[common],
        help="train an adapter on questions, feedback or documents, and measure it",
        epilog="Killed at any moment, the same command goes on.",
    )
    parser.add_argument("--name", required=True, help="of the new adapter")
    learn = parser.add_argument_group("what to learn from (each may be given several times)")
    for option, shown, about in (
        ("--records", WEIGHED, "questions with passages, .jsonl or .jsonl.gz"),
        ("--csv", WEIGHED, "a table with the columns question and answer"),
        ("--feedback", "COLLECTION[=WEIGHT]", "what its users said of answers"),
        ("--documents", "COLLECTION[=WEIGHT]", "questions that rules make of its documents"),
    ):
        learn.add_argument(
            option, nargs="+", action="extend", default=[], metavar=shown, help=about
        )
    where = parser.add_argument_group("whom it answers")
    where.add_argument("--collection", metavar="NAME", help="this collection only")
    where.add_argument(
        "--every-collection",
        action="store_true",
        help="every collection, although it learns the words of one",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--start", default="default", metavar="default|none|NAME", help="to go on from"
    )
    how.add_argument("--steps", type=positive, default=300)
    how.add_argument("--minutes", type=float, default=0.0, help="end after this time at the latest")
    how.add_argument("--rank", type=positive, help="of a new adapter (default 24)")
    how.add_argument("--learning-rate", type=float)
    how.add_argument("--seed", type=int, default=0)
    judging(parser.add_argument_group("what it is measured on"), required=False)
    parser.set_defaults(run=tune)


def judging(group: Any, required: bool) -> None:
    group.add_argument("--samples", type=Path, required=required, metavar="FILE.jsonl.gz")
    group.add_argument("--limit", type=positive, metavar="N", help="N samples over the whole file")
    group.add_argument("--distractors", type=int, default=4, metavar="N")
    group.add_argument(
        "--gate", type=Path, metavar="FILE.toml", help="promote if it passes, else exit 1"
    )


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a number from 1 up")
    return value


def tune(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 1 when a gate was given and not passed."""
    from eval.tuning.judge import judge
    from eval.tuning.tune import finish
    from eval.tuning.tune import tune as tuned
    from rag.errors import BadInput

    if asked.gate is not None and asked.samples is None:
        raise BadInput("a gate needs --samples to measure the adapter on")
    effect: dict[str, Any] | None = None
    with opened(asked, create=True) as attest:
        who = acting(asked, attest)
        adapter = tuned(
            attest, who, _tuning(asked), lambda done: terminal.progress(_where(asked.name, done))
        )
        terminal.say(f"registered: {line(adapter)}")
        if asked.samples is not None:
            adapter, effect = judge(attest, who, adapter.name, judging_of(asked), terminal.progress)
        finish(attest.settings.data, adapter.name)
    terminal.result(outcome_json(adapter, effect), outcome_text(adapter, effect))
    return exit_code(effect)


def judging_of(asked: argparse.Namespace) -> Judging:
    from eval.tuning.judge import Judging

    seed = getattr(asked, "seed", 0)
    return Judging(asked.samples, asked.gate, asked.limit, asked.distractors, seed)


def outcome_json(adapter: Any, effect: dict[str, Any] | None) -> dict[str, Json]:
    return {"adapter": adapter_json(adapter), "effect": to_json(effect)}


def outcome_text(adapter: Any, effect: dict[str, Any] | None) -> str:
    losses = adapter.card.get("losses") or {}
    lines = [line(adapter)]
    if losses:
        lines.append(f"loss {losses['first']} -> {losses['last']} in {losses['steps']} steps")
    if effect is not None:
        lines += effect_text(effect)
    elif adapter.state.value == "candidate":
        lines.append(
            f"not in use yet: attest adapters measure {adapter.name} --samples FILE --gate FILE"
        )
    return "\n".join(lines)


def exit_code(effect: dict[str, Any] | None) -> int:
    gate = effect.get("gate") if effect else None
    return 0 if gate is None or gate["passed"] else 1


def _tuning(asked: argparse.Namespace) -> Tuning:
    from eval.tuning.tune import Tuning

    return Tuning(
        name=asked.name,
        sources=tuple(_sources(asked)),
        collection=asked.collection,
        every=asked.every_collection,
        start=asked.start,
        steps=asked.steps,
        minutes=asked.minutes,
        rank=asked.rank,
        learning_rate=asked.learning_rate,
        seed=asked.seed,
        command=shlex.join(["attest", *asked.given]),
    )


def _sources(asked: argparse.Namespace) -> list[Named]:
    from eval.tuning.sources import Kind, Named

    return [Named(kind, *_weighed(text)) for kind in Kind for text in getattr(asked, kind.value)]


def _weighed(text: str) -> tuple[str, float]:
    """NAME=WEIGHT, or NAME alone for weight 1."""
    name, found, weight = text.rpartition("=")
    try:
        return (name, float(weight)) if found else (text, 1.0)
    except ValueError:
        return text, 1.0


def _where(name: str, done: Progress) -> str:
    return (
        f"tuning {name}: {100 * done.fraction:.0f}%  step {done.step}  loss {done.loss:.3f}  "
        f"{done.tokens_per_second:.0f} tokens/s  {done.seconds_left / 60:.0f} min left"
    )
