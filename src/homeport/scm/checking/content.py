"""Reads a site's content as the platform would, and collects what will not work (`homeport check`)."""

import contextlib
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from homeport.model.finding import Finding, Severity
from homeport.model.site import InstalledRuntime
from homeport.scm.atomic_file import read_small
from homeport.scm.checking.packages import (
    check_installed_wheel,
    check_requirements,
    check_sdist,
    check_wheel_name,
    extra_packages,
    required_names,
    requirement_lines,
)
from homeport.scm.checking.places import configured_places
from homeport.scm.checking.python_sources import WINDOWS_MODULES, check_source
from homeport.scm.content import MOST_FILES, Content, ContentFile, folder_names, list_content, sandbox_lister
from homeport.scm.deployments.build_note import distributions, read_build_note
from homeport.scm.deployments.hosting import SitePython, compile_content, packages_of, scm_site_findings
from homeport.scm.deployments.requirements import SOURCES, UnreadableRequirements, read_required
from homeport.webconfig import ConfigurationTree, HostingPlan, PoolKind, SiteFacts, compile_plan
from homeport.webconfig.detection import search
from homeport.webconfig.shadowing import shadowed_handlers
from homeport.windows.interpreters import folder_version

MOST_SOURCE_BYTES = 4 * 1024 * 1024
"""Python source that is read, all files together."""
MOST_FINDINGS = 300
_METADATA_BYTES = 1024 * 1024
_SHOWN_NAMES = 12
_ARCHIVE_BYTES = 64 * 1024 * 1024
_MOST_MEMBERS = 5000
_REQUIREMENTS = re.compile(r"(?i)requirements[\w.-]*\.txt")
_SDIST = re.compile(r"(?i)[\w.]+-\d[\w.]*\.(?:tar\.gz|tgz|tar\.bz2|zip)")
_EXTENSION = re.compile(r"homeport extension add \S+ (\S+)")
_ASSUMED = (3, 11, 0)
_ANY_PYTHON = "python3110x64"
"""Stands for the Python that a detected application will have; any would do."""
_INCLUDED = re.compile(r"(?:-r|-c|--requirement|--constraint)[ \t=]*([^\s=].*)")
_PYTHON = re.compile(r"(?:^|/)python[\d.]*$")
_PACKAGE = re.compile(r"(?m)^[ \t]*([A-Za-z0-9][A-Za-z0-9._-]*)")
_ORDER = (Severity.ERROR, Severity.WARNING, Severity.INFO)


def check_folder(folder: Path, *, name: str = "SITE", version: tuple[int, ...] = ()) -> list[Finding]:
    """Check a folder as the content of a site that has every Python its web.config names.

    `version` is the Python to judge packages by; empty: the one that web.config names. Errors first.
    """
    content = list_content(folder)
    tree = ConfigurationTree(files=content.configuration())
    detected = search(content.names, content.read, {})
    facts = SiteFacts(
        site=name,
        list_folder=_with_requirements(content, sandbox_lister({"/home/site/wwwroot": folder})),
        detect=lambda: detected,
    )
    bare = compile_plan(tree, facts)
    wanted = dict.fromkeys(match[1] for each in bare.findings if (match := _EXTENSION.search(each.remedy)))
    runtimes = tuple(_assumed(each) for each in (wanted or ([_ANY_PYTHON] if detected else [])))
    plan = compile_plan(tree, replace(facts, runtimes=runtimes)) if runtimes else bare
    needs = [_needs_extension(each, bare, name) for each in wanted]
    judged = version or next((folder_version(each.folder) for each in runtimes), ()) or _ASSUMED
    return _sorted([*needs, *_findings(content, plan, version=judged, installed=None, python=None)])


def check_site(
    home: Path,
    *,
    name: str,
    app_settings: Mapping[str, str],
    staged: Callable[[Path], Path] = lambda folder: folder,
) -> list[Finding]:
    """Check a site in its sandbox: its content, configuration and installed packages. Errors first.

    `staged` gives the folder that is about to take the place of the content's, or of a Python's.
    """
    content = list_content(staged(home / "site/wwwroot"))
    plan, pythons = compile_content(home, content, site=name, app_settings=app_settings, staged=staged)
    return check_compiled(home, content, plan, pythons, name=name, app_settings=app_settings, staged=staged)


