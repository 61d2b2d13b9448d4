"""Train the adapter that reads passages, or export one from a checkpoint of its training.

    python -m models.training train CHECKPOINT RUN --records squad2.jsonl.gz=3.5 nq.jsonl.gz=1.2
    python -m models.training export CHECKPOINT RUN OUT --note "..."

RUN is the run's folder: killed training goes on from the last checkpoint in it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from models.checkpoint import Checkpoint, load
from models.errors import ModelError, WeightsMissing
from models.hardware import choose_device, choose_dtype
from models.lora import Adapter, LoraConfig, load_adapter, save_adapter
from models.prompt import VERSION
from models.training.episodes import EpisodeSampler, EpisodeSettings
from models.training.reader import EpisodeReader
from models.training.records import Record, read_records
from models.training.train import Progress, TrainSettings, train
from models.transformer import Transformer


def main() -> int:
    asked = _parser().parse_args()
    try:
        asked.run_command(asked)
    except ModelError as exc:
        print(f"models.training: {exc}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.training", description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("train", help="train an adapter")
    one.add_argument("checkpoint", type=Path)
    one.add_argument("run", type=Path)
    one.add_argument("--records", nargs="+", required=True, help="FILE=WEIGHT, drawn that often")
    one.add_argument("--start", type=Path, help="an adapter's folder to go on from")
    one.add_argument("--rank", type=int, default=24)
    one.add_argument("--alpha", type=float, default=48.0)
    one.add_argument("--markers", type=int, default=12)
    one.add_argument("--learning-rate", type=float, default=9e-4)
    one.add_argument("--steps", type=int, default=6000)
    one.add_argument("--minutes", type=float, default=0.0, help="end the schedule after this time")
    one.add_argument("--accumulate", type=int, default=1, help="episodes a step")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--threads", type=int, default=0)
    one.set_defaults(run_command=_train)
    two = commands.add_parser("export", help="write the adapter of a run in PEFT's format")
    two.add_argument("checkpoint", type=Path)
    two.add_argument("run", type=Path)
    two.add_argument("out", type=Path)
    two.add_argument("--refuse-above", type=float, default=0.5)
    two.add_argument("--min-confidence", type=float, default=0.3)
    two.add_argument("--card", type=Path, help="a JSON file whose fields join the card")
    two.set_defaults(run_command=_export)
    return parser


def _train(asked: argparse.Namespace) -> None:
    if asked.threads:
        torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    base = _base(asked.checkpoint)
    adapter = _adapter(asked, base.model)
    weights: dict[str, float] = {}
    records: list[Record] = []
    for entry in asked.records:
        path, _, weight = entry.rpartition("=")
        found = list(read_records(Path(path)))
        records += found
        weights |= {r.dataset: float(weight) for r in found}
    settings = TrainSettings(
        steps=asked.steps,
        accumulate=asked.accumulate,
        learning_rate=asked.learning_rate,
        minutes=asked.minutes,
    )
    asked.run.mkdir(parents=True, exist_ok=True)
    about = {
        "lora": asdict(adapter.config),
        "train": asdict(settings),
        "data": {
            Path(e.rpartition("=")[0]).name: float(e.rpartition("=")[2]) for e in asked.records
        },
        "seed": asked.seed,
    }
    (asked.run / "run.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    adapter.attach(base.model)
    reader = EpisodeReader(base.model, adapter, base.tokenizer)
    sampler = EpisodeSampler(records, EpisodeSettings(weights), asked.seed)
    train(reader, adapter, sampler, settings, asked.run, _say)


def _say(progress: Progress) -> None:
    print(
        f"step {progress.step}  {100 * progress.fraction:.1f}%  loss {progress.loss:.3f}  "
        f"{progress.examples} questions  {progress.tokens_per_second:.0f} tokens/s  "
        f"{progress.seconds_left / 60:.0f} min left",
        file=sys.stderr,
        flush=True,
    )


def _export(asked: argparse.Namespace) -> None:
    path = asked.run / "checkpoint.pt"
    if not path.is_file():
        raise WeightsMissing(f"{asked.run} holds no checkpoint of a training run")
    about = json.loads((asked.run / "run.json").read_text("utf-8"))
    lora = about["lora"] | {"targets": tuple(about["lora"]["targets"])}
    base = _base(asked.checkpoint)
    adapter = Adapter(base.model, LoraConfig(**lora))
    state = torch.load(path, weights_only=True)
    adapter.load_state_dict(state["adapter"])
    card = {"run": about, "steps": state["step"], "questions": state["examples"]}
    card |= {"refuse_above": asked.refuse_above, "min_confidence": asked.min_confidence}
    if asked.card:
        card |= json.loads(asked.card.read_text("utf-8"))
    save_adapter(adapter, asked.out, base.identity, card, torch.bfloat16)


def _base(path: Path) -> Checkpoint:
    device = choose_device("auto")
    return load(path, choose_dtype("auto", device), device)


def _adapter(asked: argparse.Namespace, model: Transformer) -> Adapter:
    """A new adapter, or the one of `--start` as float32 weights to train."""
    if asked.start:
        return load_adapter(asked.start, model).requires_grad_(True)
    config = LoraConfig(
        rank=asked.rank, alpha=asked.alpha, markers=asked.markers, prompt_version=VERSION
    )
    return Adapter(model, config).to(model.device)


if __name__ == "__main__":
    sys.exit(main())
