"""Reading the cases from disk."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeport.webconfig import ConfigurationTree, HostingPlan, SiteFacts, compile_plan
from webconfig.sites import runtime

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked and what must come back: `plan` as `lookup.answer` says it, the rest as a client sees it.

    `text` must be in the body; a value of `answer` is a header's exact value, "" means that there is none.
    """

    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body_bytes: int = 0
    plan: str = ""
    status: int = 200
    text: str = ""
    answer: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One folder. `findings` are `file:line code`, all of them."""

    name: str
    title: str
    site: Path
    requests: tuple[Request, ...]
    findings: tuple[str, ...] = ()

    def files(self) -> dict[str, Path]:
        """Give the files of the site by their path."""
        return {
            path.relative_to(self.site).as_posix(): path
            for path in sorted(self.site.rglob("*"))
            if path.is_file() and path.name != ".keep"
        }

    def plan(self) -> HostingPlan:
        """Compile the site."""
        files = self.files()
        configurations = {
            name.rpartition("/")[0]: path.read_bytes()
            for name, path in files.items()
            if name.rpartition("/")[2].lower() == "web.config"
        }
        return compile_plan(
            ConfigurationTree(files=configurations),
            SiteFacts(site="hello", runtimes=(runtime(),), list_folder=self._list_folder),
        )

    def _list_folder(self, path: str) -> list[str] | None:
        parts = path.strip("/").split("/")
        above = ["home", "site", "wwwroot"]
        if parts in ([""], above[:1], above[:2]):
            return [above[0 if parts == [""] else len(parts)]]
        folder = self.site.joinpath(*parts[3:])
        return [entry.name for entry in folder.iterdir()] if parts[:3] == above and folder.is_dir() else None


def cases() -> list[Case]:
    """Read all cases."""
    return [_read(path.parent) for path in sorted(FOLDER.glob("*/*/case.toml"))]


def _read(folder: Path) -> Case:
    data: dict[str, Any] = tomllib.loads((folder / "case.toml").read_text())
    requests = tuple(Request(**one) for one in data.pop("request", []))
    data["findings"] = tuple(data.get("findings", ()))
    return Case(name=folder.relative_to(FOLDER).as_posix(), site=folder / "site", requests=requests, **data)
