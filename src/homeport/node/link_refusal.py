"""Refusing symbolic links in what nginx serves, by the mount itself where the kernel can (Linux 5.10, as root).

A site could otherwise have nginx serve whatever nginx may read. `disable_symlinks` does the same by opening every
folder on the way for each file: measured, that doubles what a small file costs.
"""

import os
import subprocess
import tempfile
from pathlib import Path

_REMOUNT = 'mount -o remount,bind,nosuid,nodev,nosymfollow "$1"'
_RUN = f'{_REMOUNT} && shift && exec "$@"'
"""What cannot be mounted so must not be served: the program is not run then."""
_PROBE = f'{_REMOUNT} && test -e "$1/file" && ! test -e "$1/link"'
_PROBE_SECONDS = 20


def without_links(folder: Path, program: tuple[str, ...]) -> tuple[str, ...]:
    """Give the command line that runs a program once no link in the mount point `folder` can be followed."""
    return ("sh", "-c", _RUN, "sh", str(folder), *program)


def mounts_refuse_links(folder: Path) -> bool:
    """Find out, in a mount namespace of its own and an empty folder below `folder`, whether this machine can do that."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory(dir=folder) as probe:
        (Path(probe) / "file").touch()
        (Path(probe) / "link").symlink_to("file")
        line = (
            "bwrap",
            "--die-with-parent",
            "--dev-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--bind",
            probe,
            probe,
        )
        try:
            tried = subprocess.run(
                (*line, "--", "sh", "-c", _PROBE, "sh", probe),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return tried.returncode == 0
