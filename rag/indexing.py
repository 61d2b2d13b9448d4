"""The child process that makes the snapshots of an embedded index.

Making one takes minutes of Python at a million rows; in a process of its own it takes no turn from
the questions. It is told what to do on its standard input (the database's address may hold a
password) and ends when that is closed, so it does not outlive who started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from rag.errors import AttestError, IndexUnavailable
from rag.index.building import build
from rag.store.unit import open_store

_NICE = 10
_LAST_WORDS = 500  # characters


@dataclass(frozen=True, slots=True)
class Order:
    """What `rag.index.building.build` is called with."""

    database: str
    collection: str
    folder: str
    dimension: int
    floor: int = 0


class Builder:
    """Makes snapshots of one collection, one after the other; `stop` ends it for good."""

    def __init__(self, database: str, collection: str, folder: Path, dimension: int) -> None:
        self._order = Order(database, collection, str(folder), dimension)
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __call__(self, floor: int) -> None:
        """Returns when it is made, or another process is at it. Raises IndexUnavailable."""
        with self._lock:
            if self._stopped:
                raise IndexUnavailable("this process is ending")
            child = self._child = subprocess.Popen(
                [sys.executable, "-m", "rag.indexing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        with child:
            told: IO[bytes] | None = child.stdin
            heard: IO[bytes] | None = child.stderr
            assert told is not None
            assert heard is not None
            order = asdict(self._order) | {"floor": floor}
            told.write(json.dumps(order).encode() + b"\n")
            told.flush()
            said = heard.read().decode("utf-8", "replace")
            code = child.wait()
        if code:
            raise IndexUnavailable(
                f"the index of collection {self._order.collection} could not be made (its process "
                f"ended with {code}): {said.strip()[-_LAST_WORDS:]}"
            )

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()


def main() -> int:
    order = Order(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    os.nice(_NICE)
    store = open_store(order.database)
    try:
        folder = Path(order.folder)
        build(store, order.collection, folder, order.dimension, order.floor)
    except AttestError as exc:
        print(exc, file=sys.stderr)
        return 1
    finally:
        store.close()
    return 0


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
