"""`python -m rag.engine_api.serve --data DIR`: the engine as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from threading import Thread

from rag.api.listening import listen
from rag.bootstrap import open_attest
from rag.engine_api.app import make_engine_app
from rag.errors import AttestError
from rag.settings import Settings, load_settings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rag.engine_api.serve", description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--port", type=int, default=None)
    asked = parser.parse_args(arguments)
    try:
        settings = load_settings(asked.data)
        serve(settings, settings.engine_port if asked.port is None else asked.port)
    except AttestError as exc:
        print(f"attest: {exc}", file=sys.stderr)
        return 1
    return 0


def serve(settings: Settings, port: int) -> None:
    """Until it is told to stop. Raises BadSettings, StoreUnavailable, DiskFull."""
    here = {"engine_url": None, "engine_process": False}  # it does not ask itself
    attest = open_attest(settings.model_copy(update=here))
    app = make_engine_app(attest)
    Thread(target=attest.warm_reader, name="warm", daemon=True).start()
    try:
        listen(app, settings.engine_host, port)
    finally:
        attest.close()


if __name__ == "__main__":
    sys.exit(main())
