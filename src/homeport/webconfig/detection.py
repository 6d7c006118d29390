"""What runs a site that has no handler for an application: a startup command, or a framework found in its files.

The order is that of App Service on Linux (Kudu reference §12.9): startup command, Django, ASGI frameworks, then any
module named as applications commonly are. It goes further in two ways: an ASGI application is found with every Python, not only
with 3.14 and later, and a module must hold an application of that name, so that a site of pages with a
stray script stays a site of pages.

What was found is written as the web.config that would say the same, and compiled like one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from xml.sax.saxutils import quoteattr

from homeport.model.finding import Finding, Severity
from homeport.model.site import InstalledRuntime
from homeport.webconfig.document import Document
from homeport.windows.arguments import quote_argument

DETECTED = "webconfig.detected"
"""The finding's code where an application was detected and runs."""
WITHOUT_SERVER = f"{DETECTED}-without-server"
"""The finding's code where no ASGI server is installed that could run it."""
FILE = "detected application"
"""Stands in findings where a web.config's name would."""
SWITCH = "HOMEPORT_DETECT_APPLICATION"
"""The app setting that turns detection off (`0`, `false`, `off`)."""
COMMAND = "HOMEPORT_STARTUP_COMMAND"
"""The app setting that holds a startup command, as App Service's site configuration holds appCommandLine."""
STARTUP_SCRIPT = "site/scripts/startup.sh"
"""Where a deployment of type startup puts its script, relative to /home."""

ASGI_MODULES = ("main", "app", "application", "server", "asgi", "api", "index", "run")
WSGI_MODULES = ("application", "app", "run", "index", "server", "wsgi")
MOST_BYTES = 1 << 18
"""How much of a file is looked at."""
MOST_FOLDERS = 64

_VIRTUAL_ENVIRONMENTS = frozenset({"antenv", "env", "venv", "virtualenv", "node_modules", "__pycache__"})
_ASGI = {
    "fastapi": "FastAPI",
    "starlette": "Starlette",
    "quart": "Quart",
    "litestar": "Litestar",
    "sanic": "Sanic",
    "blacksheep": "BlackSheep",
    "channels": "Channels",
}
_FALCON_ASGI = re.compile(r"\bfalcon\.asgi\b|from falcon import\b.*\basgi\b")
_OWN_SERVER = {"aiohttp": "aiohttp", "tornado": "Tornado"}
_OWN_APPLICATION = re.compile(r"=[ \t]*(?:[A-Za-z_.]+\.)?Application\(")
_WSGI = {"flask": "Flask", "bottle": "Bottle", "pyramid": "Pyramid", "falcon": "Falcon", "dash": "Dash"}
_IMPORT = re.compile(r"(?:from|import)[ \t]+([a-z_]+)\b")
_NAME = re.compile(r"(?:async[ \t]+def[ \t]+|def[ \t]+)?(app|application)[ \t]*(?:[=(:]|\Z)")
_IMPORTED_NAME = re.compile(r"from[ \t].{1,200}?[ \t]import[ \t].{0,200}?\b(app|application)\b")
_SERVERS_OWN_MODULES = frozenset(
    {"", "staticfilemodule", "defaultdocumentmodule", "directorylistingmodule", "protocolsupportmodule"}
)
_OFF = frozenset({"0", "false", "off", "no"})


class Interface(StrEnum):
    """How the platform talks to what was found."""

    WSGI = "WSGI"
    ASGI = "ASGI"
    COMMAND = "command"
    OWN_SERVER = "own server"
    """Neither: the framework serves by itself, and only its own script knows how it is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """What will run: `target` is `module:name`, or the command; `file` and `line` are the evidence."""

    interface: Interface
    framework: str
    target: str
    file: str
    line: int = 0


def candidates(names: Iterable[str]) -> tuple[str, ...]:
    """Give the files of the content's root that `detect` wants to see."""
    wanted = {f"{module}.py" for module in (*ASGI_MODULES, *WSGI_MODULES)}
    return tuple(sorted(wanted & set(names)))


def candidate_folders(names: Iterable[str]) -> tuple[str, ...]:
    """Give the names of the root that may be folders with a `wsgi.py`, no more than are worth looking at."""
    likely = (
        name
        for name in sorted(names)
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.lower() not in _VIRTUAL_ENVIRONMENTS
    )
    return tuple(likely)[:MOST_FOLDERS]


def may_change(path: str) -> bool:
    """Tell whether a changed file of the content may change what is detected."""
    folder, _, name = path.rpartition("/")
    return name == "wsgi.py" if folder else bool(candidates([name]))


def is_off(app_settings: Mapping[str, str]) -> bool:
    """Tell whether the owner wants no detection."""
    return app_settings.get(SWITCH, "").strip().lower() in _OFF


