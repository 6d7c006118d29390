"""What first requests and memory cost. Pure."""

from collections.abc import Sequence
from statistics import median

from bench.report.words import LOAD_WORDS, STACK_WORDS, megabytes, milliseconds, table
from bench.samples import BASELINE, ColdSample, FootprintSample, MemorySample
from bench.summary import grouped, slope

_COLD = """\
The site has no process: the first request waits while the platform makes the sandbox and its network, starts the interpreter and imports the application.
"Its import alone" is the same import by the same interpreter outside the platform, taken right after each start, on the same core.
The peers keep their processes, so they have no cold start, and no site without memory either."""


_ACTIVE_MEMORY = """\
Two processes after the rounds above, as a multiple of uWSGI's two and its master (proportional set size: pages shared by several processes are divided among them).
Homeport's figure includes the sandboxes and the site's network; nginx is left out on all sides."""


_IDLE_MEMORY = "A site that nobody asks for has no process. What remains of it:"


def cold(samples: Sequence[ColdSample]) -> str:
    if not samples:
        return ""
    head = [
        "application",
        "first request",
        "its import alone",
        "beyond the import",
        "slowest beyond",
        "starts",
    ]
    body = [
        [
            LOAD_WORDS[load],
            milliseconds(median(sample.request_seconds for sample in group)),
            milliseconds(median(sample.import_seconds for sample in group)),
            milliseconds(median(sample.beyond_import for sample in group)),
            milliseconds(max(sample.beyond_import for sample in group)),
            str(len(group)),
        ]
        for load, group in grouped(samples, key=lambda sample: sample.load).items()
    ]
    return f"{_COLD}\n\n{table(head, body)}"


def memory(samples: Sequence[MemorySample], footprints: Sequence[FootprintSample]) -> str:
    parts = []
    if samples:
        parts += [_ACTIVE_MEMORY, _active_memory(samples)]
    idle = [sample for sample in footprints if sample.active == 0]
    if idle:
        parts += [_IDLE_MEMORY, _idle_memory(idle)]
    for sample in footprints:
        if sample.active:
            parts.append(
                f"{sample.active} sites that each have one process of the smallest application: "
                f"{megabytes(sample.site_bytes / sample.active)} per site, sandbox and network included."
            )
    return "\n\n".join(parts)


def _active_memory(samples: Sequence[MemorySample]) -> str:
    loads = [load for load in LOAD_WORDS if any(sample.load == load for sample in samples)]
    found = {(sample.stack, sample.load): sample for sample in samples}
    head = ["the site's processes", *(LOAD_WORDS[load] for load in loads)]
    stacks = [stack for stack in STACK_WORDS if any(sample.stack == stack for sample in samples)]
    body = [
        [
            STACK_WORDS[stack],
            *(_memory_cell(found.get((stack, load)), found.get((BASELINE, load))) for load in loads),
        ]
        for stack in stacks
    ]
    return table(head, body)


def _memory_cell(sample: MemorySample | None, base: MemorySample | None) -> str:
    if sample is None:
        return "–"
    compared = f"{sample.site_bytes / base.site_bytes:.2f}× " if base is not None else ""
    return f"{compared}({megabytes(sample.site_bytes)})"


def _idle_memory(idle: Sequence[FootprintSample]) -> str:
    head = ["sites, none with a process", "nginx", "agent and control plane", "the sites", "until ready"]
    body = [
        [
            str(sample.sites),
            megabytes(sample.front_bytes),
            megabytes(sample.platform_bytes),
            megabytes(sample.site_bytes),
            f"{sample.ready_seconds:.1f} s",
        ]
        for sample in sorted(_last_of_each(idle), key=lambda sample: sample.sites)
    ]
    each = slope((sample.sites, sample.front_bytes + sample.platform_bytes) for sample in idle)
    note = "" if each is None else f"\n\nEach further idle site costs {each / 1000:.0f} kB in all."
    return table(head, body) + note


def _last_of_each(samples: Sequence[FootprintSample]) -> list[FootprintSample]:
    return list({sample.sites: sample for sample in samples}.values())
