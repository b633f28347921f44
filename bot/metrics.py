"""What Prometheus may ask: numbers read from the rows at the time of asking, and a few counters of this process.

No label ever holds a person, a machine or a command: those would grow without bound and tell too much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)  #: seconds; Slack's limit is 3


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.acknowledged = Histogram(
            "runbook_slack_acknowledge_seconds",
            "Time from a Slack request's arrival to its acknowledgement",
            ["kind"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.refusals = Counter(
            "runbook_refusals_total", "Requests refused, by error code", ["code"], registry=self.registry
        )

    def gauge(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Add a gauge that is read when it is asked for."""
        self.registry.register(_Reader(name, text, label, read))


class _Reader(Collector):
    def __init__(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        self._name, self._text, self._label, self._read = name, text, label, read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily(self._name, self._text, labels=[self._label])]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._text, labels=[self._label])
        for key, value in sorted(self._read().items()):
            family.add_metric([key], value)
        return [family]
