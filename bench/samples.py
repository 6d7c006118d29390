"""What a run yields, as values and as JSON. Pure."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar


class Load(StrEnum):
    """What is asked of a stack; the value names the application in `bench/apps`. MARK serves changes, not rates."""

    HELLO = "hello"
    FLASK = "flask_hello"
    DJANGO = "django_hello"
    BODY = "body"
    UPLOAD = "upload"
    MARK = "mark"


class StackName(StrEnum):
    """The stacks in the order of the tables."""

    HOMEPORT_PURE = "homeport-pure"
    HOMEPORT_ACCELERATED = "homeport-accelerated"
    UWSGI = "nginx-uwsgi"
    GUNICORN_SYNC = "nginx-gunicorn-sync"
    GUNICORN_GTHREAD = "nginx-gunicorn-gthread"
    GRANIAN = "nginx-granian"
    GRANIAN_DIRECT = "granian-direct"


BASELINE = StackName.UWSGI
"""The stack that every ratio refers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSample:
    """One stack under one load for about a second.

    `front_cpu`, `site_cpu`, `platform_cpu`: CPU microseconds per request (user and system) of nginx, of the site's
    processes, and of what serves all sites (the peers have none).
    `p50`, `p99`: latency in microseconds. `failures`: answers other than 2xx and 3xx; `socket_errors`: requests
    without an answer. `foreign`: CPU seconds per second that other programs of the machine used meanwhile.
    """

    stack: str
    load: str
    concurrency: int
    round: int
    requests: int
    seconds: float
    failures: int
    socket_errors: int
    front_cpu: float
    site_cpu: float
    platform_cpu: float
    p50: float
    p99: float
    foreign: float

    @property
    def cpu(self) -> float:
        """CPU microseconds per request of the whole stack."""
        return self.front_cpu + self.site_cpu + self.platform_cpu

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def valid(self) -> bool:
        """Say whether every request was answered, and well."""
        return self.requests > 0 and self.failures == 0 and self.socket_errors == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySample:
    """Proportional set size (bytes) of a stack that has two processes for one site and has served requests."""

    stack: str
    load: str
    front_bytes: int
    site_bytes: int
    platform_bytes: int
    site_processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdSample:
    """One first request to a site without a process, and one import of the same application alone (seconds)."""

    stack: str
    load: str
    attempt: int
    request_seconds: float
    import_seconds: float

    @property
    def beyond_import(self) -> float:
        """What the platform added to the application's own import, in seconds."""
        return self.request_seconds - self.import_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSample:
    """One site under load on a platform that hosts `sites` sites; CPU in microseconds per request."""

    sites: int
    round: int
    front_cpu: float
    back_cpu: float
    failures: int
    socket_errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadSample:
    """One reload of nginx with `sites` sites: until new workers serve (seconds), and nginx's CPU for it (seconds)."""

    sites: int
    attempt: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DisturbanceSample:
    """Requests that failed while something changed `changes` times under load.

    `what`: "reload" (nginx is told to reload) or "change" (a site's web.config is replaced). `clients`:
    "new connections" (one per request) or "kept alive". `slowest_change`: seconds until the slowest change was
    seen by a client; None for a reload.
    """

    what: str
    clients: str
    sites: int
    changes: int
    requests: int
    failures: int
    socket_errors: int
    slowest_change: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FootprintSample:
    """A platform with `sites` sites, `active` of which have a process: proportional set sizes in bytes.

    `ready_seconds`: how long `homeport up` took with these sites.
    """

    sites: int
    active: int
    front_bytes: int
    platform_bytes: int
    site_bytes: int
    ready_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourSample:
    """One site under a fixed load, alone or beside other sites that all have processes; microseconds."""

    sites: int
    round: int
    p50: float
    p99: float
    failures: int
    socket_errors: int


class DeploymentKind(StrEnum):
    """What a deployment mostly consists of."""

    FILES = "files"
    PACKAGES = "packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSample:
    """One deployment, and the tool that does nothing but the same work."""

    kind: DeploymentKind
    round: int
    seconds: float
    peer_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RewritingSample:
    """One site under load, with `rules` rewrite rules; CPU in microseconds per request, `rate` per second."""

    rules: int
    round: int
    rate: float
    front_cpu: float
    back_cpu: float
    failures: int


