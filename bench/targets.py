"""The numbers that Homeport must reach, and whether it does. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.samples import DeploymentKind, Load, StackName
from bench.summary import Key, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The least ratio to nginx+uWSGI, for CPU per request and for throughput."""

    stack: StackName
    load: Load
    concurrency: int
    ratio: float

    @property
    def key(self) -> Key:
        """The row that answers it."""
        return (self.stack, self.load, self.concurrency)


def _targets(stack: StackName, *ratios: float) -> tuple[Target, ...]:
    cells = ((Load.HELLO, 1), (Load.HELLO, 32), (Load.FLASK, 1), (Load.FLASK, 32))
    return tuple(
        Target(stack=stack, load=load, concurrency=concurrency, ratio=ratio)
        for (load, concurrency), ratio in zip(cells, ratios, strict=True)
    )


TARGETS = (
    *_targets(StackName.HOMEPORT_PURE, 0.95, 0.83, 1.15, 0.87),
    *_targets(StackName.HOMEPORT_ACCELERATED, 1.25, 1.05, 1.3, 1.05),
)

COLD_START_SECONDS = 0.1
"""A cold request may take this much longer than the application's own import."""

CHANGE_SECONDS = 0.5
"""A changed web.config is live within this time."""

NEIGHBOUR_RATIO = 1.2
"""The p99 latency of a site among 200 may be this multiple of a lone site's."""

FILE_RATIO = 0.9
"""Throughput of a file beside plain nginx, at least."""

DEPLOYMENT_RATIOS = {DeploymentKind.FILES: 1.5, DeploymentKind.PACKAGES: 0.5}
"""A deployment may take this multiple of the tool that does nothing but its work."""

REWRITING_RATIO = 0.7
"""A site with fifty rewrite rules has at least this part of its throughput without."""

HTTP_RATE_RATIO = 0.95
"""A web server behind httpPlatform has at least this part of the throughput that it has behind nginx by hand."""

HTTP_COLD_SECONDS = 0.15
"""A cold request to one may take this much longer than the server takes until it listens."""

WEB_SOCKET_RATIO = 1.1
"""A round trip on a WebSocket may take this multiple of the one through nginx by hand."""

TRANSFER_RATIO = 0.6
"""A large file goes through the SCM site at least at this part of the speed that nginx alone has."""

TRANSFER_GROWTH_BYTES = 16_000_000
"""The SCM site's process may grow by this much meanwhile, whatever the size: constant memory."""

ECHO_SECONDS = 0.03
"""99 of 100 keystrokes in the console are echoed within this time."""

LOG_READERS_RATIO = 0.97
"""Fifty readers of its log cost a site nothing measurable: what is left is within what rounds differ by."""

PACKAGES_SECONDS = 10.0
"""A deployment with 30 packages and a warm cache may take this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was measured for a target; None where it was not or where the row is invalid."""

    target: Target
    cpu_ratio: float | None
    rate_ratio: float | None

    @property
    def cpu_reached(self) -> bool | None:
        """Say whether the target holds for CPU per request; None where nothing was measured."""
        return reached(self.cpu_ratio, at_least=self.target.ratio)

    @property
    def rate_reached(self) -> bool | None:
        """Say whether the target holds for throughput; None where nothing was measured."""
        return reached(self.rate_ratio, at_least=self.target.ratio)


def reached(value: float | None, *, at_least: float) -> bool | None:
    """Compare as a reader of two decimals would: what is printed as the target has reached it."""
    return None if value is None else round(value, 2) >= at_least


def verdicts(table: Mapping[Key, Row]) -> list[Verdict]:
    """Judge every target by the rows."""
    return [_verdict(target, table.get(target.key)) for target in TARGETS]


def _verdict(target: Target, row: Row | None) -> Verdict:
    usable = row is not None and row.valid
    return Verdict(
        target=target,
        cpu_ratio=row.cpu_ratio if row is not None and usable else None,
        rate_ratio=row.rate_ratio if row is not None and usable else None,
    )