def check_compiled(
    home: Path,
    content: Content,
    plan: HostingPlan,
    pythons: Sequence[SitePython],
    *,
    name: str,
    app_settings: Mapping[str, str],
    staged: Callable[[Path], Path] = lambda folder: folder,
) -> list[Finding]:
    """Check what `compile_content` made of a site's content, as `check_site` does."""
    used = plan.runtime_folders
    chosen = next((each for each in pythons if each.folder.name in used), pythons[0] if pythons else None)
    packages = packages_of(chosen, plan, home=home, staged=staged) if chosen else None
    version = chosen.version if chosen and len(chosen.version) > 1 else _ASSUMED
    python = (chosen.folder.name, staged(chosen.folder)) if chosen else None
    below_scm = scm_site_findings(home, site=name, app_settings=app_settings)
    return _sorted(
        [*_findings(content, plan, version=version, installed=packages, python=python), *below_scm]
    )


def _findings(
    content: Content,
    plan: HostingPlan,
    *,
    version: tuple[int, ...],
    installed: Path | None,
    python: tuple[str, Path] | None,
) -> Iterator[Finding]:
    yield from plan.findings
    yield from shadowed_handlers(plan)
    yield from _check_programs(content, plan, python)
    yield from _check_paths(content, plan, installed)
    yield from _check_names(content, version)
    yield from _check_sources(content)
    yield from _check_requirement_files(content, version, installed)
    if content.cut_off:
        yield Finding(
            severity=Severity.INFO,
            code="check.cut-off",
            message=f"The content has more than {MOST_FILES} files; the others were not looked at.",
        )


def _with_requirements(
    content: Content, list_folder: Callable[[str], list[str] | None]
) -> Callable[[str], list[str] | None]:
    """Let what requirements.txt names stand for the packages of a Python that is not there yet."""

    def listed(path: str) -> list[str] | None:
        if not path.endswith("/site-packages"):
            return list_folder(path)
        return _PACKAGE.findall((content.read("requirements.txt") or b"").decode("utf-8", "replace"))

    return listed


def _assumed(folder: str) -> InstalledRuntime:
    version = ".".join(map(str, folder_version(folder)))
    return InstalledRuntime(folder=folder, id=folder, version=version, build="", base="")


def _needs_extension(identity: str, plan: HostingPlan, name: str) -> Finding:
    source = next((each for each in plan.findings if f" {identity}" in each.remedy), None)
    return Finding(
        severity=Severity.INFO,
        code="check.needs-extension",
        message=f"The site needs the Python of the extension {identity}.",
        file=source.file if source else "",
        line=source.line if source else 0,
        remedy=f"homeport extension add {name} {identity}",
    )


def _sorted(findings: Iterator[Finding] | Sequence[Finding]) -> list[Finding]:
    unique = list(dict.fromkeys(findings))
    ordered = sorted(unique, key=lambda each: (_ORDER.index(each.severity), each.file, each.line))
    return ordered[:MOST_FINDINGS]


# Paths ------------------------------------------------------------------------------------------------------------


def _check_programs(
    content: Content, plan: HostingPlan, python: tuple[str, Path] | None
) -> Iterator[Finding]:
    """Look for the programs and scripts of command lines; `python` is the name and the folder of the site's Python."""
    places = configured_places(plan, content)
    programs = {pool.id: pool.program for pool in plan.http_pools}
    programs |= {pool.id: pool.program for pool in plan.pools if pool.kind is PoolKind.PROGRAM}
    for pool, program in programs.items():
        file, line = places.get(pool, ("web.config", 0))
        for path in (*program, *_script(program)):
            if _inside(path) is not None and not _exists(content, path):
                yield replace(_missing_program(path), file=file, line=line)
            elif _is_missing_in(python, path):
                yield replace(_missing_in_python(path), file=file, line=line)


