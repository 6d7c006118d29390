"""One FastCGI pool: its socket, its scoreboard and its workers, driven by `decisions.decide`.

The agent calls `tick` some times a second while the pool is awake; a pool without workers costs nothing, its socket
sits in the event loop until the first connection makes it readable.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

import structlog

from homeport.model.errors import HomeportError
from homeport.node.listening import ListeningSocket
from homeport.node.log_files import OutputPipe
from homeport.node.pools.decisions import (
    SERVING,
    Action,
    Breaker,
    KillWorker,
    PoolFacts,
    PoolLimits,
    StartWorkers,
    StopWorker,
    WorkerFacts,
    WorkerState,
    decide,
)
from homeport.node.pools.shared_connections import SharedConnections
from homeport.node.processes import Process
from homeport.node.scoreboard import Scoreboard, SlotReading
from homeport.worker import scoreboard as layout

_log = structlog.get_logger(__name__)
_NANOSECONDS = 1_000_000_000
_SLOTS = 256
_STACKS_SECONDS = 0.3
_RATE_SECONDS = 0.5
_STATES = {
    layout.STARTING: WorkerState.STARTING,
    layout.IDLE: WorkerState.IDLE,
    layout.BUSY: WorkerState.BUSY,
    layout.FAILED: WorkerState.FAILED,
    layout.STOPPING: WorkerState.STOPPING,
}

Spawn = Callable[[Coroutine[object, object, None]], object]
"""Runs a coroutine in the agent's task group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStart:
    """What starting one worker needs from the pool. `replacing`: an older worker serves meanwhile.

    `shared_fds` are the epoll and the control descriptor of the shared connections; None for a program that is not our worker.
    """

    slot: int
    listening_fd: int
    scoreboard_fd: int | None
    shared_fds: tuple[int, int] | None
    output_fd: int
    replacing: bool


class StartWorker(Protocol):
    """Starts a worker process; raises a `HomeportError` when it cannot."""

    def __call__(self, start: WorkerStart) -> Awaitable[Process]:
        """Start it."""


@dataclass(slots=True)
class _Worker:
    slot: int
    generation: int
    state: WorkerState
    since: int
    process: Process | None = None
    ended_by_us: str = ""
    ready: bool = False
    last_activity: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PortNeverOpened:
    """A process was up for `seconds` and did not listen on its port.

    `instead` says what it did, and `standing_at` where its Python stood when it was ended, if that is known.
    """

    port: int
    seconds: float
    instead: str = ""
    standing_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """What an owner sees of a pool. `processes` are (host pid, state) pairs.

    `port_never_opened`: the reason is that; of httpPlatform pools.
    """

    id: str
    state: str
    reason: str
    processes: tuple[tuple[int, str], ...]
    requests: int
    port_never_opened: PortNeverOpened | None = None


