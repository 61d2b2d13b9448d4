"""`python -m rag.api.serve --data DIR`: the API as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from threading import Thread

from ingestion.queue import CeleryQueue
from rag.api.app import make_app
from rag.api.listening import listen
from rag.bootstrap import open_attest
from rag.errors import AttestError
from rag.settings import load_settings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rag.api.serve", description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--port", type=int, default=None)
    asked = parser.parse_args(arguments)
    try:
        settings = load_settings(asked.data)
        attest = open_attest(settings)
        app = make_app(attest, CeleryQueue(settings))
    except AttestError as exc:
        print(f"attest: {exc}", file=sys.stderr)
        return 1
    Thread(target=attest.warm, name="warm", daemon=True).start()
    port = settings.api_port if asked.port is None else asked.port
    try:
        listen(app, settings.host, port)
    finally:
        attest.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