def _script(program: Sequence[str]) -> list[str]:
    """Give the script that Python is to run where it is named relative to the content folder, else nothing."""
    named = next((part for part in program[1:] if not part.startswith("-") or part in {"-m", "-c"}), "")
    relative = named.endswith(".py") and not named.startswith("/")
    return [f"/home/site/wwwroot/{named}"] if relative and _PYTHON.search(program[0]) else []


def _is_missing_in(python: tuple[str, Path] | None, path: str) -> bool:
    if python is None or not path.startswith(f"/home/{python[0]}/") or _PYTHON.search(path):
        return False
    return not os.path.lexists(python[1] / path.removeprefix(f"/home/{python[0]}/"))  # links lead out of here


def _missing_in_python(path: str) -> Finding:
    name = path.rpartition("/")[2]
    return _setting(
        Severity.ERROR,
        "missing-program",
        f"The command line of a process names {path}, which the site's Python does not have.",
        f"Add what brings '{name}' to requirements.txt, or correct processPath or scriptProcessor.",
    )


def _check_paths(content: Content, plan: HostingPlan, installed: Path | None) -> Iterator[Finding]:
    """Look for what settings name: folders of PYTHONPATH, the handler's module."""
    places = configured_places(plan, content)
    for pool in plan.pools:
        if pool.kind is not PoolKind.WSGI:
            continue
        settings = dict(pool.app_settings)
        paths = [path for path in settings.get("PYTHONPATH", "").split(";") if path]
        for path in paths:
            if _inside(path) is not None and not _exists(content, path):
                yield _setting(
                    Severity.WARNING,
                    "missing-folder",
                    f"PYTHONPATH names {path}, which does not exist.",
                    "Create it, or correct the setting; letter case counts where two spellings exist.",
                    line=places.get("PYTHONPATH", ("", 0))[1],
                )
        handler = settings.get("WSGI_HANDLER", "")
        if handler:
            _, line = places.get("WSGI_HANDLER", ("", 0))
            found = _check_handler(content, handler, paths, installed)
            yield from (replace(each, line=line) for each in found)


def _missing_program(path: str) -> Finding:
    return _setting(
        Severity.ERROR,
        "missing-program",
        f"The command line of a process names {path}, which does not exist.",
        "Deploy the file, or correct processPath, arguments or scriptProcessor.",
    )


def _check_handler(
    content: Content, handler: str, paths: Sequence[str], installed: Path | None
) -> Iterator[Finding]:
    """Find the module of WSGI_HANDLER beside the application or on its PYTHONPATH (IIS reference §3.5)."""
    top = re.split(r"[.(]", handler.strip(), maxsplit=1)[0]
    if not top.isidentifier():
        yield _setting(
            Severity.ERROR,
            "wsgi-handler",
            f"WSGI_HANDLER is '{handler[:120]}', which names no Python object.",
            "Write module.object, or module.function() for one that is called first.",
        )
        return
    folders = ["/home/site/wwwroot", *paths]
    if any(_inside(path) is None for path in paths):
        return  # a folder outside the content may hold it
    if any(_is_module(content, folder, top) for folder in folders) or _is_installed(installed, top):
        return
    known = sorted(
        {each.name[:-3] for each in content.entries if each.path.endswith(".py") and "/" not in each.path}
    )
    near = next((each for each in known if each.casefold() == top.casefold()), "")
    remedy = (
        f"Did you mean '{near}'? Letter case counts."
        if near
        else f"Found beside web.config: {', '.join(known[:8]) or 'no Python file'}."
    )
    yield _setting(
        Severity.ERROR if installed is not None else Severity.WARNING,
        "missing-handler",
        f"WSGI_HANDLER is '{handler[:120]}', and there is no module '{top}' in the content or on PYTHONPATH.",
        remedy if near or installed is None else f"{remedy} Correct the setting, or install what brings it.",
    )


def _inside(path: str) -> str | None:
    """Return the part of a sandbox path below the content folder, None for one that lies elsewhere."""
    clean = path.rstrip("/")
    root = "/home/site/wwwroot"
    return clean[len(root) :].lstrip("/") if clean == root or clean.startswith(root + "/") else None


