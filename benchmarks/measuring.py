"""What every benchmark of engines does around its measuring."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from models.errors import ModelError
from rag.errors import AttestError


def measured(
    asked: argparse.Namespace,
    run: Callable[[argparse.Namespace, Path], dict[str, Any]],
    table: Callable[[list[dict[str, Any]]], str],
) -> dict[str, Any] | None:
    """What `run` gives, said, and written to `asked.out`; `run` gets `asked.keep` or a folder that
    is thrown away. None: it failed, and why was said."""
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="attest-benchmark-") as thrown_away:
        try:
            found = run(asked, asked.keep or Path(thrown_away))
        except (AttestError, ModelError) as exc:
            print(f"The benchmark FAILED: {exc}", file=sys.stderr)
            return None
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1), "utf-8")
    print(table(found["rows"]))
    for name, why in found["missing"].items():
        print(f"NOT MEASURED: {name}: {why}")
    return found
