"""Packages that a site brings or asks for, and whether they fit the Python that it runs on. Nothing is looked up."""

import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag, platform_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from homeport.model.finding import Finding, Severity

WINDOWS_DISTRIBUTIONS = frozenset(
    {
        "comtypes",
        "pypiwin32",
        "pyreadline",
        "pywin32",
        "pywinpty",
        "win-inet-pton",
        "windows-curses",
        "wmi",
        "winshell",
    }
)
"""Well-known distributions that have no version for Linux."""
SEEDED = frozenset({"certifi", "pip", "setuptools", "wfastcgi", "wheel"})
"""What each Python of a site comes with."""
_SOURCE = re.compile(r"(?i)\.(?:tar\.gz|tgz|tar\.bz2|zip)(?:#|\?|\Z)")
_OPTION = re.compile(r"\s--?[a-z]")
_ELSEWHERE = re.compile(r"(?i)[a-z]:[\\/]|\\\\|file:/+(?!home/)")
_COMPILED = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".rs", ".f", ".f90")
MOST_REQUIREMENTS = 2000
"""Lines of one requirements file."""

Version = tuple[int, ...]


@lru_cache(maxsize=16)
def fitting_tags(version: Version) -> frozenset[Tag]:
    """Return the tags of wheels that CPython of this version takes on this machine."""
    platforms = list(platform_tags())
    return frozenset(
        [
            *cpython_tags(version[:2], platforms=platforms),
            *compatible_tags(version[:2], interpreter=f"cp{version[0]}{version[1]}", platforms=platforms),
        ]
    )


def check_wheel_name(name: str, *, file: str, version: Version) -> list[Finding]:
    """Say whether a wheel can be installed into this Python, and if not which one could."""
    try:
        distribution, number, _, tags = parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        return [_wheel(Severity.WARNING, f"'{name}' is no wheel by its name: {error}.", file=file)]
    return _fit(f"The wheel {name}", f"{distribution} {number}", tags, file=file, version=version)


def check_installed_wheel(metadata: bytes, *, file: str, name: str, version: Version) -> list[Finding]:
    """Say whether a package that lies unpacked in the site's content was built for this Python (its WHEEL file)."""
    lines = metadata[:64_000].decode("utf-8", "replace").splitlines()
    tags: set[Tag] = set()
    for line in lines:
        if line.lower().startswith("tag:"):
            tags |= parse_tag(line.partition(":")[2].strip())
    return _fit(f"The package {name} in this folder", name, tags, file=file, version=version) if tags else []


def _fit(what: str, distribution: str, tags: Iterable[Tag], *, file: str, version: Version) -> list[Finding]:
    given = sorted(map(str, tags))
    if not given or fitting_tags(version) & frozenset(tags):
        return []
    shown = given[0] if len(given) == 1 else f"{given[0]} and {len(given) - 1} more"
    number = ".".join(map(str, version[:2]))
    return [
        _wheel(
            Severity.ERROR,
            f"{what} is for {shown}, which Python {number} on Linux does not take.",
            file=file,
            remedy=f"Take {distribution} as {_wanted(version)}, or name it in requirements.txt.",
        )
    ]


def _wanted(version: Version) -> str:
    """Name the tags to look for: the machine's own, and the one that fits everywhere."""
    interpreter = f"cp{version[0]}{version[1]}"
    abi = f"{interpreter}m" if version[:2] < (3, 8) else interpreter
    machine = next(
        (tag.rpartition("linux_")[2] for tag in platform_tags() if tag.startswith("linux_")), "x86_64"
    )
    return f"{interpreter}-{abi}-manylinux…_{machine} or py3-none-any"


def _wheel(severity: Severity, message: str, *, file: str, remedy: str = "") -> Finding:
    return Finding(severity=severity, code="packages.wheel", message=message, file=file, remedy=remedy)


def source_needs_compiler(names: Iterable[str]) -> str:
    """Return the first file of a source distribution that has to be compiled, empty where none has."""
    return next((name for name in names if name.lower().endswith(_COMPILED)), "")


def check_sdist(names: Iterable[str], *, file: str) -> list[Finding]:
    """Say that a source distribution, whose members are given, needs a compiler to be installed."""
    compiled = source_needs_compiler(names)
    if not compiled:
        return []
    return [
        Finding(
            severity=Severity.WARNING,
            code="packages.needs-compiler",
            message=f"This source distribution holds code to compile ({compiled}), and a site has no compiler.",
            file=file,
            remedy="Ship a wheel of it for Linux, or name it in requirements.txt, where pip finds one.",
        )
    ]


