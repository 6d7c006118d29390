"""The table of speed. Pure."""

from collections.abc import Mapping

from bench.report.words import LOAD_WORDS, STACK_WORDS, ratio, table
from bench.summary import Key, Row


def speed(measured: Mapping[Key, Row]) -> str:
    if not measured:
        return ""
    stacks = [stack for stack in STACK_WORDS if any(key[0] == stack for key in measured)]
    cells = sorted({(load, concurrency) for _, load, concurrency in measured}, key=_cell_order)
    head = ["load, connections", *(STACK_WORDS[stack] for stack in stacks)]
    body = [
        [
            f"{LOAD_WORDS[load]}, {concurrency}",
            *(_speed_cell(measured.get((stack, load, concurrency))) for stack in stacks),
        ]
        for load, concurrency in cells
    ]
    intervals = [
        [
            f"{LOAD_WORDS[load]}, {concurrency}",
            *(_absolute_cell(measured.get((stack, load, concurrency))) for stack in stacks),
        ]
        for load, concurrency in cells
    ]
    return "\n\n".join(
        (
            "CPU per request / throughput, as ratios to nginx + uWSGI.",
            table(head, body),
            "<details><summary>For orientation: microseconds of CPU per request (nginx + site + platform), extremes of the CPU ratio, "
            "latency (median) on this machine</summary>",
            table(head, intervals),
            "</details>",
        )
    )


def _cell_order(cell: tuple[str, int]) -> tuple[int, int]:
    return list(LOAD_WORDS).index(cell[0]), cell[1]


def _speed_cell(row: Row | None) -> str:
    if row is None:
        return "–"
    if not row.valid:
        return f"invalid: {row.failures} bad answers, {row.socket_errors} socket errors"
    text = f"{ratio(row.cpu_ratio)} / {ratio(row.rate_ratio)}"
    return f"**{text}**" if row.stack.startswith("homeport") else text


def _absolute_cell(row: Row | None) -> str:
    if row is None:
        return "–"
    extremes = f"{ratio(row.cpu_low)}–{ratio(row.cpu_high)}"
    parts = [row.front_cpu, row.site_cpu, *([row.platform_cpu] if row.platform_cpu else [])]
    return f"{' + '.join(f'{part:.0f}' for part in parts)} µs; {extremes}; {row.p50 / 1000:.2g} ms"
