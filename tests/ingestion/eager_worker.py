"""The worker as it would be on an idle machine: its KV blocks are made at the tests' own priority
and as slowly as it takes, as the machine that runs the tests may have much else to do."""

from __future__ import annotations

import sys

from ingestion import warming
from ingestion.worker import main

warming.LOWEST, warming.LONGEST = 0, 600.0

if __name__ == "__main__":
    sys.exit(main())
