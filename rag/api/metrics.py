"""What an operator watches, for Prometheus: numbers only. No label holds a question, a user, a
collection or a document (PERMITTED)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from rag.api.turnstile import Turnstile
from rag.domain import Answer, Verdict
from rag.errors import StoreUnavailable
from rag.ports import Store

log = logging.getLogger("attest.api")
Gauges = Callable[[], Mapping[str, float]]

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)


class Metrics:
    """The metrics of one app, in a registry of its own. `gauges` are numbers of other parts, read
    at each scrape: "kv_blocks" becomes attest_kv_blocks."""

    def __init__(self, turnstile: Turnstile, store: Callable[[], Store], gauges: Gauges) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=False)
        self._answers = Counter("attest_answers", "Answers", ["verdict"], registry=registry)
        self._seconds = Histogram(
            "attest_answer_seconds",
            "Seconds of each stage of an answer; queue: waiting for a seat",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "attest_tokens", "Tokens the reader read or wrote", ["kind"], registry=registry
        )
        self._requests = Counter(
            "attest_http_requests",
            "Requests; status 499: the client hung up",
            ["method", "route", "status"],
            registry=registry,
        )
        for verdict in Verdict:
            self._answers.labels(verdict.value)
        registry.register(_Now(turnstile, store, gauges))
        ProcessCollector(registry=registry)

    def answered(self, answer: Answer) -> None:
        self._answers.labels(answer.verdict.value).inc()
        for stage, seconds in answer.timings.items():
            self._seconds.labels(stage).observe(seconds)
        if answer.usage is not None:
            self._tokens.labels("prompt").inc(answer.usage.prompt)
            self._tokens.labels("completion").inc(answer.usage.completion)

    def requested(self, method: str, route: str, status: int) -> None:
        self._requests.labels(method, route, str(status)).inc()

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)


@dataclass(frozen=True, slots=True)
class _Now(Collector):
    """What is read when it is asked for."""

    turnstile: Turnstile
    store: Callable[[], Store]
    gauges: Gauges

    def collect(self) -> Iterator[Metric]:
        line = self.turnstile
        yield GaugeMetricFamily("attest_questions_working", "Questions worked on now", line.taken)
        yield GaugeMetricFamily("attest_questions_waiting", "Questions in the queue", line.waiting)
        yield CounterMetricFamily(
            "attest_refused_busy", "Questions refused: queue full", line.refused
        )
        yield from self._jobs()
        for name, value in self.gauges().items():
            yield GaugeMetricFamily(f"attest_{name}", name.replace("_", " "), value)

    def _jobs(self) -> Iterator[Metric]:
        """A store that is away must not hide the other numbers."""
        up = GaugeMetricFamily("attest_store_up", "Whether the database can be reached")
        jobs = GaugeMetricFamily(
            "attest_jobs", "Uploads by the state of their job", labels=["state"]
        )
        try:
            with self.store()() as work:
                for state, number in work.jobs.counts().items():
                    jobs.add_metric([state.value], number)
            up.add_metric([], 1)
        except StoreUnavailable as exc:
            log.warning("jobs are not counted: %s", exc)
            up.add_metric([], 0)
        yield from (up, jobs)
