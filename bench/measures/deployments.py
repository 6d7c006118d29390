"""Deployments: a package of many files beside `unzip`, a build with many packages beside pip in a fresh environment."""

import io
import os
import random
import shutil
import subprocess
import time
import venv
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import httpx

from bench.processes import StartError, clean_environment
from bench.samples import DeploymentKind, DeploymentSample
from bench.stacks.homeport import RUNTIME, Platform, web_config
from bench.workshop import APPS

FILES = 5000
FILE_BYTES = 10_000
PACKAGES = APPS / "thirty.txt"
SITE = "bench-deployments-{number}"
DEPLOY_SECONDS = 600.0
_ENTRY_TIME = (2026, 1, 2, 3, 4, 6)


def measure_deployments(platform: Platform, *, rounds: int) -> Iterator[DeploymentSample]:
    """Yield, for each round and kind, a deployment and its counterpart, one right after the other on the same core.

    Both begin with nothing: a new site or an empty folder, a new runtime or environment. Caches of packages are warm.
    Neither pays for what was there before: what others have left to the disk is written first, and nothing is removed
    before the end. (ext4 without a journal passes over each file removed within the last minutes whenever it makes a
    new one; that made `unzip` up to eight times as slow, whichever came second.)
    """
    folder = platform.data.with_suffix(".deployments")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    package = folder / "files.zip"
    package.write_bytes(_many_files())
    build = folder / "build.zip"
    build.write_bytes(_required())
    sites: list[str] = []
    with platform:
        for number in range(-1, rounds):  # the first round only warms caches
            platform.workshop.say(f"deployments: round {number + 1} of {rounds}")
            for kind, pushed in ((DeploymentKind.FILES, package), (DeploymentKind.PACKAGES, build)):
                sites.append(_make_site(platform, after=sites))
                target = folder / sites[-1]
                target.mkdir()
                sides = {
                    "own": partial(_deploy, platform, pushed, site=sites[-1]),
                    "peer": partial(_unzip, platform, package, target)
                    if kind is DeploymentKind.FILES
                    else partial(_pip, platform, folder, target),
                }
                seconds = {name: sides[name]() for name in sorted(sides, reverse=number % 2 == 1)}
                if number >= 0:
                    yield DeploymentSample(
                        kind=kind, round=number, seconds=seconds["own"], peer_seconds=seconds["peer"]
                    )
        for site in sites:
            platform.command("site", "delete", site, "--yes")
    shutil.rmtree(folder, ignore_errors=True)


def _many_files() -> bytes:
    """Make a package of 5,000 files and 50 MB, half of which compresses well."""
    chance = random.Random(5)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for number in range(FILES):
            content = chance.randbytes(FILE_BYTES // 2) + b"text " * (FILE_BYTES // 10)
            made.writestr(
                zipfile.ZipInfo(f"folder{number % 100}/file{number}.bin", _ENTRY_TIME),
                content,
                zipfile.ZIP_DEFLATED,
            )
    return buffer.getvalue()


def _required() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("requirements.txt", PACKAGES.read_text())
        made.writestr("hello.py", (APPS / "hello.py").read_bytes())
        made.writestr("web.config", web_config("hello"))
        made.writestr(".deployment", "[config]\nSCM_DO_BUILD_DURING_DEPLOYMENT = true\n")
    return buffer.getvalue()


def _make_site(platform: Platform, *, after: Sequence[str]) -> str:
    """Make a site with a Python; the cache of packages comes along, as that of a site that lives longer."""
    site = SITE.format(number=len(after))
    if site in platform.command("site", "list"):
        platform.command("site", "delete", site, "--yes")  # of a run that was cut short
    platform.command("site", "create", site)
    platform.command("extension", "add", site, RUNTIME)
    home = platform.data / "sites" / site / "home"
    caches = [platform.data / "sites" / other / "home/.cache" for other in after]
    if cache := next((cache for cache in caches if cache.exists()), None):
        cache.rename(home / ".cache")
        owner = home.stat()
        for place, _, files in os.walk(home / ".cache"):
            for path in (place, *(f"{place}/{name}" for name in files)):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return site


def _deploy(platform: Platform, package: Path, *, site: str) -> float:
    """Push a package and wait until its deployment has ended; return the seconds. Raises `StartError`."""
    shown = platform.show(site)
    host, _, port = str(shown["scm_url"]).rstrip("/").partition("://")[2].partition(":")
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Host": f"{host}:{port}"},
        auth=(shown["publishing"]["user"], shown["publishing"]["password"]),
        timeout=DEPLOY_SECONDS,
        trust_env=False,
    )
    with client:
        client.get("/api/deployments")  # the SCM app is up
        os.sync()
        before = time.perf_counter()
        client.post("/api/zipdeploy", content=package.read_bytes()).raise_for_status()
        seconds = time.perf_counter() - before
        record = client.get("/api/deployments/latest").json()
    if record["status"] != 4:
        raise StartError(f"a deployment failed: {record['status_text']}")
    return seconds


def _unzip(platform: Platform, package: Path, target: Path) -> float:
    return _timed(platform, ["unzip", "-q", str(package), "-d", str(target)])


def _pip(platform: Platform, folder: Path, target: Path) -> float:
    """Install the packages with pip into a fresh environment; making that is not counted."""
    venv.EnvBuilder(with_pip=True).create(target)
    line = [str(target / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return _timed(platform, [*line, "--cache-dir", str(folder / "pip-cache"), "-r", str(PACKAGES)])


def _timed(platform: Platform, line: Sequence[str]) -> float:
    pinned = ["taskset", "--cpu-list", str(platform.workshop.cores.server), *line]
    os.sync()
    before = time.perf_counter()
    subprocess.run(pinned, env=clean_environment(), check=True)
    return time.perf_counter() - before