class HttpMeasure(StrEnum):
    """What is compared of a web server behind httpPlatform: requests per second, or seconds."""

    RATE = "rate"
    ECHO = "echo"
    COLD = "cold"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPlatformSample:
    """A web server behind Homeport (`own`) and behind nginx by hand; of a cold start, the server alone (`peer`)."""

    server: str
    measure: HttpMeasure
    own: float
    peer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSample:
    """A file served by a site and by an nginx that has nothing else: CPU microseconds per request, requests a second."""

    size_bytes: int
    round: int
    cpu: float
    plain_cpu: float
    rate: float
    plain_rate: float
    failures: int


class Direction(StrEnum):
    """Which way a file goes."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSample:
    """A file through the SCM site's `/api/vfs`, and through an nginx that stores and serves it itself.

    `cpu_seconds`, `peer_cpu_seconds`: of all processes of either side. `growth_bytes`: the largest resident set size of
    the SCM site's process meanwhile, beyond that before.
    """

    direction: Direction
    round: int
    size_bytes: int
    seconds: float
    peer_seconds: float
    cpu_seconds: float
    peer_cpu_seconds: float
    growth_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoSample:
    """Keystrokes in one terminal, and the seconds until their echoes."""

    shell: str
    round: int
    keys: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReadersSample:
    """A site under load while `readers` follow its growing log: requests a second, CPU microseconds per request."""

    readers: int
    round: int
    rate: float
    cpu: float
    failures: int


Sample = (
    LoadSample
    | MemorySample
    | ColdSample
    | RouteSample
    | ReloadSample
    | DisturbanceSample
    | FootprintSample
    | NeighbourSample
    | DeploymentSample
    | RewritingSample
    | HttpPlatformSample
    | FileSample
    | TransferSample
    | EchoSample
    | LogReadersSample
)
SampleT = TypeVar("SampleT", bound=Sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section(Generic[SampleT]):
    """The samples of one kind, when they were taken (ISO 8601, UTC) and how busy the machine was before (1 min load)."""

    taken: str
    load_average: float
    samples: tuple[SampleT, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that a report is made from. A section that was not measured is None."""

    machine: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    load: Section[LoadSample] | None = None
    memory: Section[MemorySample] | None = None
    cold: Section[ColdSample] | None = None
    route: Section[RouteSample] | None = None
    reload: Section[ReloadSample] | None = None
    disturbance: Section[DisturbanceSample] | None = None
    footprint: Section[FootprintSample] | None = None
    neighbours: Section[NeighbourSample] | None = None
    deployments: Section[DeploymentSample] | None = None
    rewriting: Section[RewritingSample] | None = None
    http_platform: Section[HttpPlatformSample] | None = None
    files: Section[FileSample] | None = None
    transfers: Section[TransferSample] | None = None
    echo: Section[EchoSample] | None = None
    log_readers: Section[LogReadersSample] | None = None


def samples_of(section: Section[SampleT] | None) -> tuple[SampleT, ...]:
    """Give the samples of a section; none where it was not measured."""
    return section.samples if section is not None else ()


SECTIONS: Mapping[str, type[Sample]] = {
    "load": LoadSample,
    "memory": MemorySample,
    "cold": ColdSample,
    "route": RouteSample,
    "reload": ReloadSample,
    "disturbance": DisturbanceSample,
    "footprint": FootprintSample,
    "neighbours": NeighbourSample,
    "deployments": DeploymentSample,
    "rewriting": RewritingSample,
    "http_platform": HttpPlatformSample,
    "files": FileSample,
    "transfers": TransferSample,
    "echo": EchoSample,
    "log_readers": LogReadersSample,
}


def to_json(results: Results) -> str:
    """Render results as JSON, one sample a line."""
    parts = [
        f'"machine": {json.dumps(dict(results.machine), indent=2)}',
        f'"notes": {json.dumps(results.notes)}',
    ]
    for name in SECTIONS:
        section = getattr(results, name)
        if section is not None:
            lines = ",\n".join(json.dumps(dataclasses.asdict(sample)) for sample in section.samples)
            parts.append(
                f'"{name}": {{"taken": {json.dumps(section.taken)}, "load_average": {section.load_average},'
                f' "samples": [\n{lines}\n]}}'
            )
    return "{\n" + ",\n".join(parts) + "\n}\n"


def from_json(text: str) -> Results:
    """Read what `to_json` wrote. Raises ValueError or KeyError for anything else."""
    document: dict[str, Any] = json.loads(text)
    sections: dict[str, Any] = {
        name: Section(
            taken=document[name]["taken"],
            load_average=document[name]["load_average"],
            samples=tuple(kind(**sample) for sample in document[name]["samples"]),
        )
        for name, kind in SECTIONS.items()
        if name in document
    }
    return Results(machine=document["machine"], notes=tuple(document["notes"]), **sections)
