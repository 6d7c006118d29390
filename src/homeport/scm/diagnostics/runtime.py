"""`/api/diagnostics/runtime`: what can run here (Kudu reference §5.8)."""

import asyncio
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.deployments.hosting import installed_pythons
from homeport.scm.http.answers import json_answer

_SECONDS = 10
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")


class RuntimeEndpoint:
    """Tells the versions of the programs that a site finds."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def read(self, _request: Request) -> Response:
        """GET: Node as Kudu lists it, no .NET, and the site's Pythons, which Kudu leaves out."""
        return json_answer(await asyncio.to_thread(self._versions))

    def _versions(self) -> dict[str, Any]:
        node, npm = _version_of("node"), _version_of("npm")
        return {
            "nodejs": [{"version": node, "npm": npm or ""}] if node else [],
            "dotnetcore32": {"shared": {}, "sdk": []},
            "dotnetcore64": {"shared": {}, "sdk": []},
            "aspnetcoremodule": {},
            "python": [
                {
                    "version": ".".join(str(number) for number in python.version),
                    "path": f"D:\\home\\{python.folder.name}",
                }
                for python in installed_pythons(self._home)
            ],
            "system": {
                "os_name": platform.system(),
                "os_build_lab_ex": platform.release(),
                "cores": os.cpu_count() or 1,
            },
        }


def _version_of(program: str) -> str | None:
    if shutil.which(program) is None:
        return None
    try:
        said = subprocess.run(
            (program, "--version"), capture_output=True, text=True, timeout=_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    match = _VERSION.match(said.strip())
    return match[1] if match else None
