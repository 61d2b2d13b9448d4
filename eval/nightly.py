"""The nightly evaluation: the samples of the settings, compared with the night before.

Celery's worker imports this module by name (`ingestion.app`), which registers the task.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import Task, shared_task

from eval import commands
from ingestion.app import NIGHTLY
from ingestion.tasks import attest_of
from rag.bootstrap import Attest

log = logging.getLogger(__name__)


@shared_task(name=NIGHTLY, bind=True)
def nightly(self: Task) -> None:
    """Thin shell over `evaluate`."""
    evaluate(attest_of(self.app))


def evaluate(attest: Attest) -> str | None:
    """Measure `nightly_samples`: a file of samples, or a folder of a retrieval set. Stores the run
    and returns its id; None when the settings name no samples. Raises BadSamples, ModelError."""
    source = attest.settings.nightly_samples
    if source is None:
        return None
    limit = attest.settings.nightly_limit
    report: dict[str, Any]
    if source.is_dir():
        report = commands.retrieval(attest, source, limit=limit, progress=log.info)
    else:
        name = f"nightly {commands.name_of(source)}"
        report = commands.run(
            attest,
            source,
            limit=limit,
            spread=True,
            name=name,
            against=_night_before(attest, name),
            progress=log.info,
        )
    log.info("nightly evaluation\n%s", commands.text(report))
    return str(report["id"])


def _night_before(attest: Attest, name: str) -> str | None:
    with attest.store() as work:
        earlier = (run for run in work.runs.recent(500, "answers") if run.name == name)
        found = next(earlier, None)
    return None if found is None else found.id
