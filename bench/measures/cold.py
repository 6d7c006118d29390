"""Cold starts: the first request to a site without a process, beside the bare import of its application."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence

from bench.processes import clean_environment, wait_until
from bench.samples import ColdSample, Load
from bench.stacks.homeport import RUNTIME, Homeport, Platform, site_name
from bench.stacks.stack import EXPECTED, answers, fetch

GONE_SECONDS = 30.0

_TIMED_IMPORT = """
import importlib, sys, time
before = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - before)
"""


def measure_cold(stack: Homeport, *, loads: Sequence[Load], attempts: int) -> Iterator[ColdSample]:
    """Yield pairs of a cold request and an import, taken one right after the other, both on the server's core.

    A site becomes cold by ending its processes in an orderly way and waiting until they are gone. The first pair of each site
    only warms the machine's file cache and is not counted.
    """
    platform = stack.platform
    with platform:
        for load in loads:
            site = site_name(load)
            where = platform.target(site, load=load)
            for attempt in range(-1, attempts):
                platform.workshop.say(f"cold start: {load}, {attempt + 1} of {attempts}")
                _cool(platform)
                before = time.perf_counter()
                status, body = fetch(where)
                seconds = time.perf_counter() - before
                if (status, body) != (200, EXPECTED[load]):
                    raise RuntimeError(f"a cold request to {site} was answered with status {status}")
                bare = import_seconds(platform, site=site, module=load)
                if attempt >= 0:
                    yield ColdSample(
                        stack=stack.name,
                        load=load,
                        attempt=attempt,
                        request_seconds=seconds,
                        import_seconds=bare,
                    )
            answers(where, load=load)
        _cool(platform)


def _cool(platform: Platform) -> None:
    for pid in platform.workers():
        os.kill(pid, signal.SIGTERM)
    # The sandbox around a process and the site's network go after it.
    wait_until(lambda: not platform.members().site, seconds=GONE_SECONDS, what="the site's processes end")


def import_seconds(platform: Platform, *, site: str, module: str) -> float:
    """Time the import of an application with the site's interpreter and the site's packages, alone."""
    python = platform.data / "sites" / site / "home" / RUNTIME / "bin/python"
    done = subprocess.run(
        ["taskset", "-c", str(platform.workshop.cores.server), str(python), "-c", _TIMED_IMPORT, module],
        env=clean_environment() | {"PYTHONPATH": str(platform.content(site))},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return float(done.stdout)
