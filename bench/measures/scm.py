"""The SCM site: files through it, keystrokes in its terminal, readers of its log stream."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.measures.echo import measure_echo
from bench.measures.log_readers import measure_log_readers
from bench.measures.transfers import measure_transfers
from bench.samples import EchoSample, Load, LogReadersSample, TransferSample
from bench.stacks.homeport import Platform, wake
from bench.stacks.scm import scm_site

SITE = "bench-scm"
_MOST_ECHO_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmPlan:
    """How often everything is measured.

    `megabytes`: the size of the file; `keys`: keystrokes in a row; `seconds`: how long a load on the site lasts;
    `foreign`: measured again while other programs use more CPU seconds per second than this.
    """

    rounds: int
    megabytes: int
    keys: int
    seconds: int
    foreign: float


def measure_scm(
    platform: Platform, *, plan: ScmPlan
) -> Iterator[TransferSample | EchoSample | LogReadersSample]:
    """Yield the samples of all three. Raises `StartError`."""
    with platform:
        if SITE not in platform.command("site", "list"):
            platform.workshop.say("the SCM site: making a site")
            platform.add_site(SITE, load=Load.HELLO)
    with platform:
        scm = scm_site(platform, SITE)
        yield from measure_transfers(platform, scm, site=SITE, rounds=plan.rounds, megabytes=plan.megabytes)
        yield from measure_echo(platform, scm, rounds=min(plan.rounds, _MOST_ECHO_ROUNDS), keys=plan.keys)
        wake(platform, platform.target(SITE, load=Load.HELLO))
        yield from measure_log_readers(
            platform, scm, site=SITE, rounds=plan.rounds, seconds=plan.seconds, foreign=plan.foreign
        )