def search(
    names: Callable[[str], Iterable[str] | None],
    read: Callable[[str], bytes | None],
    app_settings: Mapping[str, str],
    *,
    has_script: bool = False,
) -> Detected | None:
    """Look for what runs a site in its content.

    `names` lists a folder of the content (`""` is its root), None where there is none; `read` gives a file of at most
    `MOST_BYTES`, None where there is none.
    """
    if is_off(app_settings):
        return None
    root = tuple(names("") or ())
    paths = [
        *candidates(root),
        *(f"{folder}/wsgi.py" for folder in candidate_folders(root) if "wsgi.py" in (names(folder) or ())),
    ]
    found = {path: data.decode("utf-8", "replace") for path in paths if (data := read(path)) is not None}
    return detect(found, app_settings, has_script=has_script)


def detect(
    sources: Mapping[str, str], app_settings: Mapping[str, str], *, has_script: bool = False
) -> Detected | None:
    """Say what runs the site; None when nothing was found.

    `sources` are the files that `candidates` named and `FOLDER/wsgi.py` files, by path; `has_script` says whether
    there is a `STARTUP_SCRIPT`.
    """
    command = app_settings.get(COMMAND, "").strip()
    if command:
        return Detected(
            interface=Interface.COMMAND,
            framework="a startup command",
            target=command,
            file=f"app setting {COMMAND}",
        )
    if has_script:
        return Detected(
            interface=Interface.COMMAND,
            framework="a startup script",
            target=f"/home/{STARTUP_SCRIPT}",
            file=STARTUP_SCRIPT,
        )
    return _django(sources) or _asgi(sources) or _wsgi(sources)


def _django(sources: Mapping[str, str]) -> Detected | None:
    folders = sorted(path.removesuffix("/wsgi.py") for path in sources if path.endswith("/wsgi.py"))
    for found in _applications(sources, [f"{folder}/wsgi" for folder in folders]):
        return replace(found, framework="Django", target=found.target.replace("/", "."))
    return None


def _asgi(sources: Mapping[str, str]) -> Detected | None:
    for found in _applications(sources, ASGI_MODULES):
        imported = _imports(sources[found.file])
        framework = next((_ASGI[name] for name in imported if name in _ASGI), None)
        if framework is None and _FALCON_ASGI.search(sources[found.file]):
            framework = "Falcon"
        if framework and "flask" not in imported:
            return replace(found, interface=Interface.ASGI, framework=framework)
    return None


def _wsgi(sources: Mapping[str, str]) -> Detected | None:
    for found in _applications(sources, WSGI_MODULES):
        text = sources[found.file]
        imported = _imports(text)
        framework = next((_WSGI[name] for name in imported if name in _WSGI), None)
        if framework is not None:
            return replace(found, framework=framework)
        own = next((_OWN_SERVER[name] for name in imported if name in _OWN_SERVER), None)
        if own is not None and _OWN_APPLICATION.search(text.splitlines()[found.line - 1]):
            return replace(found, interface=Interface.OWN_SERVER, framework=own)
        return found
    return None


def _applications(sources: Mapping[str, str], modules: Iterable[str]) -> Iterator[Detected]:
    """Iterate over the modules that make an application, in the order given."""
    for module in modules:
        found = _application(sources.get(f"{module}.py", ""))
        if found is not None:
            yield Detected(
                interface=Interface.WSGI,
                framework="a WSGI application",
                target=f"{module}:{found[0]}",
                file=f"{module}.py",
                line=found[1],
            )


def _imports(text: str) -> tuple[str, ...]:
    return tuple(
        match.group(1) for line in text.splitlines() if (match := _IMPORT.match(line.strip())) is not None
    )


def _application(text: str) -> tuple[str, int] | None:
    """Find where `app`, or else `application`, is made at the top level: its name and line."""
    places: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _NAME.match(line) or _IMPORTED_NAME.match(line[:500])
        if match is not None:
            places.setdefault(match.group(1), number)
    for name in ("app", "application"):
        if name in places:
            return name, places[name]
    return None


_SERVERS = {
    "uvicorn": "-m uvicorn {target} --host 127.0.0.1 --port {port} --proxy-headers",
    "hypercorn": "-m hypercorn {target} --bind 127.0.0.1:{port}",
    "granian": "-m granian --interface asgi --host 127.0.0.1 --port {port} {target}",
    "daphne": "-m daphne -b 127.0.0.1 -p {port} {target}",
}


def has_application_handler(document: Document) -> bool:
    """Tell whether a web.config says by itself how an application runs."""
    for element in document.root.below():
        if element.name in {"httpPlatform", "aspNetCore"}:
            return True
        if element.name == "handlers":
            for entry in element.named("add"):
                modules = {name.strip().lower() for name in (entry.get("modules") or "").split(",")}
                if entry.get("type") or modules - _SERVERS_OWN_MODULES:
                    return True
    return False


