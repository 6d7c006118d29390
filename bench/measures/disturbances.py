"""Reloads and changes of configuration under load: what visitors notice of them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.samples import DisturbanceSample, Load
from bench.stacks.stack import EXPECTED, fetch
from bench.stacks.town import TARGET_SITE, Town
from bench.wrk import PACED, SATURATING, Outcome, Target, command, parse

NEW_CONNECTIONS = {"Connection": "close"}
PAUSE_SECONDS = 0.5
CHANGE_LIMIT = 30.0
STEADY = 40
"""So many answers of the new kind in a row mean that the old one is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One change as a client saw it: seconds until it saw nothing old any more, and its own requests that failed."""

    seconds: float
    failures: int


def measure_disturbances(town: Town, *, target: Target, changes: int) -> Iterator[DisturbanceSample]:
    """Yield what clients with new and with kept connections saw of so many reloads, then of so many changes."""
    seconds = int(changes * PAUSE_SECONDS) + 2
    for new in (True, False):
        kind = "new connections" if new else "kept alive"
        town.platform.workshop.say(f"{town.sites} sites: reloads under load, {kind}")
        master = town.platform.nginx_master()
        outcome = _under_load(
            _words(town, target=target, seconds=seconds, new=new),
            act=lambda: _reloads(master, times=changes),  # noqa: B023 — called before the next turn
        )
        yield _disturbance("reload", clients=kind, town=town, changes=changes, outcome=outcome)
    for new in (True, False):
        kind = "new connections" if new else "kept alive"
        town.platform.workshop.say(f"{town.sites} sites: changes of web.config under load, {kind}")
        seen: list[_Change] = []
        outcome = _under_load(
            _words(town, target=target, seconds=3 * changes, script=PACED, new=new),
            act=lambda: seen.extend(_changes(town, target=target, times=changes)),  # noqa: B023
        )
        yield _disturbance("change", clients=kind, town=town, changes=changes, outcome=outcome, seen=seen)


def _disturbance(
    what: str, *, clients: str, town: Town, changes: int, outcome: Outcome, seen: Sequence[_Change] = ()
) -> DisturbanceSample:
    return DisturbanceSample(
        what=what,
        clients=clients,
        sites=town.sites,
        changes=changes,
        requests=outcome.requests,
        failures=outcome.failures + sum(change.failures for change in seen),
        socket_errors=outcome.socket_errors,
        slowest_change=max((change.seconds for change in seen), default=None),
    )


def _under_load(words: list[str], *, act: Callable[[], None]) -> Outcome:
    load = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(PAUSE_SECONDS)  # the load is under way
        act()
        output, _ = load.communicate(timeout=120)
    finally:
        load.kill()
        load.wait()
    return parse(output)


def _reloads(master: int, *, times: int) -> None:
    for _ in range(times):
        os.kill(master, signal.SIGHUP)
        time.sleep(PAUSE_SECONDS)


def _changes(town: Town, *, target: Target, times: int) -> Iterator[_Change]:
    for number in range(times):
        last = number == times - 1
        yield _change(town, target=target, mark=None if last else f"mark {number:08}")


def _change(town: Town, *, target: Target, mark: str | None) -> _Change:
    """Change an app setting in web.config and ask until the old value has not come for a while."""
    wanted = EXPECTED[Load.MARK] if mark is None else mark.encode()
    begun = time.perf_counter()
    town.configure(TARGET_SITE, mark=mark)
    last_old, in_a_row, failures = begun, 0, 0
    while in_a_row < STEADY:
        status, body = fetch(target)
        now = time.perf_counter()
        if now - begun > CHANGE_LIMIT:
            raise RuntimeError(
                f"a change of web.config was not live after {CHANGE_LIMIT:g} s (status {status})"
            )
        if status == 200 and body == wanted:
            in_a_row += 1
        else:
            last_old, in_a_row = now, 0
            failures += status != 200
    return _Change(seconds=last_old - begun, failures=failures)


def _words(
    town: Town, *, target: Target, seconds: int, script: Path = SATURATING, new: bool = False
) -> list[str]:
    return command(
        target,
        core=town.platform.workshop.cores.client,
        connections=8 if new else 32,
        seconds=seconds,
        script=script,
        headers=NEW_CONNECTIONS if new else {},
    )
