"""`python -m bench`: measure Homeport beside the usual stacks, or write the page from the last full run."""

import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.machine import adopt_orphans, choose_cores, descendants
from bench.plan import Part, make_plan, names
from bench.processes import StartError
from bench.report.chart import draw
from bench.report.page import render
from bench.report.words import LOAD_WORDS, STACK_WORDS, ratio
from bench.running import Run
from bench.samples import Results, from_json, samples_of, to_json
from bench.summary import rows
from bench.workshop import HERE, Workshop

WORK = HERE / ".work"
FULL, PARTIAL = WORK / "results.json", WORK / "partial.json"
DOCUMENTS = HERE.parent / "docs"
NEEDED = {
    "nginx": "nginx-light",
    "wrk": "wrk",
    "curl": "curl",
    "unzip": "unzip",
    "taskset": "util-linux",
    "setpriv": "util-linux",
}


def main(
    *,
    report: Annotated[
        bool, typer.Option("--report", help="Measure nothing: write the page from the last full run.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A short pass; it does not become the page.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help=f"Measure only this; may be repeated: {', '.join(names())}."),
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="Length of each run of the load generator.")] = 1,
    rounds: Annotated[
        int, typer.Option(min=1, help="How often every cell is measured; ratios are formed within a round.")
    ] = 7,
    megabytes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Size of the file that goes through the SCM site: 1000, or 100 with --quick."
        ),
    ] = None,
    foreign: Annotated[
        float,
        typer.Option(
            help="Measure a cell again (a few times) while other programs use more than this many CPU seconds a second."
        ),
    ] = 0.15,
    quiet_below: Annotated[
        float,
        typer.Option(
            help="Wait until the machine's load average is below this before measuring; 0 does not wait."
        ),
    ] = 0.0,
) -> None:
    """Measure Homeport beside nginx+uWSGI, gunicorn and granian: speed, cold starts, memory, many sites."""
    console = Console(stderr=True, highlight=False)
    if report:
        write_page(console)
        return
    try:
        plan = make_plan(
            only=only or (),
            quick=quick,
            seconds=seconds,
            rounds=rounds,
            foreign=foreign,
            megabytes=megabytes,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from error
    if missing := sorted({package for program, package in NEEDED.items() if shutil.which(program) is None}):
        console.print(f"Missing programs; install them with: apt-get install {' '.join(missing)}")
        raise typer.Exit(1)
    WORK.mkdir(exist_ok=True)
    lock = (WORK / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        console.print("Another run measures on this machine; two at once would disturb each other.")
        raise typer.Exit(1) from None
    file = FULL if plan.complete else PARTIAL
    results = from_json(file.read_text()) if plan.complete and file.exists() else Results()
    adopt_orphans()
    signal.signal(signal.SIGTERM, _interrupt)
    cores = choose_cores()
    if cores.shared:
        console.print("One core only: servers and load generator compete for it, so throughput tells little.")
    with console.status("…") as status:
        workshop = Workshop(folder=WORK, cores=cores, say=status.update)
        WORK.mkdir(exist_ok=True)
        run = Run(workshop, plan, results=results)
        try:
            run.prepare()
            for part in Part:
                if part in plan.parts:
                    _wait_for_quiet(workshop, below=quiet_below)
                    run.measure(part)
                    file.write_text(to_json(run.results))
                    console.print(f"{part}: done")
        except (StartError, RuntimeError) as error:
            console.print(f"[red]{error}", markup=True)
            raise typer.Exit(1) from error
        finally:
            _end_leftovers()
    if run.results.load is not None:
        _show(console, run.results)
    console.print(
        f"Results: {file}" + ("; write the page with: python -m bench --report" if plan.complete else "")
    )


def write_page(console: Console) -> None:
    """Write docs/benchmarks.md and its chart from the last full run."""
    if not FULL.exists():
        console.print("There are no results yet: run `make bench` first.")
        raise typer.Exit(1)
    results = from_json(FULL.read_text())
    page, chart = DOCUMENTS / "benchmarks.md", DOCUMENTS / "images/benchmarks.svg"
    page.write_text(render(results))
    chart.write_text(draw(rows(samples_of(results.load))))
    console.print(f"Written: {_shown(page)}, {_shown(chart)}")


def _shown(path: Path) -> str:
    return str(path.relative_to(HERE.parent))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait_for_quiet(workshop: Workshop, *, below: float) -> None:
    while below and os.getloadavg()[0] >= below:
        workshop.say(f"waiting for a quiet machine: load {os.getloadavg()[0]:.2f}, wanted below {below:g}")
        time.sleep(2)


def _end_leftovers() -> None:
    """Kill what is still below us: orphans come to us, so nothing can have escaped."""
    for pid in descendants(os.getpid())[1:]:
        os.kill(pid, signal.SIGKILL)


def _show(console: Console, results: Results) -> None:
    table = Table("load", "connections", "stack", "CPU ratio", "throughput ratio", "p50 ms", "problems")
    measured = rows(samples_of(results.load))
    for (stack, load, concurrency), row in sorted(
        measured.items(),
        key=lambda item: (
            list(LOAD_WORDS).index(item[0][1]),
            item[0][2],
            list(STACK_WORDS).index(item[0][0]),
        ),
    ):
        problems = "" if row.valid else f"{row.failures} bad, {row.socket_errors} lost"
        table.add_row(
            LOAD_WORDS[load],
            str(concurrency),
            STACK_WORDS[stack],
            ratio(row.cpu_ratio),
            ratio(row.rate_ratio),
            f"{row.p50 / 1000:.2f}",
            problems,
        )
    console.print(table)


if __name__ == "__main__":
    try:
        typer.run(main)
    except KeyboardInterrupt:
        sys.exit(130)
