"""The scheduler: `python -m ingestion.scheduler --data DIR`. One for an installation.

Celery beat sends the sweep, which sends due jobs again, the sync of sources that are due, the purge
and the nightly evaluation.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import AttestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ingestion.scheduler", description=__doc__)
    parser.add_argument("--data", type=Path, help="the data folder")
    asked = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        from rag.settings import load_settings

        run(load_settings(asked.data))
    except AttestError as exc:
        print(f"attest scheduler: {exc}", file=sys.stderr)
        return 1
    return 0


def run(settings: Settings) -> None:
    """Send what is due until SIGTERM or SIGINT. Raises BrokerUnavailable."""
    from ingestion.app import make_app
    from ingestion.broker import check_broker

    check_broker(settings, seconds=10.0)
    app = make_app(settings)
    app.Beat(quiet=True, loglevel="INFO", redirect_stdouts=False).run()


if __name__ == "__main__":
    sys.exit(main())
