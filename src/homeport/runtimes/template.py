"""The runtime folder of a site as a template: what App Service's package laid out, for a Python of this machine.

    python.exe, pythonw.exe    start bin/python (a link would hide the folder's pyvenv.cfg from the interpreter)
    wfastcgi.py                says that the platform's responder replaces it
    pip, pip.bat               pip, for a POSIX line and for cmd.exe
    pyvenv.cfg, bin/, lib/     a virtual environment over the interpreter's own prefix
    Scripts → bin, Lib → lib/python3.X

IIS reference §7.2. Paths of the folder itself are written as `PLACEHOLDER` and filled in by `place`.
"""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import uv

from homeport.model.errors import Unavailable
from homeport.runtimes import site_wfastcgi
from homeport.runtimes.gallery import GalleryEntry

PLACEHOLDER = "@HOMEPORT-RUNTIME@"
FILLED_IN = ("python.exe", "pythonw.exe", "pip.bat", "bin")
"""The files, and the folder of files, in which `PLACEHOLDER` stands."""
_LAYOUT_VERSION = "1"
_PACKAGES = ("pip", "setuptools", "wheel", "certifi")
_WFASTCGI_DIST = f"wfastcgi-{site_wfastcgi.__version__}.dist-info"
_INSTALL_SECONDS = 120
_START = f'#!/bin/sh\nexec "{PLACEHOLDER}/bin/python" "$@"\n'
_BATCH = f"@{PLACEHOLDER}/bin/python -m pip %*\n"
_SCRIPT = """\
#!{python}
import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""


def template_stamp(entry: GalleryEntry) -> str:
    """Return what tells one template from another: its layout, its texts and the interpreter below it."""
    parts = (_LAYOUT_VERSION, _wfastcgi_text(), _SCRIPT, _START, _BATCH, entry.executable, entry.base)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def build_template(entry: GalleryEntry, folder: Path, *, progress: Callable[[str, float], None]) -> None:
    """Fill `folder` (empty) with the template. Raises `Unavailable` when pip can be had nowhere."""
    minor = ".".join(entry.version.split(".")[:2])
    packages = folder / f"lib/python{minor}/site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    _write_environment(folder, entry, minor=minor)
    progress(f"Fetching pip for Python {minor}", 0.1)
    _install_packages(folder, packages, minor=minor)
    _write_scripts(folder, packages, minor=minor)
    _write_wfastcgi(folder, packages)
    progress(f"Compiling pip for Python {minor}", 0.5)
    _compile(entry, packages)


def _write_environment(folder: Path, entry: GalleryEntry, *, minor: str) -> None:
    program = Path(entry.executable)
    (folder / "pyvenv.cfg").write_text(
        f"home = {program.parent}\ninclude-system-site-packages = false\nversion = {entry.version}\n"
    )
    links = {
        "bin/python": str(program),
        "bin/python3": "python",
        f"bin/python{minor}": "python",
        "Scripts": "bin",
        "Lib": f"lib/python{minor}",
        "lib64": "lib",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)


def _install_packages(folder: Path, packages: Path, *, minor: str) -> None:
    """Install the newest pip that serves this minor version; offline, the one that the interpreter brings."""
    # uv resolves for a version that is not the running one, and is quicker than an old pip upgrading itself.
    line = (
        uv.find_uv_bin(),
        "pip",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        "--python",
        sys.executable,
    )
    fetched = _run((*line, "--python-version", minor, "--target", packages, *_PACKAGES), folder)
    if fetched is None:
        return
    bundled = _run((folder / "bin/python", "-m", "ensurepip", "--default-pip"), folder)
    if bundled is not None:
        raise Unavailable(
            f"pip for Python {minor} could neither be fetched ({fetched}) nor is it part of the interpreter "
            f"({bundled}); check the machine's network and try again."
        )


def _run(line: tuple[str | Path, ...], folder: Path) -> str | None:
    """Run a command; None when it went well, else the last line it wrote."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=_INSTALL_SECONDS, cwd=folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = [text.strip() for text in (done.stderr or done.stdout).splitlines() if text.strip()]
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"


def _write_scripts(folder: Path, packages: Path, *, minor: str) -> None:
    """Write the programs ourselves: those of the installer know neither the site's folder nor its Python."""
    for path in (
        *(packages / "bin").glob("*"),
        *(folder / "bin").glob("[!p]*"),
        *(folder / "bin").glob("pip*"),
    ):
        path.unlink()
    if (packages / "bin").is_dir():
        (packages / "bin").rmdir()
    pip = _script("pip._internal.cli.main", "main")
    for name in ("pip", "pip3", f"pip{minor}"):
        _write_program(folder / "bin" / name, pip)
    for name in ("wfastcgi-enable", "wfastcgi-disable"):
        _write_program(folder / "bin" / name, _script("wfastcgi", name.partition("-")[2]))
        (folder / "bin" / f"{name}.exe").symlink_to(name)
    if (packages / "wheel/_commands").is_dir() or (packages / "wheel/cli").is_dir():
        module = "wheel._commands" if (packages / "wheel/_commands").is_dir() else "wheel.cli"
        _write_program(folder / "bin/wheel", _script(module, "main"))
    (folder / "bin/pip.exe").symlink_to("pip")
    for record in packages.glob("*.dist-info/RECORD"):
        record.write_text(_place_scripts(record.read_text()))
    (folder / "pip").symlink_to("bin/pip")
    for name, text in {"python.exe": _START, "pythonw.exe": _START, "pip.bat": _BATCH}.items():
        _write_program(folder / name, text)


def _place_scripts(record: str) -> str:
    """Point the lines of programs to where they are, so that pip can replace and remove them."""
    return "".join(
        f"../../../{line.partition(',')[0]},,\n" if line.startswith("bin/") else f"{line}\n"
        for line in record.splitlines()
    )


def _script(module: str, function: str) -> str:
    return _SCRIPT.format(python=f"{PLACEHOLDER}/bin/python", module=module, function=function)


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _write_wfastcgi(folder: Path, packages: Path) -> None:
    text = _wfastcgi_text()
    (folder / "wfastcgi.py").write_text(text)
    (packages / "wfastcgi.py").write_text(text)
    dist = packages / _WFASTCGI_DIST
    dist.mkdir()
    files: Mapping[str, str] = {
        "METADATA": f"Metadata-Version: 2.1\nName: wfastcgi\nVersion: {site_wfastcgi.__version__}\n"
        "Summary: Stands for wfastcgi; Homeport's own responder does its work\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: homeport\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "INSTALLER": "homeport\n",
        "top_level.txt": "wfastcgi\n",
        "entry_points.txt": "[console_scripts]\nwfastcgi-enable = wfastcgi:enable\nwfastcgi-disable = wfastcgi:disable\n",
    }
    for name, content in files.items():
        (dist / name).write_text(content)
    installed = ["wfastcgi.py", *(f"{_WFASTCGI_DIST}/{name}" for name in (*files, "RECORD"))]
    installed += [
        f"../../../bin/wfastcgi-{verb}{end}" for verb in ("enable", "disable") for end in ("", ".exe")
    ]
    (dist / "RECORD").write_text("".join(f"{path},,\n" for path in installed))


def _wfastcgi_text() -> str:
    return Path(site_wfastcgi.__file__).read_text()


def _compile(entry: GalleryEntry, packages: Path) -> None:
    # Some packages carry files that are not for this version: those stay uncompiled, and nothing imports them.
    line = (
        entry.executable,
        "-I",
        "-m",
        "compileall",
        "-q",
        "-j",
        "0",
        packages / "pip",
        packages / "certifi",
    )
    subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
