"""From an httpPlatform handler to the pool of web servers that answers it (IIS reference §4)."""

import hashlib
import posixpath
from dataclasses import dataclass, field, replace

from homeport.model.finding import Finding, Severity
from homeport.model.site import InstalledRuntime
from homeport.webconfig.bounds import bounded_expand
from homeport.webconfig.environments import environment_of
from homeport.webconfig.plan import HttpPool, ProxyToPool, Refuse, SiteFacts
from homeport.webconfig.runtimes import MISSING_RUNTIME, RuntimeChoice, choose_runtime
from homeport.webconfig.sections.handlers import Handler
from homeport.webconfig.sections.http_platform import PORT_VARIABLE, HttpPlatform
from homeport.webconfig.values import ValueMapper, content_file, known_variables
from homeport.windows.argument_paths import map_arguments
from homeport.windows.interpreters import recognise_interpreter
from homeport.windows.layout import Layout
from homeport.windows.paths import Rule, map_path

_LAYOUT = Layout()
_HOME = "/home/"
_SHELL = "/bin/bash"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPoolResult:
    """A handler's action, with its pool where it has one, and what its owner should know."""

    action: ProxyToPool | Refuse
    pool: HttpPool | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Notes:
    """Findings about one section, in the order in which they came up."""

    file: str
    line: int
    findings: list[Finding] = field(default_factory=list)

    def add(self, severity: Severity, code: str, message: str, *, remedy: str = "") -> None:
        self.take(Finding(severity=severity, code=f"webconfig.{code}", message=message, remedy=remedy))

    def take(self, finding: Finding) -> None:
        self.findings.append(replace(finding, file=self.file, line=self.line))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """The first words of the command line, and the Python it runs on, if any."""

    words: tuple[str, ...]
    runtime: InstalledRuntime | None = None
    environment: str = ""


def compile_http_pool(handler: Handler, section: HttpPlatform, facts: SiteFacts) -> HttpPoolResult:
    """Give the pool that an httpPlatform handler means, or a refusal that says why there is none."""
    notes = _Notes(file=section.file or handler.file, line=section.line or handler.line)
    if not section.process_path.strip():
        notes.add(
            Severity.ERROR,
            "no-process-path",
            f"Handler '{handler.name}' needs <httpPlatform> with a processPath, and there is none.",
            remedy='Add <httpPlatform processPath="D:\\home\\…\\python.exe" arguments="… %HTTP_PLATFORM_PORT%"/>.',
        )
        return _refused(notes)
    variables = _variables(facts)
    path = bounded_expand(section.process_path, variables)
    arguments = bounded_expand(section.arguments, variables)
    if path is None or arguments is None:
        notes.add(
            Severity.ERROR, "value-too-long", "processPath or arguments of <httpPlatform> are too long."
        )
        return _refused(notes)
    program = _program(path.strip().strip('"'), facts, notes)
    if program is None:
        return _refused(notes)
    mapped = map_arguments(
        arguments, _LAYOUT, variables={}, list_folder=facts.list_folder, directory=facts.content.path
    )
    for argument in mapped:
        if argument.path is not None and argument.path.problem is not None:
            notes.add(
                Severity.WARNING,
                "unmapped-path",
                f"arguments of <httpPlatform> name '{argument.text}', which has no counterpart here; "
                "it stays as it is written.",
                remedy=r"Use a path below D:\home.",
            )
    pool = HttpPool(
        id=_pool_id(section, facts),
        requested=section.process_path,
        program=(*program.words, *(argument.value for argument in mapped)),
        runtime_folder=program.runtime.folder if program.runtime else None,
        environment=program.environment,
        environment_variables=_environment(section, facts, program.runtime, notes),
        processes=section.processes,
        startup_seconds=section.startup_seconds,
        startup_retries=section.startup_retries,
        rapid_fails_per_minute=section.rapid_fails_per_minute,
        request_timeout_seconds=section.request_timeout_seconds,
        stdout_log=_stdout_log(section, facts, notes),
        recycle_files=_recycle_files(section, facts, notes),
        content=facts.content,
    )
    action = ProxyToPool(pool=pool.id, handler=handler.name, file=handler.file, line=handler.line)
    return HttpPoolResult(action=action, pool=pool, findings=tuple(notes.findings))


