"""The chart of docs/benchmarks.md: CPU per request as ratios, one group of bars for each load. Pure.

The SVG carries its own colours for light and dark, which browsers choose by the reader's preference.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report.words import LOAD_WORDS, STACK_WORDS, connections, ratio
from bench.samples import BASELINE, StackName
from bench.summary import Key, Row

CONCURRENCIES = (1, 32)

_LABEL_WIDTH = 190
_BAR_WIDTH = 420
_BAR_HEIGHT = 15
_GROUP_GAP = 40
_MARGIN = 16
_HEAD = 52

_STYLE = """\
text{font:13px system-ui,sans-serif;fill:#222}
.quiet{fill:#666}
.title{font-size:15px;font-weight:600}
.own{fill:#0a6bd6}
.other{fill:#b4bac2}
.base{stroke:#666;stroke-dasharray:3 3}
@media(prefers-color-scheme:dark){text{fill:#e4e4e4}.quiet{fill:#a5a5a5}.own{fill:#5aa9ff}.other{fill:#5c6570}.base{stroke:#a5a5a5}}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The bars of one load: (name, ratio) with None where there is no valid number."""

    title: str
    bars: Sequence[tuple[StackName, float | None]]


def draw(measured: Mapping[Key, Row]) -> str:
    """Draw the groups that were measured."""
    groups = [
        Group(title=f"{words}, {connections(concurrency)}", bars=bars)
        for load, words in LOAD_WORDS.items()
        for concurrency in CONCURRENCIES
        if (bars := _bars(measured, load=load, concurrency=concurrency))
    ]
    widest = max((value or 0.0 for group in groups for _, value in group.bars), default=1.0)
    scale = _BAR_WIDTH / max(widest, 1.0)
    parts: list[str] = []
    top = _HEAD
    for group in groups:
        parts.append(_group(group, top=top, scale=scale))
        top += _height(group)
    width = 2 * _MARGIN + _LABEL_WIDTH + _BAR_WIDTH + 50
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" role="img" '
        f'aria-label="CPU per request as a ratio to nginx + uWSGI">\n<style>{_STYLE}</style>\n'
        f'<text class="title" x="{_MARGIN}" y="24">CPU per request, as a ratio to nginx + uWSGI</text>\n'
        f'<text class="quiet" x="{_MARGIN}" y="42">longer is better: 2 means half the CPU time</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bars(
    measured: Mapping[Key, Row], *, load: str, concurrency: int
) -> list[tuple[StackName, float | None]]:
    found = [(StackName(stack), measured.get((stack, load, concurrency))) for stack in STACK_WORDS]
    return [(stack, row.cpu_ratio if row.valid else None) for stack, row in found if row is not None]


def _height(group: Group) -> int:
    return 24 + len(group.bars) * (_BAR_HEIGHT + 4) + _GROUP_GAP - 24


def _group(group: Group, *, top: int, scale: float) -> str:
    left = _MARGIN + _LABEL_WIDTH
    lines = [f'<text x="{_MARGIN}" y="{top + 16}" font-weight="600">{html.escape(group.title)}</text>']
    y = top + 24
    for stack, value in group.bars:
        lines.append(_bar(stack, value, y=y, left=left, scale=scale))
        y += _BAR_HEIGHT + 4
    line = left + scale
    lines.append(f'<line class="base" x1="{line:.1f}" x2="{line:.1f}" y1="{top + 22}" y2="{y}"/>')
    return "\n".join(lines)


def _bar(stack: StackName, value: float | None, *, y: int, left: int, scale: float) -> str:
    kind = "own" if stack.startswith("homeport") else "other"
    label = f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{html.escape(STACK_WORDS[stack])}</text>'
    if value is None:
        return f'{label}<text class="quiet" x="{left + 4}" y="{y + 12}">invalid</text>'
    width = value * scale
    number = "" if stack == BASELINE else "quiet"
    return (
        f'{label}<rect class="{kind}" x="{left}" y="{y}" width="{width:.1f}" height="{_BAR_HEIGHT}" rx="2"/>'
        f'<text class="{number}" x="{left + _BAR_WIDTH + 44}" y="{y + 12}" text-anchor="end">{ratio(value)}</text>'
    )