def _exists(content: Content, path: str) -> bool:
    return (content.root / (_inside(path) or "")).exists()


def _is_module(content: Content, folder: str, name: str) -> bool:
    base = content.root / (_inside(folder) or "")
    return (base / name).is_dir() or any((base / f"{name}{end}").exists() for end in (".py", ".pyc", ".so"))


def _is_installed(installed: Path | None, name: str) -> bool:
    if installed is None:
        return False
    found = {each.partition(".")[0] for each in folder_names(installed) or ()}
    return name in found or name in _standard_library()


def _standard_library() -> frozenset[str]:
    import sys

    return sys.stdlib_module_names


def _setting(severity: Severity, code: str, message: str, remedy: str, *, line: int = 0) -> Finding:
    return Finding(
        severity=severity,
        code=f"check.{code}",
        message=message,
        file="web.config",
        line=line,
        remedy=remedy,
    )


# Files ------------------------------------------------------------------------------------------------------------


def _check_names(content: Content, version: tuple[int, ...]) -> Iterator[Finding]:
    """Judge files by their names and what packages say of themselves."""
    libraries: dict[str, list[str]] = {}
    environments = tuple(
        f"{entry.path[: -len('Scripts/python.exe')]}"
        for entry in content.entries
        if entry.path.lower().endswith("/scripts/python.exe")
    )
    yield from (_windows_environment(f"{folder}Scripts/python.exe") for folder in environments)
    for entry in content.entries:
        if environments and entry.path.startswith(environments):
            continue  # nothing in there is used
        lower = entry.name.lower()
        if lower.endswith(".whl"):
            yield from check_wheel_name(entry.name, file=entry.path, version=version)
        elif lower == "wheel" and entry.path.lower().endswith(".dist-info/wheel"):
            data = content.read(entry.path)
            name = entry.path.split("/")[-2].removesuffix(".dist-info")
            if data is not None:
                yield from check_installed_wheel(data, file=entry.path, name=name, version=version)
        elif lower.endswith(".pyd"):
            libraries.setdefault(entry.path.rpartition("/")[0], []).append(entry.name)
        elif not entry.packaged and _SDIST.fullmatch(entry.name):
            yield from check_sdist(_members(content, entry), file=entry.path)
    for folder, names in sorted(libraries.items())[:20]:
        yield _windows_libraries(folder, names)


def _windows_environment(path: str) -> Finding:
    folder = path.rpartition("/")[0].rpartition("/")[0]
    return Finding(
        severity=Severity.WARNING,
        code="check.windows-environment",
        message=f"'{folder or '.'}' is a virtual environment made on Windows; its programs cannot run here.",
        file=path,
        remedy="Leave it out, and name what it holds in requirements.txt.",
    )


def _windows_libraries(folder: str, names: list[str]) -> Finding:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Finding(
        severity=Severity.ERROR,
        code="check.windows-library",
        message=f"{names[0]}{more} in '{folder or '.'}' is compiled for Windows; importing it fails here.",
        file=f"{folder}/{names[0]}".lstrip("/"),
        remedy="Install the package by requirements.txt, which brings the one for Linux.",
    )


def _members(content: Content, entry: ContentFile) -> list[str]:
    """Name the members of a source distribution; none of an archive that is too large or unreadable."""
    path = content.root / entry.path
    with contextlib.suppress(OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError):
        known = path.lstat()
        if not stat.S_ISREG(known.st_mode) or known.st_size > _ARCHIVE_BYTES:
            return []
        if entry.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()[:_MOST_MEMBERS]
        else:
            with tarfile.open(path) as archive:
                names = [member.name for member, _ in zip(archive, range(_MOST_MEMBERS), strict=False)]
        return (
            names if any(name.endswith(("PKG-INFO", "setup.py", "pyproject.toml")) for name in names) else []
        )
    return []


