"""Training runs as they lie in the data folder, `tuning/<name>/`: how the loss went, how fast, and
how long it will take. Reads only what the training writes for people (`losses.jsonl`, a JSON object
a step); a run may be going on meanwhile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rag.errors import NotFound
from rag.views import TuningRun, TuningStep

FOLDER = "tuning"
POINTS = 400  # of a curve; more would not be seen
_LOSSES = "losses.jsonl"


def tuning_runs(data: Path) -> list[TuningRun]:
    """Every run of this data folder with its last step only; the newest first."""
    found = [_read(path.parent, points=1) for path in (data / FOLDER).glob(f"*/{_LOSSES}")]
    return sorted(found, key=lambda run: run.updated, reverse=True)


def tuning_run(data: Path, name: str) -> TuningRun:
    """One run with its curve. Raises NotFound."""
    names = {path.parent.name for path in (data / FOLDER).glob(f"*/{_LOSSES}")}
    if name not in names:  # looked up, not joined: a name cannot lead elsewhere
        raise NotFound(f"there is no training run {name!r:.120}")
    return _read(data / FOLDER / name, POINTS)


def _read(folder: Path, points: int) -> TuningRun:
    path = folder / _LOSSES
    steps = list(_steps(path))
    updated = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return TuningRun(folder.name, len(steps), tuple(_thinned(steps, points)), updated)


def _steps(path: Path) -> Iterator[TuningStep]:
    """Each step once, in order; a line that is being written, or was cut by a kill, is left out."""
    found: dict[int, TuningStep] = {}
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            raw = json.loads(line)
            step = TuningStep(
                step=int(raw["step"]),
                loss=float(raw["loss"]),
                fraction=float(raw["fraction"]),
                examples=int(raw["examples"]),
                tokens_per_second=float(raw["tokens_per_second"]),
                seconds_left=float(raw["seconds_left"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
        numbers = (step.loss, step.fraction, step.tokens_per_second, step.seconds_left)
        if all(map(math.isfinite, numbers)):
            found[step.step] = step
    yield from (found[number] for number in sorted(found))


def _thinned(steps: list[TuningStep], points: int) -> Iterator[TuningStep]:
    """At most `points` of them: of each stretch the last step, with the stretch's mean loss and
    speed. A single point is the last step as it was."""
    if points == 1:
        yield from steps[-1:]
        return
    length = math.ceil(len(steps) / points) or 1
    for start in range(0, len(steps), length):
        stretch = steps[start : start + length]
        last = stretch[-1]
        yield TuningStep(
            step=last.step,
            loss=math.fsum(s.loss for s in stretch) / len(stretch),
            fraction=last.fraction,
            examples=last.examples,
            tokens_per_second=math.fsum(s.tokens_per_second for s in stretch) / len(stretch),
            seconds_left=last.seconds_left,
        )
