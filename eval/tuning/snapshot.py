"""What was gathered, kept in the run's folder until the tuning is done: killed training goes on
with the same records although feedback and documents may have changed since.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path
from typing import Any

from eval.tuning.sources import Gathered
from rag.errors import BadInput, Conflict, Corrupt, DiskFull
from rag.wire import from_json, to_json

NAME = "records.json.gz"


def keep(folder: Path, asked: dict[str, Any], gathered: Gathered) -> None:
    """Written beside and renamed. Raises DiskFull."""
    path = folder / NAME
    temporary = path.with_name(NAME + ".tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(temporary, "wt", encoding="utf-8") as stream:
            json.dump({"asked": asked, "gathered": to_json(gathered)}, stream)
        os.replace(temporary, path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise DiskFull(f"the records cannot be kept in {folder}: {exc}; make room") from exc


def kept(folder: Path, asked: dict[str, Any]) -> Gathered | None:
    """What an unfinished run began with; None where there is none. Raises Conflict when it was
    asked to tune on something else, Corrupt when it cannot be read."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            held = json.load(stream)
        gathered = from_json(Gathered, held["gathered"])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, BadInput) as exc:
        raise Corrupt(f"{path} cannot be read ({exc}); remove {folder} to begin anew") from exc
    if held["asked"] != asked:
        raise Conflict(
            f"{folder} holds an unfinished run over other data ({_said(held['asked'])}); go on "
            "with that, choose another --name, or remove the folder"
        )
    return gathered


def drop(folder: Path) -> None:
    """The run is done: the texts it was made from are no longer kept beside it."""
    (folder / NAME).unlink(missing_ok=True)


def _said(asked: dict[str, Any]) -> str:
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in asked.items())
