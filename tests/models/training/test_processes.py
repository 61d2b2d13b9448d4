"""The command, as real processes: killed and started again, and two that train together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.training.__main__ import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
QUICK = ["--rank", "4", "--alpha", "8", "--markers", "6", "--dropout", "0.1", "--threads", "1"]
ALONE = ["--device", "cpu", "--dtype", "float32", "--checkpoint-every", "5"]


def arguments(folder: Path, run: Path, *more: str) -> list[str]:
    records = f"{folder / 'records.jsonl.gz'}=1.5"
    checkpoint = str(folder / "checkpoint")
    return ["train", checkpoint, str(run), "--records", records, *QUICK, *ALONE, *more]


def run_here(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["models.training", *words])
    return main()


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def curve(run: Path) -> list[tuple[int, float, int]]:
    lines = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["examples"]) for line in lines]


def test_killed_and_started_again_it_has_the_same_curve(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ("--steps", "40")
    words = arguments(folder, tmp_path / "killed", *steps)
    child = subprocess.Popen(
        [sys.executable, "-m", "models.training", *words],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    losses = tmp_path / "killed" / "losses.jsonl"
    try:
        while child.poll() is None and (not losses.exists() or len(losses.read_bytes()) < 1500):
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        said = child.communicate()[1]
    assert child.returncode == -signal.SIGKILL, said
    reached = len(losses.read_text().splitlines())
    assert 5 < reached < 40

    assert run_here(monkeypatch, *words) == 0
    assert run_here(monkeypatch, *arguments(folder, tmp_path / "whole", *steps)) == 0
    assert len(curve(tmp_path / "whole")) == 40
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")


def test_two_processes_have_the_loss_curve_of_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("--steps", "6", "--accumulate", "2", "--mode", "all", "--learning-rate", "0.02")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [
            *[sys.executable, *launcher, "-m", "models.training"],
            *arguments(folder, tmp_path / "two", *more),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert run_here(monkeypatch, *arguments(folder, tmp_path / "one", *more)) == 0
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert len(one) == 6
    assert [(step, examples) for step, _, examples in two] == [(s, e) for s, _, e in one]
    assert [loss for _, loss, _ in two] == pytest.approx([loss for _, loss, _ in one], rel=1e-5)
    assert one[-1][1] < one[0][1]


def test_errors_are_one_line(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = arguments(folder, tmp_path / "run", "--markers", "2")
    assert run_here(monkeypatch, *words) == 1
    assert capsys.readouterr().err.startswith("models.training: episodes show up to 6 passages")
    assert run_here(monkeypatch, "export", str(folder / "checkpoint"), str(tmp_path), "out") == 1
    assert "holds no checkpoint" in capsys.readouterr().err
