"""The predictions file: one JSON line a sample, in the order of the samples.

While a run goes on, `<file>.partial` holds what came of each sample so far, under a first line that
names the run. A run that was stopped and is started again the same way goes on where it was; any
other run starts afresh. A finished run leaves the predictions only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from eval.outcome import Outcome
from rag.errors import BadInput, DiskFull
from rag.wire import Json


class Predictions:
    """`identity` is all that makes two runs the same. Used as a context manager."""

    def __init__(self, path: Path, identity: Mapping[str, Json]) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self._identity = json.dumps(identity, sort_keys=True)
        self._files: tuple[TextIO, TextIO] | None = None

    def __enter__(self) -> Self:
        """Raises BadInput when the file cannot be written."""
        self.done = self._resume()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._files = (
                self.path.open("w", encoding="utf-8"),
                self.partial.open("w", encoding="utf-8"),
            )
        except OSError as exc:
            raise BadInput(f"predictions cannot be written to {self.path}: {exc}") from exc
        print(self._identity, file=self._files[1], flush=True)
        for outcome in self.done.values():
            self.add(outcome)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files or ():
            file.close()
        if kind is None:
            self.partial.unlink(missing_ok=True)

    def add(self, outcome: Outcome) -> None:
        """Append and flush. A sample on which the reader failed has no prediction. Raises
        DiskFull."""
        assert self._files is not None, "use it in a with block"
        predictions, partial = self._files
        try:
            print(json.dumps(outcome.to_json()), file=partial, flush=True)
            if not outcome.error:
                line = json.dumps(outcome.prediction(), ensure_ascii=False)
                print(line, file=predictions, flush=True)
        except OSError as exc:
            raise DiskFull(f"{self.path} cannot be written: {exc}") from exc

    def _resume(self) -> dict[str, Outcome]:
        """Outcomes of the same run that was stopped; a line cut short ends them."""
        done: dict[str, Outcome] = {}
        if not self.partial.is_file():
            return done
        lines = self.partial.read_text("utf-8", errors="replace").splitlines()
        if lines[:1] != [self._identity]:
            return done
        for line in lines[1:]:
            try:
                outcome = Outcome.from_json(json.loads(line))
            except (json.JSONDecodeError, BadInput):
                break
            if not outcome.error:  # what failed is tried again
                done[outcome.id] = outcome
        return done
