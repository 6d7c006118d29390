"""Homeport: the installed command, driven as a person drives it, and its platform as a stack."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import command_line, descendants, name
from bench.processes import Program, StartError, clean_environment, start, wait_until
from bench.samples import Load, StackName
from bench.stacks.stack import PROCESSES, Members, answers, target
from bench.workshop import APPS, REQUIREMENTS, Workshop
from bench.wrk import Target, command

COMMAND = str(Path(sys.executable).with_name("homeport"))
READY_SECONDS = 180.0
WORKERS_SECONDS = 60.0
HALT_SECONDS = 0.3

MEASURED = tuple(load for load in Load if load is not Load.MARK)

RUNTIME = f"python3{sys.version_info.minor}{sys.version_info.micro}x64"
"""The site extension with the Python that the peers run on (App Service's way of writing it)."""


def web_config(module: str, *, instances: int = PROCESSES, mark: str | None = None, more: str = "") -> str:
    """Write the configuration of a site: the documented one, how many processes it may have, an app setting.

    `more` is more of `<system.webServer>`.
    """
    setting = f'\n    <add key="MARK" value="{mark}"/>' if mark else ""
    python, host = rf"D:\home\{RUNTIME}\python.exe", rf"D:\home\{RUNTIME}\wfastcgi.py"
    return f"""<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <appSettings>
    <add key="PYTHONPATH" value="D:\\home\\site\\wwwroot"/>
    <add key="WSGI_HANDLER" value="{module}.app"/>{setting}
  </appSettings>
  <system.webServer>
    <handlers>
      <add name="PythonHandler" path="*" verb="*" modules="FastCgiModule" scriptProcessor="{python}|{host}" resourceType="Unspecified" requireAccess="Script"/>
    </handlers>
    <fastCgi>
      <application fullPath="{python}" arguments="{host}" maxInstances="{instances}" idleTimeout="86400" instanceMaxRequests="10000000"/>
    </fastCgi>{more}
  </system.webServer>
</configuration>
"""


@dataclass(slots=True, kw_only=True)
class Platform:
    """One `homeport up` on a data folder of its own."""

    workshop: Workshop
    data: Path
    accelerator: str = "auto"
    _program: Program | None = None
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.data.with_suffix(".log")

    def start(self) -> None:
        """Start it on free ports and wait for the line that says ready. Raises `StartError`."""
        self._program = start(
            [COMMAND, "up", "--data", str(self.data), "--http", "0", "--https", "0"],
            core=self.workshop.cores.server,
            log=self._log,
            environment={"HOMEPORT_ACCELERATOR": self.accelerator, "PYTHONUNBUFFERED": "1"},
        )
        wait_until(self._ready, seconds=READY_SECONDS, what="homeport up", program=self._program)

    def stop(self) -> None:
        """Stop it with everything that it started."""
        if self._program is not None:
            self._program.stop()
            self._program = None

    def __enter__(self) -> "Platform":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def command(self, *words: str) -> str:
        """Run `homeport …` and give what it prints. Raises `StartError` with what it says when it fails."""
        done = subprocess.run(
            [COMMAND, *words],
            env=clean_environment() | {"HOMEPORT_DATA": str(self.data)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise StartError(f"homeport {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def show(self, site: str) -> dict[str, Any]:
        """Give what `homeport site show` knows."""
        shown: dict[str, Any] = json.loads(self.command("site", "show", site, "--json"))
        return shown

    def target(self, site: str, *, load: Load) -> Target:
        """Name the address of a site."""
        host, _, port = str(self.show(site)["url"]).rstrip("/").partition("://")[2].partition(":")
        return target(load, port=int(port), host=host)

    def members(self) -> Members:
        """Sort the processes into nginx, the sites' and the platform's own."""
        everything = descendants(self._program.pid) if self._program is not None else []
        agent = next((pid for pid in everything if " homeport.node " in command_line(pid)), None)
        site = set(descendants(agent)) - {agent} if agent is not None else set()
        front = {pid for pid in everything if name(pid) == "nginx"} - site
        return Members(
            front=tuple(sorted(front)),
            site=tuple(sorted(site)),
            platform=tuple(sorted(set(everything) - front - site)),
        )

    def workers(self) -> list[int]:
        """Give the processes that run an application."""
        return [pid for pid in self.members().site if is_worker(pid)]

    def nginx_master(self) -> int:
        """Give the process that takes nginx's signals."""
        return next(pid for pid in self.members().front if "master process" in command_line(pid))

    def write(self, site: str, files: Mapping[str, bytes]) -> None:
        """Put content into a site by a deployment."""
        folder = self.data.with_suffix(".content") / site
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            (folder / path).write_bytes(content)
        self.command("deploy", site, str(folder))

    def content(self, site: str) -> Path:
        """Give the folder that holds a site's content on the machine."""
        return self.data / "sites" / site / "home/site/wwwroot"

    def add_site(self, site: str, *, load: Load, instances: int = PROCESSES, more: str = "") -> None:
        """Make a site that serves one of the applications; `more` as in `web_config`."""
        self.command("site", "create", site)
        self.command("extension", "add", site, RUNTIME)
        files = {
            "web.config": web_config(load, instances=instances, more=more).encode(),
            f"{load}.py": (APPS / f"{load}.py").read_bytes(),
        }
        if load in (Load.FLASK, Load.DJANGO):
            files["requirements.txt"] = REQUIREMENTS.read_bytes()
        self.write(site, files)

    def _ready(self) -> bool:
        return any(line.startswith("ready") for line in self._log.read_text(errors="replace").splitlines())


def is_worker(pid: int) -> bool:
    """Say whether a process runs an application (and is not one of the sandbox's own around it)."""
    return "worker/launch.py" in command_line(pid) and name(pid) not in (
        "bwrap",
        "sh",
        "perl",
        "setpriv",
        "nsenter",
    )


def site_name(load: Load) -> str:
    """Name the site of a load."""
    return f"bench-{load.replace('_', '-')}"


@dataclass(slots=True, kw_only=True)
class Homeport:
    """A platform with one site for each load; a load has processes only while it is measured."""

    name: StackName
    platform: Platform

    def prepare(self) -> None:
        """Make the sites, unless they are there. Raises `StartError`."""
        stamp = self.platform.data / ".bench"
        wanted = (
            REQUIREMENTS.read_text()
            + "".join((APPS / f"{load}.py").read_text() for load in MEASURED)
            + web_config("")
        )
        if stamp.exists() and stamp.read_text() == wanted:
            return
        say = self.platform.workshop.say
        with self.platform:
            there = {site["name"] for site in json.loads(self.platform.command("site", "list", "--json"))}
            for load in MEASURED:
                site = site_name(load)
                say(f"{self.name}: making {site}")
                if site in there:
                    self.platform.command("site", "delete", site, "--yes")
                self.platform.add_site(site, load=load)
        stamp.write_text(wanted)

    def start(self, load: Load) -> Target:
        """Start the platform, and the site until it has all its processes. Raises `StartError`."""
        self.platform.start()
        where = self.platform.target(site_name(load), load=load)
        if not answers(where, load=load):
            shown = self.platform.show(site_name(load))
            raise StartError(
                f"{self.name}: {site_name(load)} does not answer as its application does: {shown['findings']}"
            )
        wake(self.platform, where)
        return where

    def members(self) -> Members:
        """The platform's processes."""
        return self.platform.members()

    def stop(self) -> None:
        """Stop the platform."""
        self.platform.stop()


def wake(platform: Platform, where: Target, *, processes: int = PROCESSES) -> None:
    """Keep a site busy until so many processes of applications run.

    They come as requests queue behind busy ones. Requests of a millisecond seldom do so for long enough, so the processes
    that run are halted for a moment: what they have in hand then takes as long as a slow request.
    """
    busy = command(where, core=platform.workshop.cores.client, connections=32, seconds=1)

    def all_run() -> bool:
        with subprocess.Popen(busy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as load:
            time.sleep(0.2)  # the load is under way
            if len(platform.workers()) < processes:
                _halt(platform.workers())
            load.wait()
        return len(platform.workers()) == processes

    wait_until(all_run, seconds=WORKERS_SECONDS, what=f"{where.host} has all its processes")


def _halt(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(HALT_SECONDS)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def homeports(workshop: Workshop) -> list[Homeport]:
    """Give both editions, not started."""
    editions = ((StackName.HOMEPORT_PURE, "off"), (StackName.HOMEPORT_ACCELERATED, "require"))
    return [
        Homeport(
            name=name,
            platform=Platform(workshop=workshop, data=workshop.folder / name, accelerator=accelerator),
        )
        for name, accelerator in editions
    ]
