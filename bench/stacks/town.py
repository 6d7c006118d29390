"""Platforms that host many sites, made through the control plane's own API (the one behind the command line)."""

import asyncio
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.samples import Load
from bench.stacks.homeport import RUNTIME, Platform, web_config
from bench.stacks.stack import EXPECTED, fetch
from bench.workshop import APPS
from bench.wrk import Target

BATCH = 100
"""Requests to the control plane at the same time. It brings all about that is stored when it begins, with one reload;
a next request sent as soon as one is answered would cost a reload of its own.
"""

TARGET_SITE = "site-0000"


@dataclass(slots=True, kw_only=True)
class Town:
    """A platform with `sites` sites, of which the first `inhabited` have the application; the others are new and empty."""

    platform: Platform
    sites: int
    inhabited: int = 1

    @property
    def names(self) -> list[str]:
        """The names of all sites."""
        return [f"site-{number:04}" for number in range(self.sites)]

    def prepare(self) -> None:
        """Make the sites, unless they are there. Raises `StartError`, `httpx.HTTPError`."""
        stamp = self.platform.data / ".bench"
        wanted = f"{self.sites} {self.inhabited} {web_config(Load.MARK)}{(APPS / 'mark.py').read_text()}"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(self.platform.data, ignore_errors=True)
        self.platform.workshop.say(f"making {self.sites} sites")
        with self.platform:
            asyncio.run(
                _populate(self._control_socket(), names=self.names, inhabited=self.names[: self.inhabited])
            )
            for name in self.names[: self.inhabited]:
                self.furnish(name)
        stamp.write_text(wanted)

    def target(self, site: str = TARGET_SITE) -> Target:
        """Name the address of a site."""
        return self.platform.target(site, load=Load.MARK)

    def furnish(self, site: str, *, mark: str | None = None) -> None:
        """Put the application into a site's content folder, each file at one stroke."""
        folder = self.platform.content(site)
        _replace(folder / "mark.py", (APPS / "mark.py").read_text(), like=folder)
        _replace(folder / "web.config", web_config(Load.MARK, mark=mark), like=folder)

    def configure(self, site: str, *, mark: str | None) -> None:
        """Change a site's web.config alone, at one stroke."""
        folder = self.platform.content(site)
        _replace(folder / "web.config", web_config(Load.MARK, mark=mark), like=folder)

    def visit(self, names: Sequence[str]) -> None:
        """Ask each site once, one after another. Raises `RuntimeError` for a wrong answer."""
        first = self.target()
        domain = first.host.partition(".")[2]
        for name in names:
            where = Target(url=first.url, host=f"{name}.{domain}")
            if (answer := fetch(where)) != (200, EXPECTED[Load.MARK]):
                raise RuntimeError(f"{name} answered with status {answer[0]}")

    def _control_socket(self) -> str:
        """Find the control plane's socket where the command line finds it."""
        location = json.loads((self.platform.data / "run.json").read_text())
        return str(location["control_socket"])


def _replace(path: Path, text: str, *, like: Path) -> None:
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text)
    owner = like.stat()
    os.chown(aside, owner.st_uid, owner.st_gid)
    aside.replace(path)


async def _populate(socket: str, *, names: Sequence[str], inhabited: Sequence[str]) -> None:
    transport = httpx.AsyncHTTPTransport(uds=socket)
    async with httpx.AsyncClient(transport=transport, base_url="http://homeport", timeout=600) as client:

        async def create(name: str) -> None:
            (await client.post("/sites", json={"name": name})).raise_for_status()

        async def add_python(name: str) -> None:
            answer = await client.post(f"/sites/{name}/extensions", json={"id": RUNTIME})
            last = json.loads(answer.text.splitlines()[-1])
            if "result" not in last:
                raise RuntimeError(f"{name}: {last}")

        for first in range(0, len(names), BATCH):
            await asyncio.gather(*(create(name) for name in names[first : first + BATCH]))
        # The first Python is prepared once, the others copy it.
        for first in (0, *range(1, len(inhabited), BATCH)):
            batch = inhabited[:1] if first == 0 else inhabited[first : first + BATCH]
            await asyncio.gather(*(add_python(name) for name in batch))
