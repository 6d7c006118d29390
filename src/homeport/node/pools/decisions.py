"""What a FastCGI pool should do next, from facts alone.

`decide(facts, limits)` is called at every tick and after every event; it reads no clock and touches nothing, and on
a pool that is as it should be it answers nothing. The limits are those of `<fastCgi><application>` (IIS reference
§2.1, §2.2).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

_NANOSECONDS = 1_000_000_000
_STARTS_TO_OPEN = 3


class WorkerState(StrEnum):
    """The life of one worker: starting → idle ⇄ busy → stopping → gone; failed is a start that went wrong."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    FAILED = "failed"
    STOPPING = "stopping"


SERVING = frozenset({WorkerState.IDLE, WorkerState.BUSY})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """One worker as observed; times are CLOCK_MONOTONIC nanoseconds. `since` is when its state began."""

    slot: int
    generation: int
    state: WorkerState
    since: int
    last_activity: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFacts:
    """A pool as observed.

    `queued_since` is when requests began to wait without a break, None when none waits. `completed_per_second` is
    the recent rate of the whole pool. `generation` is the one every worker should be of; `generation_refused` says
    that its first worker did not come up, so the older workers stay; `broken` that the breaker is open, so none starts.
    """

    now: int
    generation: int
    workers: tuple[WorkerFacts, ...] = ()
    queued_since: int | None = None
    completed_per_second: float = 0.0
    generation_refused: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Limits in seconds and counts; `processors` is how many the machine has.

    A worker that has served `max_requests` (IIS's instanceMaxRequests) is replaced as an older generation is: the new
    one first, so that nobody waits for its start.
    """

    max_instances: int
    idle_timeout_seconds: float
    activity_timeout_seconds: float
    request_timeout_seconds: float
    startup_seconds: float
    stop_seconds: float
    processors: int
    max_requests: int = 10_000_000
    queue_patience_seconds: float = 0.04
    quick_request_seconds: float = 0.02


@dataclass(frozen=True, slots=True)
class StartWorkers:
    """Start `count` workers of the current generation."""

    count: int


@dataclass(frozen=True, slots=True)
class StopWorker:
    """Ask a worker to finish the request in hand and end."""

    slot: int
    reason: str


@dataclass(frozen=True, slots=True)
class KillWorker:
    """Take a worker's stacks and kill it."""

    slot: int
    reason: str


Action = StartWorkers | StopWorker | KillWorker


def decide(facts: PoolFacts, limits: PoolLimits) -> tuple[Action, ...]:
    """Return what to do now; empty when the pool is as it should be."""
    endings = tuple(_endings(facts, limits))
    ending = {action.slot for action in endings}
    if facts.broken or any(isinstance(action, KillWorker) for action in endings):
        return endings  # a kill may open the breaker: whether to start another one is for the next tick
    live = [
        worker
        for worker in facts.workers
        if worker.slot not in ending and worker.state is not WorkerState.STOPPING
    ]
    old = [
        worker
        for worker in live
        if worker.generation < facts.generation or worker.requests >= limits.max_requests
    ]
    if old and not facts.generation_refused:
        return (*endings, *_replace(old, [worker for worker in live if worker not in old], limits))
    count = _wanted(live, facts, limits)
    return (*endings, StartWorkers(count)) if count else endings


def _endings(facts: PoolFacts, limits: PoolLimits) -> Iterable[StopWorker | KillWorker]:
    for worker in facts.workers:
        age = (facts.now - worker.since) / _NANOSECONDS
        silence = (facts.now - max(worker.last_activity, worker.since)) / _NANOSECONDS
        if worker.state is WorkerState.STARTING and age > limits.startup_seconds:
            yield KillWorker(
                worker.slot, f"the application was not ready {limits.startup_seconds:g} s after its start"
            )
        elif worker.state is WorkerState.BUSY and age > limits.request_timeout_seconds:
            yield KillWorker(
                worker.slot,
                f"a request took longer than requestTimeout ({limits.request_timeout_seconds:g} s)",
            )
        elif worker.state is WorkerState.BUSY and silence > limits.activity_timeout_seconds:
            yield KillWorker(
                worker.slot,
                f"a request was silent longer than activityTimeout ({limits.activity_timeout_seconds:g} s)",
            )
        elif worker.state is WorkerState.STOPPING and age > limits.stop_seconds:
            yield KillWorker(worker.slot, f"it did not stop within {limits.stop_seconds:g} s")
        elif worker.state is WorkerState.IDLE and silence > limits.idle_timeout_seconds:
            yield StopWorker(worker.slot, f"idle for {limits.idle_timeout_seconds:g} s")


def _replace(old: list[WorkerFacts], new: list[WorkerFacts], limits: PoolLimits) -> Iterable[Action]:
    """Start as many new workers as there were old ones; as each becomes ready, let one old one go.

    Old ones that have not come up serve nobody and go at once. Those of two generations are not added up: one was about to
    take the other's place. Otherwise changes in quick succession would end with more workers than may be.
    """
    for worker in old:
        if worker.state not in SERVING:
            yield StopWorker(worker.slot, "replaced by a newer one")
    most = max(Counter(worker.generation for worker in old).values())
    wanted = min(most, limits.max_instances)
    if len(new) < wanted:
        yield StartWorkers(wanted - len(new))
    serving = sorted(
        (worker for worker in old if worker.state in SERVING),
        key=lambda worker: (worker.generation, worker.state is WorkerState.BUSY),
    )
    kept = max(wanted - sum(worker.state in SERVING for worker in new), 0)
    for worker in serving[: max(len(serving) - kept, 0)]:
        yield StopWorker(worker.slot, "replaced by a newer one")


def _wanted(live: list[WorkerFacts], facts: PoolFacts, limits: PoolLimits) -> int:
    if facts.queued_since is None:
        return 0
    if not live:
        return 1
    if len(live) >= limits.max_instances or any(worker.state is not WorkerState.BUSY for worker in live):
        return 0
    if facts.now - facts.queued_since < limits.queue_patience_seconds * _NANOSECONDS:
        return 0
    # Quick requests that fill every processor gain nothing from one more process: the queue moves as fast as it can.
    if len(live) >= limits.processors and facts.completed_per_second * limits.quick_request_seconds > len(
        live
    ):
        return 0
    return 1


@dataclass(frozen=True, slots=True)
class Breaker:
    """Whether a pool whose workers keep dying may start another one.

    Three starts in a row without one success, or more than `rapid_fails` endings within a minute (IIS's
    rapidFailsPerMinute), open it: 5 s, then twice as long each time, a minute at most.
    """

    rapid_fails: int
    failures: tuple[int, ...] = ()
    failed_starts: int = 0
    openings: int = 0
    open_until: int = 0

    def failed(self, now: int, *, at_start: bool) -> "Breaker":
        """Return the breaker after one more worker ended against its will."""
        recent = (*(moment for moment in self.failures if now - moment < 60 * _NANOSECONDS), now)
        starts = self.failed_starts + 1 if at_start else 0
        if starts < _STARTS_TO_OPEN and len(recent) <= max(self.rapid_fails, 1):
            return replace(self, failures=recent, failed_starts=starts)
        seconds = min(5 * 2**self.openings, 60)
        return Breaker(self.rapid_fails, openings=self.openings + 1, open_until=now + seconds * _NANOSECONDS)

    def succeeded(self) -> "Breaker":
        """Return the breaker after a worker came up."""
        return replace(self, failed_starts=0, openings=0, open_until=0)

    def is_open(self, now: int) -> bool:
        """Whether no worker may be started now."""
        return now < self.open_until