def _check_sources(content: Content) -> Iterator[Finding]:
    left = MOST_SOURCE_BYTES
    own = _own_modules(content)
    for entry in content.entries:
        if entry.packaged or not entry.name.endswith(".py") or left <= 0:
            continue
        data = content.read(entry.path)
        if data is None:
            continue
        left -= len(data)
        for finding in check_source(data, file=entry.path):
            # A file of the application may have the name of a module of Windows.
            if not any(f"'{name}' exists on Windows only" in finding.message for name in own):
                yield finding


def _own_modules(content: Content) -> set[str]:
    names = {entry.name.removesuffix(".py") for entry in content.entries if entry.name.endswith(".py")}
    folders = {part for entry in content.entries for part in entry.path.split("/")[:-1]}
    return (names | folders) & WINDOWS_MODULES


# Packages ---------------------------------------------------------------------------------------------------------


def _check_requirement_files(
    content: Content, version: tuple[int, ...], installed: Path | None
) -> Iterator[Finding]:
    lines: list[str] = []
    for entry in content.entries:
        if entry.packaged or not (entry.path in SOURCES or _REQUIREMENTS.fullmatch(entry.name)):
            continue
        text = _text(content.read(entry.path))
        with contextlib.suppress(UnreadableRequirements):
            text = "\n".join(read_required(entry.name, text).lines)
        lines += [line for _, line in requirement_lines(text)]
        if entry.name.lower() == "requirements.txt":
            yield from check_requirements(text, file=entry.path, version=version)
            yield from _check_included(content, text, file=entry.path)
    if installed is not None:
        yield from _check_installed(installed, lines, version)


def _check_included(content: Content, text: str, *, file: str) -> Iterator[Finding]:
    """Look for the files that a requirements file takes in; pip installs nothing where one is missing."""
    folder = content.root / file.rpartition("/")[0]
    for line, written in requirement_lines(text):
        match = _INCLUDED.fullmatch(written)
        if match is not None and "://" not in match[1] and not (folder / match[1]).is_file():
            yield Finding(
                severity=Severity.ERROR,
                code="packages.missing-file",
                message=f"It takes in '{match[1][:120]}', which does not exist; installing {file} fails here.",
                file=file,
                line=line,
                remedy="Deploy the file too, or remove the line.",
            )


def _check_installed(installed: Path, lines: Sequence[str], version: tuple[int, ...]) -> Iterator[Finding]:
    from packaging.utils import canonicalize_name

    known = installed_distributions(installed)
    extra = extra_packages(known, required_names(lines), version=version)
    python = next((each for each in installed.parents if (each / "pyvenv.cfg").is_file()), installed)
    there = set(distributions(installed)).intersection(read_build_note(python).brought)
    brought = {canonicalize_name(name.partition("-")[0]) for name in there}
    by_builds = [name for name in extra if name in brought]
    if by_builds:
        yield Finding(
            severity=Severity.INFO,
            code="packages.no-longer-required",
            message=f"Installed into {python.name} by earlier deployments, and in no requirements file now: {_some(by_builds)}.",
            remedy="Uninstall what the site does not use (python.exe -m pip uninstall …), and add what it does to requirements.txt.",
        )
    by_hand = [name for name in extra if name not in brought]
    if by_hand:
        yield Finding(
            severity=Severity.INFO,
            code="packages.only-in-extension",
            message=f"Installed by hand into {python.name} and in no requirements file: {_some(by_hand)}.",
            remedy="Add what the site needs to requirements.txt: another machine, or a renewed Python, has only that.",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def installed_distributions(packages: Path) -> dict[str, list[str]]:
    """Return what is installed in a site-packages folder: canonical name → what its metadata requires."""
    from packaging.utils import canonicalize_name

    found: dict[str, list[str]] = {}
    for name in (folder_names(packages) or [])[:5000]:
        if name.endswith(".dist-info"):
            text = _text(read_small(packages / name / "METADATA", limit=_METADATA_BYTES)).partition("\n\n")[0]
            distribution = re.search(r"(?m)^Name:\s*(\S+)", text)
            if distribution:
                found[canonicalize_name(distribution[1])] = re.findall(r"(?m)^Requires-Dist:\s*(.+)$", text)
    return found


def _text(data: bytes | None) -> str:
    if data is None:
        return ""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")