class Pool:
    """A FastCGI pool of one site.

    `reports_state` is False for a FastCGI program that is not our worker: it has no scoreboard, counts as ready
    when started and as busy while requests wait, so neither its idle time nor its requests' time is limited.
    `leave` is the signal on which a program takes nothing new and ends when it has finished what it has in hand; one
    whose work may take long is told so at once when it is recycled, and the next request meets a new process.
    """

    def __init__(
        self,
        pool_id: str,
        *,
        listening: ListeningSocket,
        limits: PoolLimits,
        rapid_fails: int,
        reports_state: bool,
        start_worker: StartWorker,
        output: OutputPipe,
        spawn: Spawn,
        leave: signal.Signals | None = None,
    ) -> None:
        self.id = pool_id
        self._listening = listening
        self._limits = limits
        self._reports_state = reports_state
        self._start_worker = start_worker
        self._output = output
        self._spawn = spawn
        self._leave = leave
        self._scoreboard = Scoreboard(_SLOTS)
        self._shared = SharedConnections() if reports_state else None
        self._workers: dict[int, _Worker] = {}
        self._generation = 1
        self._refused = False
        self._breaker = Breaker(rapid_fails=rapid_fails)
        self._queued_since: int | None = None
        self._rate = 0.0
        self._rate_at = 0
        self._completed = 0
        self._retired_requests = 0
        self._watched = False
        self._closing = False
        self.reason = ""
        self._drained = asyncio.Event()
        self._drained.set()
        self._renewed = asyncio.Event()
        self._renewed.set()

    def open(self) -> None:
        """Bind the socket and wait for the first connection."""
        if not self._listening.is_open:
            self._listening.open()
            if self._shared is not None:
                self._shared.listen(self._listening.fileno())
        self._watch()

    @property
    def awake(self) -> bool:
        """Whether the pool needs ticks: it has workers or its breaker waits to close."""
        return bool(self._workers) or not self._listening.is_open

    @property
    def busy(self) -> bool:
        """Whether something changes soon: a worker that starts, works or stops, or requests that wait."""
        return self._queued_since is not None or any(
            worker.state not in (WorkerState.IDLE, WorkerState.FAILED) for worker in self._workers.values()
        )

    @property
    def waiting_fd(self) -> int:
        """The descriptor that is readable while requests wait; -1 when closed."""
        if self._shared is not None and self._listening.is_open:
            return self._shared.fileno()
        return self._listening.fileno()

    def reconfigure(self, limits: PoolLimits, *, backlog: int) -> None:
        """Take new limits over; processes that were started with the old settings go by `recycle`."""
        self._limits = limits
        self._listening.set_backlog(backlog)

    def recycle(self, reason: str) -> None:
        """Replace every worker by a new one, without losing a request."""
        self._generation += 1
        self._refused = False
        self._breaker = Breaker(rapid_fails=self._breaker.rapid_fails)
        self.reason = ""
        if not self._listening.is_open and not self._closing:
            self.open()
        if self._workers:
            self._output.say(f"recycling: {reason}.")
        for worker in self._workers.values():
            if worker.state is WorkerState.FAILED or self._leave is not None:
                self._stop(worker, reason, self._leave or signal.SIGTERM)
        if self._workers and self._leave is not None:
            self._start()
        self._note_renewal()
        self.tick(queued=False)

    async def renewed(self) -> None:
        """Return once no worker older than the last `recycle` takes requests, or those that were to follow did not start."""
        await self._renewed.wait()

    def tick(self, *, queued: bool) -> None:
        """Observe, decide, act. `queued`: a connection waits on the socket at this moment."""
        now = time.monotonic_ns()
        self._observe(now, queued=queued)
        if self._closing:
            return
        broken = self._breaker.is_open(now)
        if not broken and not self._listening.is_open:
            self.open()
        facts = PoolFacts(
            now=now,
            generation=self._generation,
            workers=tuple(
                WorkerFacts(
                    slot=worker.slot,
                    generation=worker.generation,
                    state=worker.state,
                    since=worker.since,
                    last_activity=worker.last_activity,
                    requests=worker.requests,
                )
                for worker in self._workers.values()
            ),
            queued_since=self._queued_since,
            completed_per_second=self._rate,
            generation_refused=self._refused,
            broken=broken,
        )
        for action in decide(facts, self._limits):
            self._act(action)

    def status(self) -> PoolStatus:
        """Tell an owner how the pool is."""
        now = time.monotonic_ns()
        self._observe(now, queued=self._queued_since is not None)
        state = "idle"
        if self._breaker.is_open(now):
            state = "broken"
        elif self._workers:
            state = (
                "running" if any(worker.state in SERVING for worker in self._workers.values()) else "starting"
            )
            if any(worker.state is WorkerState.FAILED for worker in self._workers.values()):
                state = "failed"
        return PoolStatus(
            id=self.id,
            state=state,
            reason=self.reason,
            processes=tuple(
                (worker.process.pid, worker.state.value)
                for worker in self._workers.values()
                if worker.process is not None
            ),
            requests=self._retired_requests + sum(worker.requests for worker in self._workers.values()),
        )

    async def close(self, *, seconds: float, reason: str) -> None:
        """Stop taking requests, let those in hand finish for `seconds`, then end every worker."""
        self._closing = True
        self._unwatch()
        self._listening.close()
        for worker in list(self._workers.values()):
            if worker.state is WorkerState.STOPPING and worker.process is not None:
                worker.process.send_inside(signal.SIGTERM)  # it may still have time for what it has in hand
            self._stop(worker, reason)
        try:
            await asyncio.wait_for(self._drained.wait(), seconds)
        except TimeoutError:
            for worker in list(self._workers.values()):
                self._kill_now(worker)
            await self._drained.wait()
        if self._shared is not None:
            self._shared.close()
        self._output.close()
        self._scoreboard.close()

    def _observe(self, now: int, *, queued: bool) -> None:
        self._queued_since = (self._queued_since or now) if queued else None
        completed = 0
        for worker in self._workers.values():
            if self._reports_state:
                reading = self._scoreboard.read(worker.slot)
                completed += reading.requests
                self._note(worker, reading, now)
            elif worker.process is not None and worker.state is not WorkerState.STOPPING:
                worker.state = WorkerState.BUSY if queued else WorkerState.IDLE
                worker.since, worker.ready = now, True
        if now - self._rate_at >= _RATE_SECONDS * _NANOSECONDS:
            self._rate = max(completed - self._completed, 0) * _NANOSECONDS / (now - self._rate_at)
            self._rate_at = now
            self._completed = completed

    def _note(self, worker: _Worker, reading: SlotReading, now: int) -> None:
        if worker.state is WorkerState.STOPPING:
            return
        worker.requests = reading.requests
        state = _STATES.get(reading.state, worker.state)
        worker.last_activity = min(max(reading.last_activity, reading.ready_at), now)
        if state is WorkerState.BUSY:
            worker.since = min(reading.request_started or now, now)
        elif state is not worker.state:
            worker.since = now
        worker.state = state
        if state in SERVING and not worker.ready:
            worker.ready = True
            self._breaker = self._breaker.succeeded()
            self.reason = ""
        if state is WorkerState.FAILED and not worker.ready:
            worker.ready = True
            self.reason = "the application could not be started; see its newest failure"
            if self._replaces(worker):
                self._refuse(worker)

    def _act(self, action: Action) -> None:
        match action:
            case StartWorkers(count):
                for _ in range(count):
                    self._start()
            case StopWorker(slot, reason):
                self._stop(self._workers[slot], reason)
            case KillWorker(slot, reason):
                self._kill(self._workers[slot], reason)

    def _start(self) -> None:
        free = next((slot for slot in range(self._scoreboard.slots) if slot not in self._workers), None)
        # Each worker and its replacement, no more, whatever a tenant writes into the scoreboard.
        if free is None or len(self._workers) > 2 * self._limits.max_instances:
            return
        self._unwatch()
        self._scoreboard.clear(free, state=layout.STARTING)
        worker = _Worker(free, self._generation, WorkerState.STARTING, time.monotonic_ns())
        self._workers[free] = worker
        self._drained.clear()
        self._spawn(self._launch(worker))

    async def _launch(self, worker: _Worker) -> None:
        try:
            with contextlib.ExitStack() as passed:
                shared_fds = None
                if self._shared is not None:
                    control = passed.enter_context(self._shared.admit(worker.slot))
                    shared_fds = (self._shared.fileno(), control.fileno())
                process = await self._start_worker(
                    WorkerStart(
                        slot=worker.slot,
                        listening_fd=self._listening.fileno(),
                        scoreboard_fd=self._scoreboard.descriptor if self._reports_state else None,
                        shared_fds=shared_fds,
                        output_fd=self._output.write_end,
                        replacing=self._replaces(worker),
                    )
                )
        except (HomeportError, OSError) as error:
            self.reason = str(error)
            self._output.say(f"a worker could not be started: {error}")
            self._gone(worker, at_start=True)
            return
        worker.process = process
        process.when_exited(lambda code: self._exited(worker, code))
        if worker.ended_by_us:
            self._kill_now(worker)

    def _replaces(self, worker: _Worker) -> bool:
        return any(
            other.generation < worker.generation and other.state in SERVING
            for other in self._workers.values()
        )

    def _stop(self, worker: _Worker, reason: str, number: signal.Signals = signal.SIGTERM) -> None:
        if worker.state is WorkerState.STOPPING:
            return
        worker.ended_by_us = reason
        starting = worker.state is WorkerState.STARTING
        worker.state, worker.since = WorkerState.STOPPING, time.monotonic_ns()
        self._note_renewal()
        if worker.process is not None and (starting or not worker.process.send_inside(number)):
            self._kill_now(worker)

    def _note_renewal(self) -> None:
        old = any(
            worker.generation < self._generation and worker.state is not WorkerState.STOPPING
            for worker in self._workers.values()
        )
        if old and not self._refused:
            self._renewed.clear()
        else:
            self._renewed.set()

    def _kill(self, worker: _Worker, reason: str) -> None:
        """Let the worker write its stacks to the log, then kill it."""
        if worker.process is None or worker.ended_by_us == reason:
            self._kill_now(worker)
            return
        worker.ended_by_us = reason
        self.reason = reason
        url = self._scoreboard.url(worker.slot) if self._reports_state else ""
        self._output.say(f"worker killed: {reason}{f' ({url})' if url else ''}.")
        at_start = worker.state is WorkerState.STARTING
        self._breaker = self._breaker.failed(time.monotonic_ns(), at_start=at_start)
        worker.state, worker.since = WorkerState.STOPPING, time.monotonic_ns()
        worker.process.send_inside(signal.SIGUSR1)
        asyncio.get_running_loop().call_later(_STACKS_SECONDS, self._kill_now, worker)

    def _kill_now(self, worker: _Worker) -> None:
        if worker.process is not None:
            worker.process.kill()

    def _exited(self, worker: _Worker, code: int) -> None:
        if self._reports_state:
            reading = self._scoreboard.read(worker.slot)
            self._retired_requests += reading.requests
            worker.ready = worker.ready or reading.ready_at > 0  # it may have come and gone between two ticks
        if not worker.ended_by_us and (code != 0 or not worker.ready):
            self.reason = (
                f"the process ended {'before it was ready ' if not worker.ready else ''}({_ending(code)})"
            )
            self._output.say(f"worker ended unexpectedly: {_ending(code)}.")
            _log.warning("worker.ended", pool=self.id, code=code, ready=worker.ready)
            self._gone(worker, at_start=not worker.ready)
        else:
            self._gone(worker)

    def _gone(self, worker: _Worker, *, at_start: bool | None = None) -> None:
        replaces = self._replaces(worker)
        self._workers.pop(worker.slot, None)
        self._note_renewal()
        self._release(worker)
        now = time.monotonic_ns()
        if at_start is not None:
            if at_start and replaces:
                self._refuse(worker)
            else:
                self._breaker = self._breaker.failed(now, at_start=at_start)
        if not self._workers:
            self._drained.set()
            self._rate, self._completed = 0.0, 0
            if not self._closing:
                self._rest(now)

    def _release(self, worker: _Worker) -> None:
        """Cut the connection whose request the worker had in hand; the others wait for the next worker."""
        if self._shared is None:
            return
        self._shared.leave(
            worker.slot,
            claimed=self._scoreboard.read(worker.slot).connection,
            claimed_by_others={self._scoreboard.read(slot).connection for slot in self._workers},
        )
        if not self._closing:
            self._spawn(self._shared.cut_unseen())

    def _rest(self, now: int) -> None:
        """With no worker left: wait for a connection, or keep the socket closed while the breaker is open."""
        if self._breaker.is_open(now):
            self._unwatch()
            self._listening.close()
            if self._shared is not None:
                self._shared.cut_all()
            seconds = (self._breaker.open_until - now) / _NANOSECONDS
            self._output.say(f"not started again for {seconds:.0f} s: {self.reason}.")
        else:
            self._watch()

    def _refuse(self, worker: _Worker) -> None:
        """Keep the older generation, since the first worker of the new one did not come up."""
        self._refused = True
        self._note_renewal()
        self._output.say(f"the new version did not start, the old one keeps serving: {self.reason}.")
        for other in list(self._workers.values()):
            if other.generation == worker.generation:
                self._stop(other, "its generation did not start")

    def _watch(self) -> None:
        if not self._watched and self._listening.is_open:
            self._watched = True
            asyncio.get_running_loop().add_reader(self.waiting_fd, self._first_connection)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            asyncio.get_running_loop().remove_reader(self.waiting_fd)

    def _first_connection(self) -> None:
        self._unwatch()
        if self._shared is not None:
            # The end of a kept connection is no request: it should start nothing.
            self._shared.forget_closed()
            if not self._shared.is_readable:
                self._watch()
                return
        self.tick(queued=True)
        if not self._workers and not self._closing:
            self._watch()


def _ending(code: int) -> str:
    if code >= 0:
        return (
            f"exit code {code}" if code < 128 else f"signal {code - 128}"
        )  # bubblewrap reports 128 + signal
    return f"signal {-code}"
