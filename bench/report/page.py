"""The page that a run becomes: docs/benchmarks.md. Pure."""

from collections.abc import Sequence
from statistics import median

from bench.report.deployments import deployments
from bench.report.files import files
from bench.report.http_platform import http_platform
from bench.report.limits import targets
from bench.report.memory import cold, memory
from bench.report.rewriting import rewriting
from bench.report.scale import many_sites
from bench.report.scm import scm
from bench.report.speed import speed
from bench.samples import SECTIONS, LoadSample, Results, samples_of
from bench.summary import rows

_INTRODUCTION = """\
# Benchmarks

Homeport beside the usual ways to serve a Python application, on one machine, in one run: `make bench`.
Every number in the tables of speed is a ratio to nginx + uWSGI in the same round; above 1 is better than nginx + uWSGI.
This page is written by `python -m bench --report` from the results of the last full run; nothing in it is typed by hand.

![CPU per request as a ratio to nginx + uWSGI](images/benchmarks.svg)
"""


_METHOD = """\
## How it is measured

- Every stack runs two processes of the application (gunicorn's gthread: four threads in each). All stacks use the same Python, Flask and Django.
- Homeport is `homeport up` as installed: the site in its sandbox, as a user of its own, with a network and limits of its own, `maxInstances="2"` in its web.config.
  The peers are plain processes without any of that.
- nginx before the peers is Debian's, with the parameter files of its package, no access log, buffers that hold the loads' answers and uploads in memory, and idle connections kept to the servers that can use them (gthread, granian).
- Every nginx has as many processes as the machine has cores (`worker_processes auto`). The peers' are scheduled as usual, Homeport's by the load (`docs/decisions/0013-nginx-waits-for-busy-workers.md`); the moment until it has noticed the load is part of each cell.
- A whole stack (nginx, application, platform) is pinned to one core and the load generator, wrk with one thread, to another. So throughput is what one core can do.
- CPU per request is what the kernel's scheduler accounts to all threads of all processes of the stack, user and system, divided by the requests that were answered. It hardly depends on what else the machine does.
- Every cell is measured for one second or more in each round, after warming up. Within a round the stacks take turns in a random order; a cell that other programs disturbed is measured again. Ratios are formed within a round, and the table shows their median.
- An answer other than 2xx or 3xx, or a request without an answer, makes a row invalid; it is marked and has no ratio in that round.
- Applications: `bench/apps`. Uploads are read in pieces of 64 KB. Requests carry a browser's seven headers and keep their connections.
"""


_ABSENT = "Not measured in the last run."


def render(results: Results) -> str:
    """Write the page; sections that were not measured say so."""
    table_of_rows = rows(results.load.samples) if results.load else {}
    parts = [
        _INTRODUCTION,
        _section("Speed", speed(table_of_rows)),
        _section("What must be reached", targets(table_of_rows, results)),
        _section("Cold start", cold(samples_of(results.cold))),
        _section("Memory", memory(samples_of(results.memory), samples_of(results.footprint))),
        _section("Many sites", many_sites(results)),
        _section("Rewrite rules", rewriting(samples_of(results.rewriting))),
        _section("httpPlatform", http_platform(samples_of(results.http_platform))),
        _section("Deployments", deployments(samples_of(results.deployments))),
        _section("Files", files(samples_of(results.files))),
        _section("The SCM site", scm(results)),
        _METHOD,
        _section("The run", _run(results)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text or _ABSENT}"


def _run(results: Results) -> str:
    facts = [f"- {name}: {value}" for name, value in results.machine.items()]
    notes = [f"- {note}" for note in results.notes]
    sections = [
        f"- {title}: {section.taken}, load of the machine before {section.load_average:.2f}, {len(section.samples)} samples"
        for title in SECTIONS
        if (section := getattr(results, title)) is not None
    ]
    return "\n".join([*facts, *notes, *sections, *_foreign(samples_of(results.load))])


def _foreign(samples: Sequence[LoadSample]) -> list[str]:
    if not samples:
        return []
    shares = sorted(sample.foreign for sample in samples)
    return [
        f"- other programs used {median(shares):.0%} of a core during a cell of the table of speed (median), "
        f"{shares[-1]:.0%} at most"
    ]
