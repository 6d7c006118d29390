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
from pathlib import Path

import httpx

from bench.processes import StartError, clean_environment
from bench.samples import DeploymentKind, DeploymentSample
from bench.stacks.homeport import RUNTIME, Platform, web_config
from bench.workshop import APPS

FILES = 5000
FILE_BYTES = 10_000
PACKAGES = APPS / "thirty.txt"
SITE = "bench-deployments"
DEPLOY_SECONDS = 600.0
_ENTRY_TIME = (2026, 1, 2, 3, 4, 6)


def measure_deployments(platform: Platform, *, rounds: int) -> Iterator[DeploymentSample]:
    """Yield, for each round and kind, a deployment and its counterpart, one right after the other on the same core.

    Both begin with nothing: an empty folder or a new site, a fresh environment or runtime. Caches of packages are warm.
    """
    folder = platform.data.with_suffix(".deployments")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    package = folder / "files.zip"
    package.write_bytes(_many_files())
    build = folder / "build.zip"
    build.write_bytes(_required())
    with platform:
        for number in range(-1, rounds):  # the first round only warms caches
            platform.workshop.say(f"deployments: round {number + 1} of {rounds}")
            for kind, pushed in ((DeploymentKind.FILES, package), (DeploymentKind.PACKAGES, build)):
                _renew_site(platform)
                seconds = _deploy(platform, pushed)
                peer = (
                    _unzip(platform, package, folder)
                    if kind is DeploymentKind.FILES
                    else _pip(platform, folder)
                )
                if number >= 0:
                    yield DeploymentSample(kind=kind, round=number, seconds=seconds, peer_seconds=peer)
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


def _renew_site(platform: Platform) -> None:
    """Make the site anew; its cache of packages survives in a folder aside, as that of a site that lives longer."""
    home = platform.data / "sites" / SITE / "home"
    aside = platform.data.with_suffix(".cache")
    if (home / ".cache").exists():
        shutil.rmtree(aside, ignore_errors=True)
        (home / ".cache").rename(aside)
    if home.exists():
        platform.command("site", "delete", SITE, "--yes")
    platform.command("site", "create", SITE)
    platform.command("extension", "add", SITE, RUNTIME)
    if aside.exists():
        aside.rename(home / ".cache")
        owner = home.stat()
        for place, _, files in os.walk(home / ".cache"):
            for path in (place, *(f"{place}/{name}" for name in files)):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _deploy(platform: Platform, package: Path) -> float:
    """Push a package and wait until its deployment has ended; return the seconds. Raises `StartError`."""
    shown = platform.show(SITE)
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
        before = time.perf_counter()
        client.post("/api/zipdeploy", content=package.read_bytes()).raise_for_status()
        seconds = time.perf_counter() - before
        record = client.get("/api/deployments/latest").json()
    if record["status"] != 4:
        raise StartError(f"a deployment failed: {record['status_text']}")
    return seconds


def _unzip(platform: Platform, package: Path, folder: Path) -> float:
    target = folder / "unzipped"
    shutil.rmtree(target, ignore_errors=True)
    return _timed(platform, ["unzip", "-q", str(package), "-d", str(target)])


def _pip(platform: Platform, folder: Path) -> float:
    """Install the packages with pip into a fresh environment; making that is not counted."""
    environment = folder / "venv"
    venv.EnvBuilder(with_pip=True, clear=True).create(environment)
    line = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return _timed(platform, [*line, "--cache-dir", str(folder / "pip-cache"), "-r", str(PACKAGES)])


def _timed(platform: Platform, line: Sequence[str]) -> float:
    pinned = ["taskset", "--cpu-list", str(platform.workshop.cores.server), *line]
    before = time.perf_counter()
    subprocess.run(pinned, env=clean_environment(), check=True)
    return time.perf_counter() - before
