"""Reloads and changes of configuration under load: what visitors notice of them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
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


class Clients(StrEnum):
    """Whether clients use a connection for one request or keep it."""

    NEW = "new connections"
    KEPT = "kept alive"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One change as a client saw it: seconds until it saw nothing old any more, and its own requests that failed."""

    seconds: float
    failures: int


def measure_reloads(town: Town, *, target: Target, times: int) -> Iterator[DisturbanceSample]:
    """Yield what saturating clients, with new and with kept connections, saw of so many reloads of nginx."""
    for clients in Clients:
        town.platform.workshop.say(f"{town.sites} sites: reloads under load, {clients}")
        master = town.platform.nginx_master()
        words = _words(town, target=target, seconds=int(times * PAUSE_SECONDS) + 2, clients=clients)
        outcome = _under_load(words, act=partial(_reloads, master, times=times))
        yield _disturbance("reload", clients=clients, town=town, changes=times, outcome=outcome)


def measure_changes(town: Town, *, target: Target, times: int) -> Iterator[DisturbanceSample]:
    """Yield what visitors, with new and with kept connections, saw of so many changes of web.config.

    The load goes on for three seconds for each change. A change that is not live after `CHANGE_LIMIT` seconds is the last.
    """
    for clients in Clients:
        town.platform.workshop.say(f"{town.sites} sites: changes of web.config under load, {clients}")
        seen: list[_Change] = []
        words = _words(town, target=target, seconds=3 * times, clients=clients, script=PACED)
        outcome = _under_load(words, act=partial(_changes, town, target=target, times=times, seen=seen))
        yield _disturbance(
            "change", clients=clients, town=town, changes=len(seen), outcome=outcome, seen=seen
        )


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


def _changes(town: Town, *, target: Target, times: int, seen: list[_Change]) -> None:
    for number in range(times):
        last = number == times - 1
        seen.append(_change(town, target=target, mark=None if last else f"mark {number:08}"))
        if seen[-1].seconds >= CHANGE_LIMIT:
            return


def _change(town: Town, *, target: Target, mark: str | None) -> _Change:
    """Change an app setting in web.config and ask until the old value has not come for a while."""
    wanted = EXPECTED[Load.MARK] if mark is None else mark.encode()
    begun = time.perf_counter()
    town.configure(TARGET_SITE, mark=mark)
    last_old, in_a_row, failures = begun, 0, 0
    while in_a_row < STEADY and last_old - begun < CHANGE_LIMIT:
        status, body = fetch(target)
        if status == 200 and body == wanted:
            in_a_row += 1
        else:
            last_old, in_a_row = time.perf_counter(), 0
            failures += status != 200
    return _Change(seconds=last_old - begun, failures=failures)


def _words(
    town: Town, *, target: Target, seconds: int, clients: Clients, script: Path = SATURATING
) -> list[str]:
    new = clients is Clients.NEW
    return command(
        target,
        core=town.platform.workshop.cores.client,
        connections=8 if new else 32,
        seconds=seconds,
        script=script,
        headers=NEW_CONNECTIONS if new else {},
    )
