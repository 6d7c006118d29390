"""The platform's own code inside sandboxes, at a path that no site's folder can hide.

The checkout may lie below /tmp or /home, which in a sandbox are the site's own; so the interpreter's prefix keeps its
path (it is compiled into it), and our packages and our code appear below /opt/homeport.
"""

import sys
from pathlib import Path

import lxml

import homeport
from homeport.model.errors import Unsupported
from homeport.node.sandbox import Mount

TOOLS = "/opt/homeport/bin"
"""Where a sandbox sees uv."""
CONTROL_SOCKET = "/opt/homeport/control.sock"
"""Where the sandbox of an SCM app sees the socket to the agent."""
_CODE = "/opt/homeport/platform"
_PACKAGES = "/opt/homeport/packages"
_OF_THE_SITE = ("/home", "/tmp", "/local", "/run", "/dev", "/proc")
_BOOT = (
    f"import runpy, sys; sys.path[:0] = ['{_CODE}', '{_PACKAGES}']; module = sys.argv[1]; del sys.argv[0]; "
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


def platform_program(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of the platform in a sandbox that has `platform_mounts`.

    Isolated: neither the site's environment nor its current folder decides what is imported.
    """
    python = Path(sys.executable).resolve()
    return (str(python), "-I", "-B", "-c", _BOOT, module, *arguments)


def platform_mounts() -> tuple[Mount, ...]:
    """Return what a process that runs the platform's own code needs to see. Raises `Unsupported`."""
    base = Path(sys.base_prefix).resolve()
    check_base(base)
    uv = Path(sys.prefix) / "bin/uv"
    return (
        *base_mounts({str(base)}),
        Mount(source=Path(lxml.__file__).parents[1], target=_PACKAGES),
        Mount(source=Path(homeport.__file__).parent, target=f"{_CODE}/homeport"),
        *((Mount(source=uv, target=f"{TOOLS}/uv"),) if uv.exists() else ()),
    )


def base_mounts(bases: set[str]) -> tuple[Mount, ...]:
    """Return the mounts of interpreters' prefixes, each at its own path; what every sandbox has is left out."""
    return tuple(Mount(source=Path(base), target=base) for base in sorted(bases - {"/usr", "/"}))


def check_base(base: Path) -> None:
    """Raise `Unsupported` for an interpreter whose prefix would lie inside a folder of the site itself."""
    inside = next((folder for folder in _OF_THE_SITE if base.is_relative_to(folder)), None)
    if inside is not None:
        raise Unsupported(
            f"The Python at {base} cannot be shown to sites, whose sandbox has a {inside} of its own; "
            "use one that is installed below /usr, /opt or /root.",
            code="PythonInTheWay",
        )
