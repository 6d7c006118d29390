"""CPython builds that `uv python install` can download."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import uv

from homeport.model.errors import Unavailable
from homeport.runtimes.ids import OLDEST
from homeport.runtimes.interpreters import SearchPlace

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_CAUSE = re.compile(r"^(?:caused by|cause|error):\s*", re.IGNORECASE)
_LIST_SECONDS = 20
_INSTALL_SECONDS = 600


class Downloads:
    """Downloads with uv into one folder of ours; mirrors are uv's own settings (`UV_PYTHON_INSTALL_MIRROR` …)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> SearchPlace:
        """Where downloaded interpreters are found afterwards."""
        return SearchPlace(source="download", folder=self._folder, pattern="*/bin/python3.*")

    def available(self, *, every_version: bool = False) -> tuple[tuple[int, int, int], ...]:
        """Return the versions that can be downloaded, the newest of each minor or every one; none if uv is silent."""
        line = [
            uv.find_uv_bin(),
            "python",
            "list",
            "--only-downloads",
            "--output-format",
            "json",
            "--no-config",
        ]
        line += ["--all-versions"] if every_version else []
        try:
            done = subprocess.run(line, capture_output=True, check=True, timeout=_LIST_SECONDS, cwd="/")
            builds = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            return ()
        versions = (
            _version(build["version"])
            for build in builds
            if build["implementation"] == "cpython" and build["variant"] == "default"
        )
        return tuple(sorted({version for version in versions if version and version[:2] >= OLDEST}))

    def install(self, version: tuple[int, int, int], *, progress: Callable[[str, float], None]) -> None:
        """Download and unpack one build. Raises `Unavailable` with uv's reason."""
        text = ".".join(map(str, version))
        progress(f"Downloading CPython {text}", 0.0)
        self._folder.mkdir(parents=True, exist_ok=True)
        line = (uv.find_uv_bin(), "python", "install", "--no-progress", "--no-bin", "--no-config")
        try:
            done = subprocess.run(
                (*line, "--install-dir", self._folder, f"cpython-{text}"),
                capture_output=True,
                text=True,
                timeout=_INSTALL_SECONDS,
                cwd="/",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"CPython {text} could not be downloaded: {error}.") from error
        if done.returncode != 0:
            raise Unavailable(
                f"CPython {text} could not be downloaded ({_reason(done.stderr)}); "
                "choose a Python marked installed in: homeport extension list."
            )


def _version(text: str) -> tuple[int, int, int] | None:
    match = _VERSION.fullmatch(text)  # a pre-release has more behind it
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _reason(errors: str) -> str:
    """The innermost cause, which uv prints last."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return _CAUSE.sub("", lines[-1]).rstrip(".") if lines else "no reason was given"
