"""Train the adapter that reads passages, or export one from a checkpoint of its training.

    python -m models.training train CHECKPOINT RUN --records squad2.jsonl.gz=3.5 nq.jsonl.gz=1.2
    python -m models.training export CHECKPOINT RUN OUT --card card.json
    torchrun --nproc-per-node 2 -m models.training train CHECKPOINT RUN --accumulate 2 ...

RUN is the run's folder: killed training goes on from the last checkpoint in it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from models.checkpoint import Checkpoint, load
from models.errors import ModelError
from models.hardware import choose_device, choose_dtype
from models.lora import ALL_TARGETS
from models.manifest import sha256_of
from models.training.episodes import EpisodeSettings
from models.training.export import export
from models.training.plan import DEFAULT_LORA, Plan
from models.training.processes import joined
from models.training.records import Record, read_records
from models.training.schedule import TrainSettings
from models.training.train import Progress, train


def main() -> int:
    asked = _parser().parse_args()
    try:
        asked.run_command(asked)
    except ModelError as exc:
        print(f"models.training: {exc}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("train", help="train an adapter")
    one.add_argument("checkpoint", type=Path)
    one.add_argument("run", type=Path)
    one.add_argument("--records", nargs="+", required=True, help="FILE=WEIGHT, drawn that often")
    one.add_argument("--start", type=Path, help="an adapter's folder to go on from, of its shape")
    one.add_argument("--rank", type=int, default=DEFAULT_LORA.rank)
    one.add_argument("--alpha", type=float, default=DEFAULT_LORA.alpha)
    one.add_argument("--dropout", type=float, default=0.0)
    one.add_argument("--targets", nargs="+", choices=ALL_TARGETS, default=list(ALL_TARGETS))
    one.add_argument("--markers", type=int, default=DEFAULT_LORA.markers)
    one.add_argument(
        "--reading", choices=("block", "full"), default="block", help="passages alone, or in a row"
    )
    one.add_argument(
        "--mode", choices=("reader", "all"), default="reader", help="what the adapter reads"
    )
    one.add_argument("--full", type=float, default=0.1, help="share of episodes read in a row")
    one.add_argument("--learning-rate", type=float, default=9e-4)
    one.add_argument("--steps", type=int, default=6000)
    one.add_argument("--minutes", type=float, default=0.0, help="end the schedule after this time")
    one.add_argument("--accumulate", type=int, default=1, help="episodes a step, of all processes")
    one.add_argument("--checkpoint-every", type=int, default=50, help="steps")
    one.add_argument("--recompute", action="store_true", help="less memory, a third more time")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--threads", type=int, default=0)
    _where(one)
    one.set_defaults(run_command=_train)
    two = commands.add_parser("export", help="write the adapter of a run in PEFT's format")
    two.add_argument("checkpoint", type=Path)
    two.add_argument("run", type=Path)
    two.add_argument("out", type=Path)
    two.add_argument("--card", type=Path, help="a JSON file whose fields join the card")
    _where(two)
    two.set_defaults(run_command=_export)
    return parser


def _where(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")


def _train(asked: argparse.Namespace) -> None:
    if asked.threads:
        torch.set_num_threads(asked.threads)
    with joined() as processes:
        records: list[Record] = []
        weights: dict[str, float] = {}
        data: dict[str, object] = {}
        for path, weight in map(_entry, asked.records):
            found = list(read_records(path))
            records += found
            weights |= {r.dataset: weight for r in found}
            data[path.name] = {"weight": weight, "sha256": sha256_of(path)}
        train(
            _base(asked), records, _plan(asked, weights, data), asked.run, _say, processes=processes
        )


def _plan(asked: argparse.Namespace, weights: dict[str, float], data: dict[str, object]) -> Plan:
    lora = replace(
        DEFAULT_LORA,
        rank=asked.rank,
        alpha=asked.alpha,
        dropout=asked.dropout,
        targets=tuple(asked.targets),
        markers=asked.markers,
        mode=asked.mode,
        reading=asked.reading,
    )
    settings = TrainSettings(
        steps=asked.steps,
        accumulate=asked.accumulate,
        learning_rate=asked.learning_rate,
        minutes=asked.minutes,
        checkpoint_every=asked.checkpoint_every,
        recompute=asked.recompute,
    )
    episodes = EpisodeSettings(weights, full=asked.full)
    return Plan(lora, settings, episodes, asked.start, asked.seed, data)


def _entry(text: str) -> tuple[Path, float]:
    """FILE=WEIGHT, or FILE alone for weight 1."""
    path, _, weight = text.rpartition("=")
    try:
        return Path(path or weight), float(weight) if path else 1.0
    except ValueError:
        return Path(text), 1.0


def _say(progress: Progress) -> None:
    print(
        f"step {progress.step}  {100 * progress.fraction:.1f}%  loss {progress.loss:.3f}  "
        f"{progress.examples} questions  {progress.tokens_per_second:.0f} tokens/s  "
        f"{progress.seconds_left / 60:.0f} min left",
        file=sys.stderr,
        flush=True,
    )


def _export(asked: argparse.Namespace) -> None:
    card = json.loads(asked.card.read_text("utf-8")) if asked.card else {}
    export(_base(asked), asked.run, asked.out, card)


def _base(asked: argparse.Namespace) -> Checkpoint:
    device = choose_device(asked.device)
    return load(asked.checkpoint, choose_dtype(asked.dtype, device), device)


if __name__ == "__main__":
    sys.exit(main())
