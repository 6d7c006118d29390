"""One run from beginning to end: prepares, measures, gathers the sections."""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from bench.machine import facts
from bench.measures.cold import measure_cold
from bench.measures.deployments import measure_deployments
from bench.measures.files import measure_files
from bench.measures.http_platform import measure_http_platform
from bench.measures.loads import measure_loads
from bench.measures.rewriting import measure_rewriting
from bench.measures.scale import measure_neighbours, measure_scale
from bench.measures.scm import measure_scm
from bench.plan import Part, RunPlan
from bench.samples import (
    DisturbanceSample,
    EchoSample,
    FootprintSample,
    LoadSample,
    LogReadersSample,
    MemorySample,
    NeighbourSample,
    ReloadSample,
    Results,
    RouteSample,
    Sample,
    SampleT,
    Section,
    StackName,
    TransferSample,
)
from bench.stacks.homeport import Homeport, Platform, homeports
from bench.stacks.peers import peers
from bench.stacks.stack import Stack
from bench.stacks.town import Town
from bench.workshop import Workshop, peer_versions, prepare_peers

ValueT = TypeVar("ValueT")


class Run:
    """A run; `results` grows part by part, so what was measured survives an interruption."""

    def __init__(self, workshop: Workshop, plan: RunPlan, *, results: Results) -> None:
        self._workshop = workshop
        self._plan = plan
        self.results = results

    def prepare(self) -> None:
        """Build what is missing and describe the machine."""
        parts = self._plan.parts
        if Part.LOADS in parts:
            prepare_peers(self._workshop)
            self.results = replace(self.results, machine=facts() | peer_versions(self._workshop))
        else:
            self.results = replace(self.results, machine=dict(self.results.machine) | facts())
        for stack in self._homeports() if parts & {Part.LOADS, Part.COLD} else ():
            stack.prepare()
        for town in [*self._towns(), *self._neighbourhood()]:
            town.prepare()

    def measure(self, part: Part) -> None:
        """Measure one part; its sections replace those of an earlier run."""
        {
            Part.LOADS: self._loads,
            Part.COLD: self._cold,
            Part.SCALE: self._scale,
            Part.NEIGHBOURS: self._neighbours,
            Part.DEPLOYMENTS: self._deployments,
            Part.REWRITING: self._rewriting,
            Part.HTTP_PLATFORM: self._http_platform,
            Part.FILES: self._files,
            Part.SCM: self._scm,
        }[part]()

    def _loads(self) -> None:
        own = [stack for stack in self._homeports() if stack.name in self._plan.stacks]
        others = [peer for peer in peers(self._workshop) if peer.name in self._plan.stacks]
        stacks: list[Stack] = [*own, *others]
        stamp = _Stamp()
        samples = list(measure_loads(self._workshop, stacks=stacks, plan=self._plan.load))
        self.results = replace(
            self.results,
            load=stamp.section(_only(samples, LoadSample)),
            memory=stamp.section(_only(samples, MemorySample)),
        )

    def _cold(self) -> None:
        stack = next(stack for stack in self._homeports() if stack.name is StackName.HOMEPORT_ACCELERATED)
        stamp = _Stamp()
        samples = measure_cold(stack, loads=self._plan.cold_loads, attempts=self._plan.cold_attempts)
        self.results = replace(self.results, cold=stamp.section(samples))

    def _scale(self) -> None:
        towns = self._towns()
        stamp = _Stamp()
        samples = list(measure_scale(towns, plan=self._plan.scale))
        self.results = replace(
            self.results,
            route=stamp.section(_only(samples, RouteSample)),
            reload=stamp.section(_only(samples, ReloadSample)),
            disturbance=stamp.section(_only(samples, DisturbanceSample)),
            footprint=stamp.section((*_only(samples, FootprintSample), *self._known_footprints(active=True))),
        )

    def _neighbours(self) -> None:
        lone, crowd = self._neighbourhood()
        stamp = _Stamp()
        samples = list(measure_neighbours(lone=lone, crowd=crowd, plan=self._plan.scale))
        active = [sample for sample in _only(samples, FootprintSample) if sample.active]
        self.results = replace(
            self.results,
            neighbours=stamp.section(_only(samples, NeighbourSample)),
            footprint=stamp.section((*self._known_footprints(active=False), *active)),
        )

    def _deployments(self) -> None:
        platform = Platform(workshop=self._workshop, data=self._workshop.folder / "deployments")
        stamp = _Stamp()
        samples = list(measure_deployments(platform, rounds=self._plan.deployments))
        self.results = replace(self.results, deployments=stamp.section(samples))

    def _rewriting(self) -> None:
        load = self._plan.load
        stamp = _Stamp()
        samples = list(
            measure_rewriting(self._workshop, rounds=load.rounds, seconds=load.seconds, foreign=load.foreign)
        )
        self.results = replace(self.results, rewriting=stamp.section(samples))

    def _http_platform(self) -> None:
        platform = Platform(workshop=self._workshop, data=self._workshop.folder / "http-platform")
        stamp = _Stamp()
        samples = list(measure_http_platform(platform, plan=self._plan.http))
        self.results = replace(self.results, http_platform=stamp.section(samples))

    def _files(self) -> None:
        platform = Platform(workshop=self._workshop, data=self._workshop.folder / "files")
        stamp, load = _Stamp(), self._plan.load
        samples = measure_files(platform, rounds=load.rounds, seconds=load.seconds, foreign=load.foreign)
        self.results = replace(self.results, files=stamp.section(list(samples)))

    def _scm(self) -> None:
        platform = Platform(workshop=self._workshop, data=self._workshop.folder / "scm")
        stamp = _Stamp()
        samples = list(measure_scm(platform, plan=self._plan.scm))
        self.results = replace(
            self.results,
            transfers=stamp.section(_only(samples, TransferSample)),
            echo=stamp.section(_only(samples, EchoSample)),
            log_readers=stamp.section(_only(samples, LogReadersSample)),
        )

    def _known_footprints(self, *, active: bool) -> list[FootprintSample]:
        known = self.results.footprint.samples if self.results.footprint else ()
        return [sample for sample in known if bool(sample.active) == active]

    def _homeports(self) -> list[Homeport]:
        """Both editions that load or cold starts need; the accelerated one is that of cold starts."""
        cold = {StackName.HOMEPORT_ACCELERATED} if Part.COLD in self._plan.parts else set()
        return [stack for stack in homeports(self._workshop) if stack.name in self._plan.stacks | cold]

    def _towns(self) -> list[Town]:
        sites = self._plan.scale_sites if Part.SCALE in self._plan.parts else ()
        return [self._town(count) for count in sites]

    def _neighbourhood(self) -> list[Town]:
        if Part.NEIGHBOURS not in self._plan.parts:
            return []
        return [self._town(1), self._town(self._plan.crowd, inhabited=self._plan.crowd)]

    def _town(self, sites: int, *, inhabited: int = 1) -> Town:
        folder = self._workshop.folder / f"town-{sites}-{inhabited}"
        return Town(platform=Platform(workshop=self._workshop, data=folder), sites=sites, inhabited=inhabited)


class _Stamp:
    """When a measurement began and how busy the machine was before it."""

    def __init__(self) -> None:
        self._taken = datetime.now(UTC).isoformat(timespec="minutes")
        self._load_average = os.getloadavg()[0]

    def section(self, samples: Iterable[SampleT]) -> Section[SampleT]:
        return Section(taken=self._taken, load_average=self._load_average, samples=tuple(samples))


def _only(samples: Iterable[Sample], kind: type[ValueT]) -> list[ValueT]:
    return [sample for sample in samples if isinstance(sample, kind)]
