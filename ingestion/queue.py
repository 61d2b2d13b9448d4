"""Sending job ids to the workers through Celery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.errors import BrokerUnavailable

if TYPE_CHECKING:
    from celery import Celery

    from rag.settings import Settings

_RETRY = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.1, "interval_max": 0.2}


class CeleryQueue:
    """The queue port. The broker is looked for at the first message, not before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: Celery | None = None

    def send(self, job: str) -> None:
        """Raises BrokerUnavailable; the job stays queued and the sweep sends it again."""
        from ingestion.app import INGEST

        self._send(INGEST, [job])

    def send_sweep(self) -> None:
        """Have a worker look for due jobs now. Raises BrokerUnavailable."""
        from ingestion.app import SWEEP

        self._send(SWEEP, [])

    def send_embed(self) -> None:
        """Have a worker go on with the embeddings that are due. Raises BrokerUnavailable."""
        from ingestion.app import EMBED

        self._send(EMBED, [])

    def send_purge(self) -> None:
        """Have a worker go on with the purge. Raises BrokerUnavailable."""
        from ingestion.app import PURGE

        self._send(PURGE, [])

    def check(self) -> None:
        """Raises BrokerUnavailable when the broker does not answer."""
        from ingestion.broker import check_broker

        check_broker(self._settings)

    def waiting(self) -> int:
        """Messages that no worker has taken yet. Raises BrokerUnavailable."""
        from kombu.exceptions import KombuError

        from ingestion.app import INGESTION_QUEUE

        app = self._app()
        try:
            with app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=4)
                queue = app.amqp.queues[INGESTION_QUEUE].bind(connection.default_channel)
                return int(queue.queue_declare(passive=False).message_count)
        except (KombuError, OSError) as exc:
            raise _unavailable(exc) from exc

    def _send(self, task: str, arguments: list[str]) -> None:
        from kombu.exceptions import KombuError

        app = self._app()
        try:
            app.send_task(task, args=arguments, retry=True, retry_policy=_RETRY)
        except (KombuError, OSError) as exc:
            self._made = None  # the next attempt reads the address anew
            raise _unavailable(exc) from exc

    def _app(self) -> Celery:
        from ingestion.app import make_app

        if self._made is None:
            self._made = make_app(self._settings)
        return self._made


def _unavailable(exc: Exception) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"the broker does not answer ({exc}); what was accepted is kept and goes on by itself "
        "once it is back (`attest up` starts the one that comes with Attest)"
    )
