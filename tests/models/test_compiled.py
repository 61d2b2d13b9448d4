"""What an earlier process compiled is of use to the next, wherever that one was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PREPARED = """
import numpy as np
from models import fused
fused.keep_compiled()
x, w = np.ones((1, 64), np.float32), np.ones((32, 64), np.int8)
scale, out = np.ones(32, np.float32), np.empty((1, 32), np.float32)
"""
KILLED_ON_THE_WAY = "fused._product(w, scale, x, out, 2)"  # before its caller was compiled
WHOLE = "print(fused.logits(x, w, scale, 2).sum())"


def run(body: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREPARED + body],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_code_compiled_by_two_processes_runs_in_a_third(tmp_path: Path) -> None:
    run(KILLED_ON_THE_WAY, tmp_path)
    assert run(WHOLE, tmp_path) == run(WHOLE, tmp_path) == "2048.0"
    assert list(tmp_path.rglob("*logits*.nbi")), "nothing was kept, so nothing was read"
