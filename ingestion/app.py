"""The Celery application: the settings under which no accepted job is lost.

A message is acknowledged after the work, and comes back when its worker dies; a worker takes one
at a time. Messages carry ids as JSON. The jobs table is the truth, so a message that comes twice
or never does no harm: leases and the sweep see to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.schedules import crontab
from kombu.entity import Queue

from ingestion.broker import broker_url

if TYPE_CHECKING:
    from rag.settings import Settings

INGEST, SWEEP, NIGHTLY = "ingestion.ingest", "ingestion.sweep", "eval.nightly"
WARM, SYNC, EMBED = "ingestion.warm", "ingestion.sync", "ingestion.embed"
PURGE = "ingestion.purge"
INGESTION_QUEUE, SWEEP_QUEUE, EVALUATION_QUEUE = "attest-ingest", "attest-sweep", "attest-eval"
WARMING_QUEUE, SYNC_QUEUE, EMBEDDING_QUEUE = "attest-warm", "attest-sync", "attest-embed"
PURGING_QUEUE = "attest-purge"
QUEUES = (
    INGESTION_QUEUE,
    SWEEP_QUEUE,
    EVALUATION_QUEUE,
    WARMING_QUEUE,
    SYNC_QUEUE,
    EMBEDDING_QUEUE,
    PURGING_QUEUE,
)
_ONCE = (NIGHTLY, WARM, SYNC, EMBED, PURGE)  # see `make_app`
LONGEST_TASK = 6 * 3600  # seconds; a message that is held longer would be given to a second worker


def make_app(settings: Settings) -> Celery:
    """The application for these settings; nothing is connected. Raises BrokerUnavailable when no
    broker is known for the data folder yet."""
    url = broker_url(settings)
    amqp = url.startswith(("amqp", "pyamqp"))
    app = Celery("attest", broker=url, set_as_current=False, include=_modules(settings))
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_queues=_queues(amqp),
        task_default_queue=INGESTION_QUEUE,
        task_create_missing_queues=False,
        task_routes={
            INGEST: {"queue": INGESTION_QUEUE},
            SWEEP: {"queue": SWEEP_QUEUE},
            NIGHTLY: {"queue": EVALUATION_QUEUE},
            WARM: {"queue": WARMING_QUEUE},
            SYNC: {"queue": SYNC_QUEUE},
            EMBED: {"queue": EMBEDDING_QUEUE},
            PURGE: {"queue": PURGING_QUEUE},
        },
        # One may run all night, the others come again by themselves: none is given out twice.
        task_annotations={name: {"acks_late": False} for name in _ONCE},
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=4,
        broker_transport_options=_transport(amqp),
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        timezone=_local_timezone(),
        beat_scheduler="celery.beat:Scheduler",  # in memory: what is due is in the jobs table
        beat_schedule=_schedule(settings),
    )
    return app


def _modules(settings: Settings) -> list[str]:
    """Modules with shared tasks, which the worker imports by name."""
    return ["eval.nightly"] if settings.nightly_samples is not None else []


def _queues(amqp: bool) -> list[Any]:
    arguments = {"x-queue-type": "quorum"} if amqp else None
    queue: Any = Queue
    return [
        queue(name, routing_key=name, durable=True, queue_arguments=arguments) for name in QUEUES
    ]


def _transport(amqp: bool) -> dict[str, Any]:
    if amqp:
        return {"confirm_publish": True}
    return {
        "visibility_timeout": LONGEST_TASK,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 4,
        "socket_keepalive": True,
        "health_check_interval": 20,
    }


def _schedule(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "sweep": {
            "task": SWEEP,
            "schedule": settings.sweep_seconds,
            "options": {"queue": SWEEP_QUEUE, "expires": max(10.0, 2 * settings.sweep_seconds)},
        },
        "sync": {
            "task": SYNC,
            "schedule": settings.source_poll_seconds,
            "options": {"queue": SYNC_QUEUE, "expires": max(1.0, settings.source_poll_seconds)},
        },
        "embed": {
            "task": EMBED,
            "schedule": settings.sweep_seconds,
            "options": {"queue": EMBEDDING_QUEUE, "expires": max(1.0, settings.sweep_seconds)},
        },
    }
    if settings.purge_seconds:
        found["purge"] = {
            "task": PURGE,
            "schedule": settings.purge_seconds,
            "options": {"queue": PURGING_QUEUE, "expires": max(1.0, settings.purge_seconds)},
        }
    if settings.warm_seconds and settings.kv_disk_bytes:
        found["warm"] = {
            "task": WARM,
            "schedule": settings.warm_seconds,
            "options": {"queue": WARMING_QUEUE, "expires": settings.warm_seconds},
        }
    if settings.nightly_samples is not None:
        hour, _, minute = settings.nightly_at.partition(":")
        found["nightly"] = {
            "task": NIGHTLY,
            "schedule": crontab(hour=int(hour), minute=int(minute)),
            "options": {"queue": EVALUATION_QUEUE, "expires": 12 * 3600},
        }
    return found


def _local_timezone() -> str:
    import tzlocal

    return str(tzlocal.get_localzone_name() or "UTC")
