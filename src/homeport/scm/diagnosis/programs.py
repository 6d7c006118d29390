"""Why a program did not even begin: what Python, the sandbox and the known servers say then, in their own words."""

import re
from collections.abc import Callable

from homeport.scm.diagnosis.distributions import distribution_of, install_command, requirement_for
from homeport.scm.diagnosis.evidence import Cause, Evidence


def explain_output(text: str, *, ending: str, evidence: Evidence) -> Cause | None:
    """Explain the last line of an output that is known; `ending` tells the exit code. None: no line is."""
    for line in reversed(text.splitlines()):
        for pattern, code, explain in _PROGRAMS:
            match = re.search(pattern, line)
            if match is not None and code in ending:
                headline, remedy, name = explain(match, evidence)
                return Cause(code=name, headline=headline, remedy=remedy, file="web.config")
    return None


def _no_script(match: re.Match[str], _: Evidence) -> tuple[str, str, str]:
    return (
        f"The command line names '{_windows(match[1])}', which does not exist.",
        "Deploy the file, or correct the path in arguments or scriptProcessor; letter case counts where names differ in it alone.",
        "missing-script",
    )


def _no_program(match: re.Match[str], evidence: Evidence) -> tuple[str, str, str]:
    path = match[1]
    name = path.rpartition("/")[2]
    own = re.fullmatch(r"/home/([^/]+)/bin/[^/]+", path)
    denied = match[2] in {"Permission denied", "Exec format error"}
    headline = (
        f"The program '{_windows(path)}' is no program that can be run."
        if denied
        else f"The program '{_windows(path)}' does not exist."
    )
    if own and not denied:
        remedy = f"Add what brings '{name}' to requirements.txt and deploy again, or: {install_command(evidence.python_folder, name)}"
    elif "%" in path:
        remedy = "A variable in processPath is not set here: write the path itself."
    else:
        remedy = (
            "If a package brings it, add that to requirements.txt and deploy again; otherwise correct processPath "
            r"or the startup command: the site's Python, a program below D:\home, or one of the machine by its name."
        )
    return headline, remedy, "missing-program"


def _no_main_module(match: re.Match[str], evidence: Evidence) -> tuple[str, str, str]:
    module = match[1]
    listed = requirement_for(module, evidence.requirements)
    if listed is not None:
        return (
            f"The module '{module}' is missing: requirements.txt names it (line {listed[0]}: {listed[1]}), and it is not installed.",
            f"Deploy again without --no-build, or in the console: {install_command(evidence.python_folder, '-r requirements.txt')}",
            "not-installed",
        )
    return (
        f"The module '{module}' is missing, and no line of requirements.txt brings it.",
        f"Add this line to requirements.txt and deploy again: {distribution_of(module)}",
        "missing-module",
    )


def _no_application(match: re.Match[str], _: Evidence) -> tuple[str, str, str]:
    return (
        f"The server does not find the application: {match[1].rstrip('.')}.",
        "Correct MODULE:NAME in the arguments of <httpPlatform> (or in the startup command), or define the name in the module.",
        "server-application",
    )


_Program = Callable[[re.Match[str], Evidence], tuple[str, str, str]]
_PROGRAMS: tuple[tuple[str, str, _Program], ...] = (
    (r": can't open file '([^']+)': \[Errno 2\]", "exit code 2", _no_script),
    (
        r"^(\S+): (No such file or directory|Permission denied|Exec format error)$",
        "exit code 127",
        _no_program,
    ),
    (r"(?:^|: )([^\s:]+): (?:command )?(not found)$", "exit code 127", _no_program),
    (r"python[\w.]*: No module named ([\w.]+)$", "exit code 1", _no_main_module),
    (r"(?:Error loading ASGI app\. )((?:Attribute|Could not import).+)", "exit code", _no_application),
    (
        r"(Failed to find attribute '.+' in '.+'|Failed to parse '.+' as an attribute name.*)",
        "exit code",
        _no_application,
    ),
)


def _windows(path: str) -> str:
    own = re.fullmatch(r"/home/([^/]+)/bin/([^/]+)", path)
    if own is not None:
        return rf"D:\home\{own[1]}\Scripts\{own[2]}.exe"
    return "D:" + path.replace("/", "\\") if path.startswith("/home/") else path