def newest(runtimes: Iterable[InstalledRuntime]) -> InstalledRuntime | None:
    """Choose the Python that a detected application runs on."""
    return max(
        runtimes, key=lambda one: [int(part) for part in re.findall(r"\d+", one.version)], default=None
    )


def site_packages(runtime: InstalledRuntime, *, environment: str = "") -> str:
    """Give the folder of a Python's packages in the sandbox, or of those of the environment below /home that it runs in."""
    minor = ".".join(runtime.version.split(".")[:2])
    return f"/home/{environment or runtime.folder}/lib/python{minor}/site-packages"


def choose_server(packages: Iterable[str]) -> str | None:
    """Choose the ASGI server among the names in a Python's site-packages; None when there is none."""
    names = {name.lower() for name in packages}
    return next((server for server in _SERVERS if server in names), None)


def configuration_for(detected: Detected, runtime: InstalledRuntime, *, server: str = "uvicorn") -> bytes:
    """Write the web.config that says the same, for a Python of the site and an ASGI server in it."""
    python = rf"D:\home\{runtime.folder}\python.exe"
    if detected.interface is Interface.WSGI:
        processor = quoteattr(rf"{python}|D:\home\{runtime.folder}\wfastcgi.py")
        handler = f'modules="FastCgiModule" scriptProcessor={processor}'
        body = ""
    else:
        handler = 'modules="httpPlatformHandler"'
        body = _http_platform(detected, python, server)
    return (
        "<configuration><system.webServer><handlers>"
        f'<add name="Detected" path="*" verb="*" {handler} resourceType="Unspecified"/>'
        f"</handlers>{body}</system.webServer></configuration>"
    ).encode()


def _http_platform(detected: Detected, python: str, server: str) -> str:
    if detected.interface is Interface.ASGI:
        program = python
        arguments = _SERVERS[server].format(target=detected.target, port="%HTTP_PLATFORM_PORT%")
    else:
        program = "bash"
        arguments = "-c " + quote_argument(
            f"exec {detected.target}" if _is_plain(detected.target) else detected.target
        )
    return (
        f"<httpPlatform processPath={quoteattr(program)} arguments={quoteattr(arguments)} "
        'stdoutLogEnabled="true" stdoutLogFile="D:\\home\\LogFiles\\Application\\startup" startupTimeLimit="230">'
        '<environmentVariables><environmentVariable name="PORT" value="%HTTP_PLATFORM_PORT%"/>'
        '<environmentVariable name="HOST" value="127.0.0.1"/>'
        "</environmentVariables></httpPlatform>"
    )


def _is_plain(command: str) -> bool:
    """A single command replaces the shell, so that it gets the signals."""
    return (
        re.fullmatch(r"[A-Za-z0-9 ./:=,@%+_-]+", command) is not None
        and "=" not in command.lstrip().partition(" ")[0]
    )


def wsgi_handler(detected: Detected) -> str:
    """Give the value of WSGI_HANDLER."""
    return detected.target.replace(":", ".")


def findings_for(
    detected: Detected, runtime: InstalledRuntime | None, *, server: str | None
) -> tuple[Finding, ...]:
    """Tell the owner what was found, and what is missing to run it."""

    def finding(severity: Severity, code: str, message: str, remedy: str) -> Finding:
        return Finding(
            severity=severity,
            code=code,
            message=message,
            file=detected.file,
            line=detected.line,
            remedy=remedy,
        )

    what = f"No web.config of the site has a handler for an application; found {detected.framework}: {detected.target}"
    if runtime is None:
        return (
            finding(
                Severity.ERROR,
                f"{DETECTED}-without-python",
                f"{what}. It does not run: no Python is installed in the site.",
                "Install one; homeport extension list shows them.",
            ),
        )
    if detected.interface is Interface.ASGI and server is None:
        return (
            finding(
                Severity.ERROR,
                WITHOUT_SERVER,
                f"{what}. It does not run: {runtime.folder} has no server for ASGI applications.",
                f"Add one of {', '.join(_SERVERS)} to requirements.txt and deploy again.",
            ),
        )
    if detected.interface is Interface.OWN_SERVER:
        return (
            finding(
                Severity.ERROR,
                f"{DETECTED}-own-server",
                f"{what}. It does not run: {detected.framework} serves by itself, by a command that only the site knows.",
                f"Name the command: homeport settings set SITE '{COMMAND}=python {detected.file}'. It has to listen on "
                "127.0.0.1 at the port in the variable PORT.",
            ),
        )
    how = {
        Interface.WSGI: "It runs in the platform's own worker",
        Interface.ASGI: f"It runs under {server}",
        Interface.COMMAND: "Its web server has to listen on the port that the variable PORT names",
    }[detected.interface]
    return (
        finding(
            Severity.INFO,
            DETECTED,
            f"{what}. {how}, on Python {runtime.version}.",
            f"A handler in web.config takes its place; the app setting {SWITCH}=0 turns this off.",
        ),
    )
