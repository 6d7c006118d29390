"""Counting requests per site and rule, from what nginx wrote down."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from homeport.node.nginx.rule_names import RuleName

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: the upper ends of the classes of response times; the last class has none."""

MOST_RULES = 50
"""Rules of one site that are counted each: its owner can think of ever new names."""
OTHERS = RuleName(rule="other", pool="other")
"""All rules of a site that come after those."""


@dataclass(slots=True)
class Tally:
    """What was counted for one site and rule; `statuses` by class (`2xx`), `classes` by `BOUNDS`."""

    statuses: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    sent: int = 0
    received: int = 0
    classes: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(self.classes)


class RequestMetrics:
    """Counters since the agent started; a counter that begins anew is what Prometheus expects of a restart."""

    def __init__(self) -> None:
        self.tallies: dict[tuple[str, RuleName], Tally] = {}
        self._rules: Counter[str] = Counter()
        """How many rules of each site are counted."""

    def count(
        self,
        site: str,
        rule: RuleName,
        *,
        status: str,
        seconds: float,
        sent: int,
        received: int,
        times: int = 1,
    ) -> None:
        """Count a request, or several that are alike."""
        tally = self.tallies.get((site, rule)) or self._new_tally(site, rule)
        group = f"{status[:1]}xx"
        tally.statuses[group] = tally.statuses.get(group, 0) + times
        tally.seconds += seconds * times
        tally.sent += sent * times
        tally.received += received * times
        tally.classes[bisect_left(BOUNDS, seconds)] += times

    def _new_tally(self, site: str, rule: RuleName) -> Tally:
        if self._rules[site] >= MOST_RULES:
            return self.tallies.setdefault((site, OTHERS), Tally())
        self._rules[site] += 1
        return self.tallies.setdefault((site, rule), Tally())

    def forget(self, sites: Iterable[str]) -> None:
        """Drop everything of sites that are gone."""
        gone = set(sites)
        self.tallies = {key: tally for key, tally in self.tallies.items() if key[0] not in gone}
        for site in gone:
            del self._rules[site]

    def as_json(self) -> list[dict[str, object]]:
        """Return one object for each site and rule."""
        return [
            {
                "site": site,
                "rule": rule.rule,
                "folder": rule.folder,
                "pool": rule.pool,
                "requests": tally.requests,
                "statuses": dict(sorted(tally.statuses.items())),
                "seconds": round(tally.seconds, 3),
                "bytes_sent": tally.sent,
                "bytes_received": tally.received,
            }
            for (site, rule), tally in sorted(self.tallies.items())
        ]

    def exposition(self, processes: Mapping[str, int]) -> str:
        """Return the text that Prometheus reads; `processes` is how many run of each site."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self.tallies, processes))
        return generate_latest(registry).decode()


class _Collector(Collector):
    def __init__(self, tallies: Mapping[tuple[str, RuleName], Tally], processes: Mapping[str, int]) -> None:
        self._tallies = tallies
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        labels = ["site", "rule", "folder", "pool"]
        requests = CounterMetricFamily(
            "homeport_requests", "Requests that were answered.", labels=[*labels, "status"]
        )
        sent = CounterMetricFamily("homeport_sent_bytes", "Bytes sent to visitors.", labels=labels)
        received = CounterMetricFamily(
            "homeport_received_bytes", "Bytes received from visitors.", labels=labels
        )
        seconds = HistogramMetricFamily(
            "homeport_request_seconds", "From a request's first byte to its answer's last.", labels=labels
        )
        for (site, rule), tally in sorted(self._tallies.items()):
            key = [site, rule.rule, rule.folder, rule.pool]
            for status, count in sorted(tally.statuses.items()):
                requests.add_metric([*key, status], count)
            sent.add_metric(key, tally.sent)
            received.add_metric(key, tally.received)
            total, buckets = 0, []
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), tally.classes, strict=True):
                total += count
                buckets.append((bound, total))
            seconds.add_metric(key, buckets, tally.seconds)
        processes = GaugeMetricFamily("homeport_processes", "Processes that run now.", labels=["site"])
        for site, count in sorted(self._processes.items()):
            processes.add_metric([site], count)
        yield from (requests, sent, received, seconds, processes)
