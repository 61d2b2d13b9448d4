"""What an operator watches of an engine process, for Prometheus: numbers only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from rag.engine_api.parts import EngineParts


def metrics_text(here: EngineParts) -> bytes:
    """As they are now, in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(here))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


@dataclass(frozen=True, slots=True)
class _Now(Collector):
    here: EngineParts

    def collect(self) -> Iterator[Metric]:
        line = self.here.turnstile
        yield GaugeMetricFamily("attest_questions_working", "Questions worked on now", line.taken)
        yield GaugeMetricFamily("attest_questions_waiting", "Questions in the queue", line.waiting)
        yield CounterMetricFamily(
            "attest_refused_busy", "Questions refused: queue full", line.refused
        )
        for name, value in self.here.attest.gauges().items():
            yield GaugeMetricFamily(f"attest_{name}", name.replace("_", " "), value)
