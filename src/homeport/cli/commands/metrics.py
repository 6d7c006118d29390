"""`homeport metrics`: what the sites' requests come to."""

from typing import Annotated, Any

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data
from homeport.cli.output import show_json, show_line, show_table

_CLASSES = ("2xx", "3xx", "4xx", "5xx")


def metrics(
    site: Annotated[str | None, typer.Argument(metavar="[SITE]", help="Of this site only.")] = None,
    *,
    token: Annotated[
        bool,
        typer.Option("--token", help="Print the token that Prometheus needs for /metrics, and no metrics."),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show requests, statuses, mean time and traffic of each rule of each site since the platform's agent started."""
    with open_control(data) as control:
        if token:
            show_line(control.metrics_token())
            return
        name = control.site(site)["name"] if site else None
        found = [each for each in control.metrics() if name in (None, each["site"])]
    if as_json:
        show_json(found)
        return
    rows = [_row(each) for each in found]
    show_table(("SITE", "RULE", "FOLDER", "POOL", "REQUESTS", *_CLASSES, "MEAN", "SENT", "RECEIVED"), rows)


def _row(counts: dict[str, Any]) -> tuple[str, ...]:
    mean = counts["seconds"] / counts["requests"] * 1000
    return (
        *(counts["site"], counts["rule"], counts["folder"] or "-", counts["pool"], str(counts["requests"])),
        *(str(counts["statuses"].get(each, 0)) for each in _CLASSES),
        *(f"{mean:.1f} ms", _size(counts["bytes_sent"]), _size(counts["bytes_received"])),
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
