"""The folder of a training run: `run.json` (its settings), `losses.jsonl` (a line a step) and
`checkpoint.pt`, from which a killed run goes on.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from models.errors import DiskFull, ModelError, WeightsCorrupt
from models.training.errors import RunBusy, RunDiffers, RunUnwritable

# May change between two starts of one run: they do not move the loss curve.
_FREE = ("train.checkpoint_every", "train.recompute", "data.")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Run:
    """One run's folder. Everything is written beside and renamed or appended: whatever moment the
    process is killed at, what lies there can be gone on from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._checkpoint = folder / "checkpoint.pt"
        self._losses = folder / "losses.jsonl"
        self._about = folder / "run.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """For one process at a time. Raises RunBusy, RunUnwritable."""
        with self._writing("the folder"):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as exc:
            raise RunBusy(f"another process is training in {self.folder}") from exc
        try:
            yield
        finally:
            lock.release()

    def begin(self, about: Mapping[str, Any]) -> None:
        """Note the run's settings. Raises RunDiffers when a checkpoint of other ones lies here."""
        if self._checkpoint.is_file() and self._about.is_file():
            differences = list(_differences(_flat(self.about()), _flat(about)))
            if differences:
                raise RunDiffers(
                    f"{self.folder} holds a run with other settings: {'; '.join(differences)}. "
                    "Go on with its settings, or train into another folder"
                )
        with self._writing("run.json"):
            self._replace(self._about, (json.dumps(about, indent=2) + "\n").encode())

    def about(self) -> dict[str, Any]:
        """The settings of the run that lies here. Raises WeightsCorrupt."""
        try:
            return dict(json.loads(self._about.read_text("utf-8")))
        except (ValueError, OSError) as exc:
            raise WeightsCorrupt(f"{self._about} cannot be read: {exc}") from exc

    def state(self) -> dict[str, Any] | None:
        """What `save` kept, on the CPU; None when nothing was saved yet. Raises WeightsCorrupt."""
        if not self._checkpoint.is_file():
            return None
        try:
            return dict(torch.load(self._checkpoint, map_location="cpu", weights_only=True))
        except Exception as exc:  # torch raises many kinds for a broken file
            raise WeightsCorrupt(
                f"{self._checkpoint} cannot be read ({exc}); remove it to begin anew"
            ) from exc

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a checkpoint in place of the earlier one. Raises DiskFull, RunUnwritable; the
        earlier one is then still there."""
        temporary = self._checkpoint.with_suffix(".tmp")
        with self._writing("a checkpoint", temporary):
            with temporary.open("wb") as file:
                _save(dict(state), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._checkpoint)

    def forget_after(self, step: int) -> None:
        """Drop the losses of steps after `step`: they will be taken again. A line that a kill cut
        short goes too."""
        if not self._losses.is_file():
            return
        kept = [line for line in self._losses.read_bytes().splitlines(True) if _step(line) <= step]
        with self._writing("losses.jsonl"):
            self._replace(self._losses, b"".join(kept))

    def add_loss(self, line: Mapping[str, Any]) -> None:
        with self._writing("losses.jsonl"), self._losses.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    @staticmethod
    def _replace(path: Path, content: bytes) -> None:
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(content)
        os.replace(temporary, path)

    @contextmanager
    def _writing(self, what: str, temporary: Path | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
            raise self._unwritten(what, exc) from exc

    def _unwritten(self, what: str, exc: OSError) -> ModelError:
        kept = "the last checkpoint is kept" if self._checkpoint.is_file() else "nothing was kept"
        if exc.errno in _NO_ROOM:
            return DiskFull(
                f"no room in {self.folder} for {what} ({exc.strerror}); {kept}: make room and "
                "start the same training again"
            )
        return RunUnwritable(f"{what} cannot be written in {self.folder} ({exc}); {kept}")


def _save(state: dict[str, Any], file: Any) -> None:
    """Raises OSError as it came: torch hides the one of a full disk in a RuntimeError."""
    watched = _Watched(file)
    try:
        torch.save(state, watched)  # type: ignore[arg-type]
    except RuntimeError:
        if watched.failure is not None:
            raise watched.failure from None
        raise


class _Watched:
    """A file that remembers why it could not be written."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return int(self._file.write(data))
        except OSError as exc:
            self.failure = exc
            raise

    def flush(self) -> None:
        self._file.flush()


def _step(line: bytes) -> float:
    try:
        return float(json.loads(line)["step"]) if line.endswith(b"\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _flat(about: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings under dotted names, as JSON gives them back."""
    flat: dict[str, Any] = {}
    for name, value in about.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = json.loads(json.dumps(value))
    return flat


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """A setting that an earlier version did not write down yet is no difference."""
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name] and not name.startswith(_FREE):
            yield f"{name} was {old[name]}, now {new[name]}"
