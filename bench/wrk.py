"""The load generator: its command line and the numbers it prints."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

SATURATING = Path(__file__).with_name("wrk.lua")
"""Each connection sends its next request as soon as it has an answer."""

PACED = Path(__file__).with_name("paced.lua")
"""Each connection waits 40 ms before its next request."""

HEADERS: Mapping[str, str] = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
    "Accept-Encoding": "identity",
    "Referer": "http://example.com/start",
    "Cookie": "session=0123456789abcdef0123456789abcdef",
}
"""What a browser sends, seven with Host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go: `url` by address and port, `host` as the Host header, `body_bytes` to POST (0: GET)."""

    url: str
    host: str
    body_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What wrk saw; `failures` are statuses above 399, latencies are microseconds."""

    requests: int
    seconds: float
    failures: int
    socket_errors: int
    p50: float
    p99: float


def command(
    target: Target,
    *,
    core: int,
    connections: int,
    seconds: int,
    script: Path = SATURATING,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Build the command line: one thread, pinned, whole seconds (wrk reads nothing else), `headers` added."""
    fields = {"Host": target.host, **HEADERS, **headers}
    return [
        *("taskset", "-c", str(core), "wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s"),
        *("--timeout", "10s", "-s", str(script)),
        *(word for name, value in fields.items() for word in ("-H", f"{name}: {value}")),
        target.url,
        *(("--", str(target.body_bytes)) if target.body_bytes else ()),
    ]


def parse(output: str) -> Outcome:
    """Read what the script printed. Raises ValueError when it did not."""
    for line in output.splitlines():
        if line.startswith("BENCH "):
            numbers = json.loads(line.removeprefix("BENCH "))
            return Outcome(
                requests=numbers["requests"],
                seconds=numbers["duration_us"] / 1e6,
                failures=numbers["status"],
                socket_errors=sum(numbers[kind] for kind in ("connect", "read", "write", "timeout")),
                p50=numbers["p50"],
                p99=numbers["p99"],
            )
    raise ValueError(f"wrk printed no numbers: {output}")


def run(words: Sequence[str]) -> Outcome:
    """Run wrk to its end. Raises `RuntimeError` when it fails, ValueError when it prints no numbers."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)
