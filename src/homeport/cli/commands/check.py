"""`homeport check`: what of a folder or a site will not work here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data
from homeport.cli.output import say, show_json, show_table
from homeport.cli.scm_client import open_scm
from homeport.model.errors import Invalid

_VERSION = re.compile(r"(3)\.(\d{1,2})(?:\.(\d{1,2}))?")


def check(
    target: Annotated[
        str,
        typer.Argument(metavar="PATH|SITE", help="A folder with an application, or the name of a site."),
    ],
    *,
    python: Annotated[
        str,
        typer.Option(
            "--python",
            metavar="VERSION",
            help="Judge the packages of a folder by this Python, such as 3.11.",
            show_default="the one that web.config names",
        ),
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Read a folder or a site as the platform would, and show what will not work: where, and what to do.

    An existing folder goes before a site of that name. Nothing is run and nothing is looked up on the network.
    The exit code is 1 where there is an error.
    """
    folder = Path(target)
    if folder.is_dir():
        findings = _of_folder(folder, version=_version(python))
    elif folder.exists() or "/" in target:
        raise Invalid(f"'{target}' is no folder that can be read; name a folder or a site.")
    else:
        findings = _of_site(target, data)
    if as_json:
        show_json({"findings": findings})
    else:
        _show(findings)
    if any(finding["severity"] == "error" for finding in findings):
        raise typer.Exit(1)


def _of_folder(folder: Path, *, version: tuple[int, ...]) -> list[dict[str, Any]]:
    from homeport.scm.checking.content import check_folder  # late: other commands need none of it

    return [asdict(finding) for finding in check_folder(folder, version=version)]


def _of_site(name: str, data: Data) -> list[dict[str, Any]]:
    with open_control(data) as control:
        site = control.site(name)
        port = int(control.status()["http_port"])
    with open_scm(site, port=port) as scm:
        return scm.check()


def _show(findings: Sequence[Mapping[str, Any]]) -> None:
    if not findings:
        say("Nothing was found.")
        return
    rows = [
        (str(each["severity"]), _place(each), str(each["message"]), str(each["remedy"])) for each in findings
    ]
    show_table(("SEVERITY", "WHERE", "WHAT", "REMEDY"), rows)
    errors = sum(each["severity"] == "error" for each in findings)
    say(f"{_counted(len(findings), 'finding')}, {_counted(errors, 'error')}.")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _place(finding: Mapping[str, Any]) -> str:
    return ":".join(str(finding[key]) for key in ("file", "line") if finding.get(key))


def _version(text: str) -> tuple[int, ...]:
    if not text:
        return ()
    match = _VERSION.fullmatch(text)
    if match is None:
        raise Invalid(f"'{text}' is no version of Python; write it as 3.11.")
    return tuple(int(part) for part in match.groups() if part)
