"""From the lines that nginx wrote about requests to metrics, and to the access logs of sites that keep one."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from homeport.node.nginx.access_log import FULL_FIELDS, METRIC_FIELDS, SEPARATOR
from homeport.node.nginx.rule_names import read_rule_name
from homeport.node.request_metrics import RequestMetrics

NO_HTTP = "009"
"""What nginx writes where a server's answer began as no HTTP: HTTP 0.9, it takes it, and passes it on as it is."""


class Logged(Protocol):
    """A site as far as its requests are concerned."""

    @property
    def name(self) -> str:
        """The site's name."""

    def log_requests(self, lines: Sequence[Sequence[str]]) -> None:
        """Write requests, given by `FULL_FIELDS`, into the site's access log."""


class RequestAccounting:
    """Takes lines in order; `site_of` finds the site of an nginx server by the server's first name."""

    def __init__(self, metrics: RequestMetrics, *, site_of: Callable[[str], Logged | None]) -> None:
        self._metrics = metrics
        self._site_of = site_of

    def take(self, lines: Sequence[bytes]) -> None:
        """Count the requests and hand on those that are to be logged; a line that is none is left out.

        Under load most lines of a second are equal, so each is taken apart once.
        """
        logged: dict[str, tuple[Logged, list[Sequence[str]]]] = {}
        for line, times in Counter(lines).items():
            fields = line.decode("ascii", "replace").split(SEPARATOR)
            if len(fields) not in (len(METRIC_FIELDS), len(FULL_FIELDS)):
                continue
            if fields[1] == NO_HTTP:
                _as_bad_gateway(fields)
            site = self._site_of(fields[0])
            if site is None or not self._count(site.name, fields, times):
                continue
            if len(fields) == len(FULL_FIELDS):
                logged.setdefault(site.name, (site, []))[1].extend([fields] * times)
        for site, requests in logged.values():
            site.log_requests(requests)

    def _count(self, site: str, fields: Sequence[str], times: int) -> bool:
        _, status, seconds, sent, received, taken_by, *_ = fields
        try:
            self._metrics.count(
                site,
                read_rule_name(taken_by),
                status=status,
                seconds=float(seconds),
                sent=int(sent),
                received=int(received),
                times=times,
            )
        except ValueError:  # cut off by a full disk, say
            return False
        return True


def _as_bad_gateway(fields: list[str]) -> None:
    """Write down 502.3, as IIS answers then (IIS reference §4.5)."""
    fields[1] = "502"
    if len(fields) == len(FULL_FIELDS):
        fields[-1] = "3"
