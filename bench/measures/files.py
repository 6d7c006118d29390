"""Files: a site that has nothing else, beside an nginx that has nothing else, on the same core."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import descendants
from bench.measures.meter import Reading, measure_undisturbed
from bench.processes import Program, StartError, free_port, wait_until
from bench.samples import FileSample, Load
from bench.stacks.homeport import Platform
from bench.stacks.nginx import around, start_configured
from bench.stacks.stack import Members, fetch
from bench.wrk import Target, command

SITE = "bench-files"
SIZES = {10_240: "small.css", 1_048_576: "large.css"}
CONNECTIONS = 32
READY_SECONDS = 20.0


@dataclass(slots=True, kw_only=True)
class PlainNginx:
    """Debian's nginx with one folder; `more` is more of its `server` block."""

    folder: Path
    content: Path
    core: int
    more: str = ""
    port: int = field(default_factory=free_port)
    _program: Program | None = None

    def __enter__(self) -> "PlainNginx":
        self.folder.mkdir(parents=True, exist_ok=True)
        text = around(
            f"""\
    include /etc/nginx/mime.types;
    server {{
        listen 127.0.0.1:{self.port};
        root {self.content};
{self.more}
    }}
""",
            folder=self.folder,
            main="user root;",
        )
        self._program = start_configured(text, folder=self.folder, core=self.core)
        wait_until(
            lambda: fetch(self.target(""))[0] > 0,
            seconds=READY_SECONDS,
            what="nginx",
            program=self._program,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._program is not None:
            self._program.stop()

    def target(self, name: str) -> Target:
        """Name the address of a file."""
        return Target(url=f"http://127.0.0.1:{self.port}/{name}", host="localhost")

    def members(self) -> Members:
        """The processes of this nginx."""
        return Members(front=tuple(descendants(self._program.pid)) if self._program is not None else ())


def measure_files(platform: Platform, *, rounds: int, seconds: int, foreign: float) -> Iterator[FileSample]:
    """Yield, for each round and size, the site and plain nginx, one right after the other. Raises `StartError`."""
    core = platform.workshop.cores
    with platform:
        if SITE not in platform.command("site", "list"):
            platform.command("site", "create", SITE)
        platform.write(SITE, {name: b"x" * size for size, name in SIZES.items()})
        site = platform.target(SITE, load=Load.HELLO)
        plain = PlainNginx(
            folder=platform.data.with_suffix(".plain"), content=platform.content(SITE), core=core.server
        )
        with plain:
            for number in range(-1, rounds):  # the first round only warms caches
                platform.workshop.say(f"files: round {number + 1} of {rounds}")
                for size, name in SIZES.items():
                    own = Target(url=f"{site.url}{name}", host=site.host)
                    _check(own, size)
                    readings = [
                        measure_undisturbed(
                            stack,
                            words=command(where, core=core.client, connections=CONNECTIONS, seconds=seconds),
                            foreign=foreign,
                        )
                        for stack, where in ((platform, own), (plain, plain.target(name)))
                    ]
                    if number >= 0:
                        yield _sample(size, number, *readings)


def _check(where: Target, size: int) -> None:
    path = f"/{where.url.rpartition('/')[2]}"
    status, body = fetch(Target(url=where.url.removesuffix(path) + "/", host=where.host), path=path)
    if (status, len(body)) != (200, size):
        raise StartError(f"{where.url} is answered with {status} and {len(body)} bytes")


def _sample(size: int, number: int, own: Reading, plain: Reading) -> FileSample:
    return FileSample(
        size_bytes=size,
        round=number,
        cpu=own.front_cpu + own.site_cpu + own.platform_cpu,
        plain_cpu=plain.front_cpu,
        rate=own.outcome.requests / own.outcome.seconds,
        plain_rate=plain.outcome.requests / plain.outcome.seconds,
        failures=own.outcome.failures + plain.outcome.failures,
    )