def _variables(facts: SiteFacts) -> dict[str, str]:
    """Give what `%NAME%` means; the port is known only when a process starts, so its token stays."""
    known = known_variables(facts.app_settings)
    known.pop(PORT_VARIABLE, None)
    return known


def _program(path: str, facts: SiteFacts, notes: _Notes) -> _Program | None:
    """Find the program: a Python of the site, a program beside one, a script, or any other program."""
    beside = _python_beside(path)
    interpreter = recognise_interpreter(beside or path, _LAYOUT, variables={})
    if interpreter is not None:
        choice = choose_runtime(interpreter, path, facts)
        if choice.finding is not None:
            notes.take(choice.finding)
        if choice.runtime is None:
            return None
        name = _bare_name(path) if beside else "python"
        return _Program(
            words=(f"{choice.programs}/{name}",), runtime=choice.runtime, environment=choice.environment
        )
    if not {"\\", "/"} & set(path):
        return _beside_runtime((_bare_name(path),), facts)
    mapped = map_path(
        path, _LAYOUT, variables={}, list_folder=facts.list_folder, directory=facts.content.path
    )
    if mapped.posix is not None and not mapped.exists and path.lower().endswith(".exe"):
        bare = map_path(
            path[:-4], _LAYOUT, variables={}, list_folder=facts.list_folder, directory=facts.content.path
        )
        mapped = bare if bare.exists else mapped
    if mapped.posix is None and mapped.rule is Rule.UNMAPPED:
        notes.add(
            Severity.WARNING,
            "other-program",
            f"processPath names '{path}', a program of a Windows machine; '{_bare_name(path)}' of this machine "
            "runs instead, if there is one.",
        )
        return _beside_runtime((_bare_name(path),), facts)
    if mapped.posix is None:
        message = mapped.problem.message if mapped.problem else f"'{path}' has no counterpart here."
        notes.add(
            Severity.ERROR,
            "unmapped-program",
            f"processPath: {message}",
            remedy=r"Put a Linux program below D:\home and name that.",
        )
        return None
    return _script(mapped.posix, facts, notes)


def _script(posix: str, facts: SiteFacts, notes: _Notes) -> _Program | None:
    """A script needs no execute bit, which uploads do not carry; a batch file needs Windows."""
    extension = posixpath.splitext(posix)[1].lower()
    if extension in {".cmd", ".bat"}:
        notes.add(
            Severity.ERROR,
            "unmapped-program",
            f"processPath names '{posix}', a batch file, which cannot serve requests here.",
            remedy="Name the program that the batch file starts, or a shell script (.sh).",
        )
        return None
    if extension == ".sh":
        return _beside_runtime((_SHELL, posix), facts)
    if extension == ".py":
        runtime = _only_runtime(facts)
        if runtime is None:
            notes.add(
                Severity.ERROR,
                MISSING_RUNTIME.removeprefix("webconfig."),
                f"processPath names '{posix}', and the site has no Python, or several.",
                remedy=r"Name the Python in processPath and the script in arguments.",
            )
            return None
        choice = RuntimeChoice(runtime=runtime, environment=environment_of(runtime, facts))
        return _Program(
            words=(f"{choice.programs}/python", posix), runtime=runtime, environment=choice.environment
        )
    return _beside_runtime((posix,), facts)


def _python_beside(path: str) -> str:
    r"""Give `D:\home\X\python.exe` for `D:\home\X\Scripts\uvicorn.exe`, empty for other programs."""
    parts = path.replace("/", "\\").split("\\")
    if len(parts) < 3 or parts[-2].casefold() not in {"scripts", "bin"}:
        return ""
    if recognise_interpreter(path, _LAYOUT, variables={}) is not None:
        return ""
    return "\\".join([*parts[:-2], "python.exe"])