def requirement_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a requirements file with their numbers, continued lines joined, comments left out."""
    number = 1
    held, began = "", 1
    for line in text.splitlines()[:MOST_REQUIREMENTS]:
        if not held:
            began = number
        number += 1
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        whole, held = re.sub(r"(?:^|\s)#.*", "", held + line).strip(), ""
        if whole:
            yield began, whole


def check_requirements(text: str, *, file: str, version: Version) -> list[Finding]:
    """Say which requirements cannot be met on Linux, or only by compiling; what an index has is not asked."""
    findings: list[Finding] = []
    environment = marker_environment(version)
    for line, written in requirement_lines(text):
        if written.startswith("-"):
            findings += _option(written, file=file, line=line)
            continue
        findings += _requirement(
            _OPTION.split(written)[0].strip(), environment, file=file, line=line, version=version
        )
    return findings


def _option(written: str, *, file: str, line: int) -> list[Finding]:
    name, _, value = written.replace("=", " ", 1).partition(" ")
    if name in {"-e", "--editable"}:
        if _ELSEWHERE.match(value.strip()):
            return [_on_another_computer(written, file=file, line=line)]
        return [_from_source(value.strip(), file=file, line=line)]
    if name == "--no-binary":
        message = (
            f"--no-binary {value.strip()} makes pip build from source; what has C code needs a compiler."
        )
        return [
            _note(
                Severity.WARNING,
                "needs-compiler",
                message,
                file,
                line,
                "Remove it, so that pip takes wheels.",
            )
        ]
    if re.search(r"(?i)[\s=][a-z]:[\\/]", written):
        message = f"'{written[:120]}' names a folder of Windows."
        return [
            _note(
                Severity.ERROR,
                "windows-path",
                message,
                file,
                line,
                "Name a folder of the site, relative to it.",
            )
        ]
    return []


def _requirement(
    written: str, environment: Mapping[str, str], *, file: str, line: int, version: Version
) -> list[Finding]:
    last = written.partition(" @ ")[2] or written
    address = last.partition(";")[0].strip()
    if _ELSEWHERE.match(address):
        return [_on_another_computer(written, file=file, line=line)]
    wheel = re.search(r"([^/\\]+\.whl)(?:#|\?|\Z)", address)
    if wheel:
        return [_placed(each, line) for each in check_wheel_name(wheel[1], file=file, version=version)]
    if (
        re.match(r"(?:git|hg|svn|bzr)\+", address)
        or _SOURCE.search(address)
        or address.startswith((".", "/"))
    ):
        return [_from_source(address, file=file, line=line)]
    try:
        requirement = Requirement(written)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        message = f"pip cannot read '{written[:120]}': {reason.rstrip('.')}."
        return [_note(Severity.ERROR, "requirement", message, file, line, "Correct the line.")]
    if requirement.marker is not None and not requirement.marker.evaluate(dict(environment)):
        return []
    if canonicalize_name(requirement.name) in WINDOWS_DISTRIBUTIONS:
        message = f"'{requirement.name}' exists for Windows only; installing requirements.txt fails here."
        remedy = f"Write: {written.partition(';')[0].strip()}; sys_platform == 'win32'"
        return [_note(Severity.ERROR, "windows-package", message, file, line, remedy)]
    return []


def _on_another_computer(written: str, *, file: str, line: int) -> Finding:
    message = f"'{written[:120]}' is a file on another computer."
    remedy = "Ship it with the site and name it relatively."
    return _note(Severity.ERROR, "windows-path", message, file, line, remedy)


def _placed(finding: Finding, line: int) -> Finding:
    return Finding(
        severity=finding.severity,
        code=finding.code,
        message=finding.message,
        file=finding.file,
        line=line,
        remedy=finding.remedy,
    )


def _from_source(address: str, *, file: str, line: int) -> Finding:
    message = f"'{address[:120]}' is built from source here; if it has C code, that needs a compiler, and a site has none."
    return _note(
        Severity.INFO,
        "from-source",
        message,
        file,
        line,
        "Name a wheel, or a version that an index has one of.",
    )


def _note(severity: Severity, code: str, message: str, file: str, line: int, remedy: str) -> Finding:
    return Finding(
        severity=severity, code=f"packages.{code}", message=message, file=file, line=line, remedy=remedy
    )


def marker_environment(version: Version) -> dict[str, str]:
    """Return what environment markers mean in the site's Python."""
    numbers = [*map(str, version), "0", "0"][:3]
    return {
        "implementation_name": "cpython",
        "implementation_version": ".".join(numbers),
        "os_name": "posix",
        "platform_machine": platform.machine(),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": ".".join(numbers),
        "python_version": ".".join(numbers[:2]),
        "sys_platform": "linux",
        "extra": "",
    }


def required_names(lines: Iterable[str]) -> set[str]:
    """Return the canonical names of requirements; what is no requirement is passed over."""
    names: set[str] = set()
    for line in lines:
        try:
            names.add(canonicalize_name(Requirement(_OPTION.split(line)[0].strip()).name))
        except InvalidRequirement:
            match = re.search(r"#egg=([\w.-]+)", line) or re.search(r"([\w.]+)-[^/\\]+\.whl", line)
            if match:
                names.add(canonicalize_name(match[1]))
    return names


def extra_packages(
    installed: Mapping[str, Iterable[str]], required: Iterable[str], *, version: Version
) -> list[str]:
    """Return the installed distributions that no requirement brings, by name.

    `installed` has, for each canonical name, what its metadata requires.
    """
    environment = marker_environment(version)
    reached: set[str] = set()
    pending = [*required, *SEEDED]
    while pending:
        name = pending.pop()
        if name in reached or name not in installed:
            continue
        reached.add(name)
        for text in installed[name]:
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                continue
            # An extra may have been asked for: its packages are then brought by a requirement as well.
            marker = requirement.marker
            if marker is None or "extra" in str(marker) or marker.evaluate(dict(environment)):
                pending.append(canonicalize_name(requirement.name))
    return sorted(installed.keys() - reached)