def _bare_name(path: str) -> str:
    name = path.replace("/", "\\").rpartition("\\")[2]
    return name[:-4] if name.lower().endswith(".exe") else name


def _beside_runtime(words: tuple[str, ...], facts: SiteFacts) -> _Program:
    """A program that may want the site's Python, which it finds on its PATH."""
    runtime = _only_runtime(facts)
    environment = "" if runtime is None else environment_of(runtime, facts)
    return _Program(words=words, runtime=runtime, environment=environment)


def _only_runtime(facts: SiteFacts) -> InstalledRuntime | None:
    """A shell script finds `python` on its PATH where the site has one Python and no doubt about it."""
    return facts.runtimes[0] if len(facts.runtimes) == 1 else None


def _environment(
    section: HttpPlatform, facts: SiteFacts, runtime: InstalledRuntime | None, notes: _Notes
) -> tuple[tuple[str, str], ...]:
    mapper = ValueMapper(variables=_variables(facts), runtime=runtime, list_folder=facts.list_folder)
    pairs = []
    for name, value in section.environment_variables:
        if name.upper() == PORT_VARIABLE:
            notes.add(
                Severity.WARNING,
                "own-port",
                f"{PORT_VARIABLE} is set to '{value}'; the platform chooses the port, since old and new processes "
                "run side by side.",
                remedy=f"Use %{PORT_VARIABLE}% where the application wants its port.",
            )
            continue
        if name.upper() == "PYTHONHOME":
            notes.add(
                Severity.INFO,
                "python-home",
                "PYTHONHOME is left out: the Pythons here know where their own files are.",
            )
            continue
        mapped = mapper.environment(name, value)
        for finding in mapped.findings:
            notes.take(finding)
        pairs.append((name, mapped.text))
    return tuple(pairs)


def _stdout_log(section: HttpPlatform, facts: SiteFacts, notes: _Notes) -> str | None:
    if not section.stdout_log_enabled:
        return None
    text = bounded_expand(section.stdout_log_file, _variables(facts))
    path = _below_home(text or "", facts)
    if path is None:
        notes.add(
            Severity.WARNING,
            "unmapped-path",
            rf"stdoutLogFile names '{section.stdout_log_file}', which is not below D:\home: the output goes to "
            "LogFiles/Application instead.",
        )
    return path


def _recycle_files(section: HttpPlatform, facts: SiteFacts, notes: _Notes) -> tuple[str, ...]:
    files = []
    for written in section.recycle_files:
        path = content_file(written, variables=_variables(facts), facts=facts, directory=facts.content.path)
        if path is None:
            notes.add(
                Severity.WARNING,
                "unmapped-path",
                f"<recycleOnFileChange> names '{written}', which is no file of the content folder: it is not watched.",
            )
        else:
            files.append(path)
    return tuple(dict.fromkeys(files))


def _below_home(text: str, facts: SiteFacts) -> str | None:
    """Map a path and give it relative to /home, None where it is not below it."""
    if not text.strip():
        return None
    mapped = map_path(
        text.strip(), _LAYOUT, variables={}, list_folder=facts.list_folder, directory=facts.content.path
    )
    if (
        mapped.posix is None
        or not mapped.posix.startswith(_HOME)
        or any(ord(one) < 32 for one in mapped.posix)
    ):
        return None
    return mapped.posix.removeprefix(_HOME)


def _pool_id(section: HttpPlatform, facts: SiteFacts) -> str:
    """Name a pool after the places that configure it: a new argument then makes a new generation, not a new pool."""
    places = "|".join(section.folders) + facts.content.mark
    digest = hashlib.sha256(places.encode("utf-8", "surrogatepass")).hexdigest()
    return f"http-{digest[:8]}"


def _refused(notes: _Notes) -> HttpPoolResult:
    code = notes.findings[-1].code
    return HttpPoolResult(action=Refuse(status=500, code=code), findings=tuple(notes.findings))
