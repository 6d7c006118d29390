"""From what is known of a site to the cause of its failure, the most telling first. Decides, and reads nothing."""

import posixpath
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from homeport.model.finding import Finding, Severity
from homeport.scm.checking.python_sources import WINDOWS_MODULES
from homeport.scm.diagnosis.distributions import distribution_of, install_command, requirement_for
from homeport.scm.diagnosis.evidence import AnswerFault, Cause, Evidence, PoolFact, PoolLog
from homeport.scm.diagnosis.programs import explain_output
from homeport.scm.diagnosis.tracebacks import Frame, ParsedTraceback, parse_traceback
from homeport.scm.failures import Failure

CONTENT = "/home/site/wwwroot"
MOST_CAUSES = 8
_LAST_LINES = 12
_EARLIER = "Before the last change or restart: "
_MARK = "[homeport]"
_WEB_SERVER = "http-"
"""How the names of pools begin whose processes are web servers of the site's own."""
_ENDS = ("' failed.", "worker ended unexpectedly")

Explain = Callable[[ParsedTraceback, Failure, Evidence], Cause | None]


def find_causes(evidence: Evidence) -> list[Cause]:
    """Return the causes, the most telling first; empty where nothing is known to be wrong."""
    causes = list(dict.fromkeys(_causes(evidence)))
    return causes[:MOST_CAUSES]


def _causes(evidence: Evidence) -> Iterator[Cause]:
    if evidence.stopped:
        yield Cause(
            code="stopped",
            headline="The site is stopped: it answers 403 and runs nothing.",
            remedy=f"homeport site start {evidence.site}",
        )
    yield from (_from_finding(each) for each in evidence.findings if each.severity is Severity.ERROR)
    pools = evidence.pools or ()
    yield from (_at(cause, pool.id, evidence) for pool in pools if (cause := _from_port(pool, evidence)))
    failures = evidence.failures
    if pools and all(pool.id.startswith(_WEB_SERVER) for pool in pools):
        failures = ()  # only the platform's own worker reports them: they are of an earlier web.config
    startup = next((each for each in failures if each.kind == "startup"), None)
    running = bool(pools) and all(pool.state == "running" and not pool.reason for pool in pools)
    overtaken = any(pool.reason and not _reported_by_worker(pool) for pool in pools)
    if startup is not None and not running and not overtaken:
        yield _from_startup(startup, evidence, when=_when(pools))
    yield from (
        _at(cause, pool.id, evidence)
        for pool in pools
        if not (startup is not None and _reported_by_worker(pool))
        and (cause := _from_pool(pool, evidence)) is not None
    )
    if startup is not None and not running and overtaken:
        yield _from_startup(startup, evidence, when=_EARLIER)
    request = next((each for each in failures if each.kind != "startup"), None)
    if request is not None:
        yield _at_handler(_from_failure(request, evidence), evidence)
    if evidence.answer_fault is not None:
        yield _from_answer(evidence.answer_fault, evidence)


def _at(cause: Cause, what: str, evidence: Evidence) -> Cause:
    """Add the line of web.config that configures `what`, where the cause lies there."""
    if cause.file != "web.config" or what not in evidence.places:
        return cause
    file, line = evidence.places[what]
    return replace(cause, file=file, line=line)


def _from_startup(startup: Failure, evidence: Evidence, *, when: str) -> Cause:
    cause = _at_handler(_from_failure(startup, evidence), evidence)
    return replace(cause, headline=when + cause.headline)


def _reported_by_worker(pool: PoolFact) -> bool:
    """Tell whether a worker itself said why it did not start: it then ends without an error."""
    return "see its newest failure" in pool.reason or "ended before it was ready (exit code 0)" in pool.reason


def _at_handler(cause: Cause, evidence: Evidence) -> Cause:
    return _at(cause, "WSGI_HANDLER", evidence) if cause.code.startswith("handler-") else cause


def _when(pools: tuple[PoolFact, ...]) -> str:
    """Say what a failure to start means for visitors now, where it does not mean that nothing runs."""
    if pools and all(pool.state in {"idle", "running"} and not pool.reason for pool in pools):
        return _EARLIER
    if any(pool.state == "running" and pool.reason for pool in pools):
        return "The old version keeps serving, the new one does not start: "
    return ""


def _from_finding(finding: Finding) -> Cause:
    return Cause(
        code=finding.code,
        headline=finding.message,
        remedy=finding.remedy or "Correct it; the change takes effect at once.",
        file=finding.file,
        line=finding.line,
    )


# Failures with a traceback ------------------------------------------------------------------------------------------


def _from_failure(failure: Failure, evidence: Evidence) -> Cause:
    parsed = parse_traceback(failure.traceback)
    if parsed is None:
        told = failure.traceback.strip()
        exception = _without_frames(told.splitlines()[-1] if told else failure.headline)
        return _protocol(exception, failure) or _cause(
            "failure",
            _sentence(_exception(exception)),
            "The failure's own page, in the SCM site, has everything that is known of it.",
            exception,
            failure,
        )
    for explain in _EXPLANATIONS:
        cause = explain(parsed, failure, evidence)
        if cause is not None:
            return cause
    return _cause(
        "exception",
        f"The application raised {_exception(parsed)}{_while(failure)}.",
        "The line named is the last one of the site's own; correct what it does."
        if parsed.last_below(CONTENT)
        else "Nothing of the site's own stands in the traceback: look at what the failure's page shows.",
        parsed,
        failure,
    )


def _without_frames(line: str) -> ParsedTraceback:
    kind, _, message = line.partition(": ")
    named = re.fullmatch(r"[A-Za-z_][\w.]*", kind) is not None
    return ParsedTraceback(type=kind if named else "", message=message if named else line)


def _protocol(parsed: ParsedTraceback, failure: Failure) -> Cause | None:
    """Explain what the worker found wrong with the application itself: it raised nothing, it is no WSGI application."""
    message = parsed.message
    if re.search(r"missing \d+ required positional arguments?: .*'send'", message):
        what = "is an ASGI application, and a FastCGI handler runs WSGI applications"
        remedy = (
            "Run it by httpPlatform under uvicorn or hypercorn, or name a WSGI application in WSGI_HANDLER."
        )
    elif "not callable" in message or re.search(
        r"takes \d+ positional arguments? but|required positional", message
    ):
        what = f"is no WSGI application: {message}"
        remedy = "Name what is called with (environ, start_response); write () behind a name only where a function makes it."
    elif (
        "start_response has not yet been called" in message
        or "yield bytes" in message
        or "iterable" in message
    ):
        what = f"answered otherwise than WSGI demands: {message}"
        remedy = (
            "It has to call start_response(status, headers) and return a list of bytes, such as [b'text']."
        )
    else:
        return None
    headline = f"WSGI_HANDLER is '{failure.handler}', which {what}."
    return _cause("handler-object", headline, remedy, parsed, failure, file="web.config")


def _missing_module(parsed: ParsedTraceback, failure: Failure, evidence: Evidence) -> Cause | None:
    match = re.search(r"No module named '?([\w.]+)'?", parsed.message)
    if parsed.type not in {"ModuleNotFoundError", "ImportError"} or match is None:
        return None
    module = match[1]
    top = module.partition(".")[0]
    if top in WINDOWS_MODULES:
        return _cause(
            "windows-module",
            f"The application imports '{top}', which exists on Windows only.",
            "Import it only if sys.platform == 'win32', or use what Linux has in its place.",
            parsed,
            failure,
        )
    if top == re.split(r"[.(]", failure.handler)[0]:
        return _handler_module(top, parsed, failure, evidence)
    listed = requirement_for(module, evidence.requirements)
    wanted = distribution_of(module)
    if listed is not None:
        number, line = listed
        where = f" into {evidence.python_folder}" if evidence.python_folder else ""
        return _cause(
            "not-installed",
            f"The module '{module}' is missing: requirements.txt names it (line {number}: {line}), and it is not installed{where}.",
            f"Deploy again without --no-build, or in the console: {install_command(evidence.python_folder, '-r requirements.txt')}",
            parsed,
            failure,
        )
    if canonicalize_name(wanted) in evidence.installed:
        return _cause(
            "incomplete-package",
            f"The module '{module}' is missing, although '{wanted}' is installed: its version has no such part.",
            f"Name the version that has it in requirements.txt, such as {wanted}>=…",
            parsed,
            failure,
        )
    local = next((name for name in evidence.content if name.split(".")[0].casefold() == top.casefold()), None)
    if local is not None:
        return _cause(
            "letter-case",
            f"The module '{module}' is missing; the content has '{local}', whose letters differ in case.",
            f"Write the import as the file is spelled, or rename the file: '{top}' and '{local}' are two names on Linux.",
            parsed,
            failure,
        )
    return _cause(
        "missing-module",
        f"The module '{module}' is missing, and no line of requirements.txt brings it.",
        f"Add this line to requirements.txt and deploy again: {wanted}",
        parsed,
        failure,
    )


def _handler_module(top: str, parsed: ParsedTraceback, failure: Failure, evidence: Evidence) -> Cause:
    files = sorted(name for name in evidence.content if name.endswith(".py"))
    near = next((name for name in evidence.content if name.split(".")[0].casefold() == top.casefold()), None)
    found = (
        f"there is '{near}', whose letters differ in case"
        if near
        else f"the content has {', '.join(files[:6]) or 'no Python file'}"
    )
    return _cause(
        "handler-module",
        f"WSGI_HANDLER is '{failure.handler}', and there is no module '{top}': {found}.",
        "Correct WSGI_HANDLER in web.config, or add the module's folder to PYTHONPATH.",
        parsed,
        failure,
        file="web.config",
    )


def _missing_library(parsed: ParsedTraceback, failure: Failure, _: Evidence) -> Cause | None:
    match = re.search(r"(\S+\.so[\w.]*): cannot open shared object file", parsed.message)
    if match is None:
        return None
    return _cause(
        "missing-library",
        f"A compiled package needs the system's library {match[1]}, which the machine does not have.",
        "Install the Debian package that brings it on the machine, or take a variant of the package without it "
        "(opencv-python-headless, psycopg2-binary).",
        parsed,
        failure,
    )


def _import_name(parsed: ParsedTraceback, failure: Failure, evidence: Evidence) -> Cause | None:
    match = re.search(r"cannot import name '?([\w.]+)'? from '?([\w.]+)'?", parsed.message)
    if parsed.type != "ImportError" or match is None:
        return None
    name, module = match[1], match[2]
    if "circular import" in parsed.message or "partially initialized" in parsed.message:
        return _cause(
            "circular-import",
            f"'{module}' is imported while it is still being imported, before it has '{name}'.",
            "Move one of the two imports into the function that needs it.",
            parsed,
            failure,
        )
    if module.partition(".")[0] in sys.stdlib_module_names:
        return _standard_library(module, name, parsed, failure, evidence)
    listed = requirement_for(module, evidence.requirements)
    shown = f" (requirements.txt, line {listed[0]}: {listed[1]})" if listed else ""
    return _cause(
        "other-version",
        f"'{module}' has no '{name}': its installed version is another than the application was written for{shown}.",
        f"Pin the version that the application was tested with in requirements.txt: {distribution_of(module)}==…",
        parsed,
        failure,
    )


def _standard_library(
    module: str, name: str, parsed: ParsedTraceback, failure: Failure, evidence: Evidence
) -> Cause:
    shadow = next((each for each in evidence.content if each in (module, f"{module}.py")), None)
    if shadow is not None:
        return _cause(
            "shadowed-module",
            f"The site's own '{shadow}' hides Python's module '{module}', which has '{name}'.",
            f"Rename '{shadow}'; the site's files go before Python's own.",
            parsed,
            failure,
        )
    return _cause(
        "other-python",
        f"Python's own module '{module}' has no '{name}'{f' in Python {failure.python}' if failure.python else ''}.",
        "Correct the name; if it works elsewhere, that is another version of Python: name the same in web.config.",
        parsed,
        failure,
    )


def _shadowed(parsed: ParsedTraceback, failure: Failure, evidence: Evidence) -> Cause | None:
    match = re.match(r"(?:partially initialized )?module '(\w+)' has no attribute '(\w+)'", parsed.message)
    if parsed.type != "AttributeError" or match is None or match[1] not in sys.stdlib_module_names:
        return None
    return _standard_library(match[1], match[2], parsed, failure, evidence)


def _syntax(parsed: ParsedTraceback, failure: Failure, _: Evidence) -> Cause | None:
    if parsed.type not in {"SyntaxError", "IndentationError", "TabError"}:
        return None
    python = f"Python {failure.python}" if failure.python else "The site's Python"
    place = parsed.frames[-1] if parsed.frames else None
    old = "print" in parsed.message or (
        place is not None and re.match(r"print\s+[^(=]|exec\s+['\"]", place.code)
    )
    remedy = (
        "The file is Python 2, which is not offered here; convert it with 2to3 or pyupgrade."
        if old
        else f"Correct the line. If it works elsewhere, that Python is newer than {failure.python or 'the one here'}: install a newer one and name it in web.config."
    )
    cause = _cause("syntax", f"{python} cannot read a file: {parsed.message}.", remedy, parsed, failure)
    return cause if place is None else _placed(cause, place)


def _setting(parsed: ParsedTraceback, failure: Failure, evidence: Evidence) -> Cause | None:
    name = ""
    frame = parsed.last_below(CONTENT) or (parsed.frames[-1] if parsed.frames else None)
    if parsed.type == "KeyError" and frame is not None:
        named = re.fullmatch(r"'([^']+)'", parsed.message)
        inside = any("environ" in each.code or each.file.endswith("/os.py") for each in parsed.frames)
        name = named[1] if named and inside else ""
    elif (
        match := re.search(
            r"([A-Z][A-Z0-9_]{2,}) (?:environment variable|not found\. Declare it as envvar|must not be empty)",
            parsed.message,
        )
    ) or (match := re.search(r"(?:environment variable|Set the) '?([A-Z][A-Z0-9_]{2,})'?", parsed.message)):
        name = match[1]
    if not name:
        return None
    near = next(
        (each for each in evidence.settings if each.casefold() == name.casefold() and each != name), ""
    )
    if near:
        return _cause(
            "setting-case",
            f"The application reads the setting '{name}'; the site has '{near}', and letter case counts on Linux.",
            f"homeport settings set {evidence.site} {name}=VALUE",
            parsed,
            failure,
        )
    return _cause(
        "missing-setting",
        f"The application needs the setting '{name}', which the site does not have.",
        f"homeport settings set {evidence.site} {name}=VALUE",
        parsed,
        failure,
    )


def _handler(parsed: ParsedTraceback, failure: Failure, _: Evidence) -> Cause | None:
    if failure.kind != "startup":
        return None
    match = re.match(r"(?:partially initialized )?module '([\w.]+)' has no attribute '(\w+)'", parsed.message)
    named = {part.removesuffix("()") for part in failure.handler.split(".")}
    if parsed.type == "AttributeError" and match and match[2] in named:
        return _cause(
            "handler-object",
            f"WSGI_HANDLER is '{failure.handler}', and the module '{match[1]}' has no '{match[2]}'.",
            f"Correct WSGI_HANDLER in web.config, or define '{match[2]}' in '{match[1]}'.",
            parsed,
            failure,
            file="web.config",
        )
    if "not callable" in parsed.message and parsed.last_below(CONTENT) is None:
        return _cause(
            "handler-object",
            f"WSGI_HANDLER is '{failure.handler}', which is no WSGI application: {parsed.message}.",
            "Name the application object; write () behind a name only where a function makes it.",
            parsed,
            failure,
            file="web.config",
        )
    if parsed.type == "HandlerNotSet":
        return _cause(
            "no-handler",
            "WSGI_HANDLER is not set, so there is no application to start.",
            'Add <add key="WSGI_HANDLER" value="app.wsgi_app"/> to <appSettings> of web.config.',
            parsed,
            failure,
            file="web.config",
        )
    return None


def _django(parsed: ParsedTraceback, failure: Failure, _: Evidence) -> Cause | None:
    if parsed.type != "ImproperlyConfigured":
        return None
    if "DJANGO_SETTINGS_MODULE" in parsed.message:
        return _cause(
            "missing-setting",
            "Django does not know its settings: DJANGO_SETTINGS_MODULE is not set.",
            'Add <add key="DJANGO_SETTINGS_MODULE" value="PROJECT.settings"/> to <appSettings> of web.config.',
            parsed,
            failure,
            file="web.config",
        )
    return _cause(
        "django-settings",
        f"Django's settings are incomplete: {parsed.message.rstrip('.')}.",
        "Correct the settings module, or the app setting that it reads.",
        parsed,
        failure,
    )


def _file(parsed: ParsedTraceback, failure: Failure, _: Evidence) -> Cause | None:
    match = re.search(r"\[Errno \d+\] ([^:]+): '((?:[^'\\]|\\.)*)'", parsed.message)
    if (
        parsed.type not in {"FileNotFoundError", "PermissionError", "NotADirectoryError", "IsADirectoryError"}
        or not match
    ):
        return None
    path = match[2].replace("\\\\", "\\")
    if re.match(r"(?i)[a-z]:[\\/]|\\\\", path) or "\\" in path:
        return _cause(
            "windows-path",
            f"The application opens '{path}', a Windows path: on Linux that is a file of this very name.",
            "Build paths from os.environ['HOME'] with os.path.join, or read them from an app setting, which is translated.",
            parsed,
            failure,
        )
    if parsed.type == "PermissionError":
        return _cause(
            "permission",
            f"The application may not open '{path}'.",
            "A site may write below /home and /tmp only; choose a path there.",
            parsed,
            failure,
        )
    return _cause(
        "missing-file",
        f"The application opens '{path}', which is not there.",
        "Deploy the file, or correct its path; letter case counts on Linux.",
        parsed,
        failure,
    )


def _connection(parsed: ParsedTraceback, failure: Failure, _: Evidence) -> Cause | None:
    told = parsed.message.lower()
    if parsed.type in {"ConnectionRefusedError", "gaierror", "TimeoutError"} or any(
        sign in told
        for sign in (
            "connection refused",
            "could not connect to server",
            "can't connect to",
            "could not translate host name",
            "name or service not known",
        )
    ):
        return _cause(
            "no-connection",
            f"The application could not reach a service it needs: {parsed.message}.",
            "Check the address in the site's settings. 127.0.0.1 is the site's own sandbox: services of the machine have another address.",
            parsed,
            failure,
        )
    return None


def _port(parsed: ParsedTraceback, failure: Failure, _: Evidence) -> Cause | None:
    binds = any(re.search(r"bind", frame.code + frame.function) for frame in parsed.frames)
    if not binds or ("Address already in use" not in parsed.message and "Errno 13" not in parsed.message):
        return None
    what = "that another process has" if "in use" in parsed.message else "below 1024, which no site may open"
    return _cause(
        "port",
        f"The application wants to listen on a port {what}.",
        "Let it listen on the port that it is given: HTTP_PLATFORM_PORT in its environment, "
        "%HTTP_PLATFORM_PORT% in its arguments.",
        parsed,
        failure,
    )


def _database(parsed: ParsedTraceback, failure: Failure, _: Evidence) -> Cause | None:
    table = re.search(r"no such table: (\S+)|relation \"([^\"]+)\" does not exist", parsed.message)
    if table:
        return _cause(
            "missing-table",
            f"The database has no table '{table[1] or table[2]}'.",
            "Run the migrations, in the console: python manage.py migrate (Django), flask db upgrade.",
            parsed,
            failure,
        )
    if "unable to open database file" in parsed.message:
        return _cause(
            "database-file",
            "SQLite cannot open its database file: its folder does not exist, or the path is one of Windows.",
            "Put it below /home, for example os.path.join(os.environ['HOME'], 'data', 'db.sqlite3').",
            parsed,
            failure,
        )
    return None


def _memory(parsed: ParsedTraceback, failure: Failure, evidence: Evidence) -> Cause | None:
    if parsed.type != "MemoryError":
        return None
    return _cause(
        "memory",
        f"The application ran out of memory{_while(failure)}.",
        f"Give the site more: {_more_memory(evidence)}",
        parsed,
        failure,
    )


_EXPLANATIONS: tuple[Explain, ...] = (
    _missing_library,
    _missing_module,
    _import_name,
    _syntax,
    _handler,
    _shadowed,
    _django,
    _setting,
    _port,
    _file,
    _database,
    _connection,
    _memory,
)


def _cause(
    code: str, headline: str, remedy: str, parsed: ParsedTraceback, failure: Failure, *, file: str = ""
) -> Cause:
    """Make a cause with the traceback's own line as evidence."""
    own = parsed.last_below(CONTENT)
    frame = own or (parsed.frames[-1] if parsed.frames else None)
    pairs = [("exception", _exception(parsed))]
    if frame is not None:
        pairs.append(("line", _frame(frame)))
    if failure.method:
        pairs.append(("request", f"{failure.method} {failure.path}"))
    if failure.python:
        pairs.append(("python", failure.python))
    if failure.id:
        pairs.append(("failure", f"/failures/{failure.id}"))
    return Cause(
        code=code,
        headline=headline,
        remedy=remedy,
        file=file or (_below(own.file) if own else ""),
        line=own.line if own and not file else 0,
        time=failure.time,
        evidence=tuple(pairs),
    )


def _placed(cause: Cause, frame: Frame) -> Cause:
    pairs = tuple(
        ("line", _frame(frame)) if name == "line" else (name, text) for name, text in cause.evidence
    )
    return Cause(
        code=cause.code,
        headline=cause.headline,
        remedy=cause.remedy,
        file=_below(frame.file),
        line=frame.line,
        time=cause.time,
        evidence=pairs,
    )


def _below(path: str) -> str:
    return posixpath.normpath(path).removeprefix(f"{CONTENT}/")


def _frame(frame: Frame) -> str:
    code = f": {frame.code}" if frame.code else ""
    return f"{_below(frame.file)}:{frame.line}{code}"[:400]


def _exception(parsed: ParsedTraceback) -> str:
    return ": ".join(part for part in (parsed.type, parsed.message) if part)[:600]


def _while(failure: Failure) -> str:
    return (
        " while it was starting"
        if failure.kind == "startup"
        else f" in {failure.method} {failure.path}".rstrip()
    )


# Answers of the site's own web server ---------------------------------------------------------------------------------

_ANSWERS = {
    "closed": (
        "closed the connection before its answer was whole",
        "Its process may have ended, or its worker was killed: look at what it printed then: homeport logs {site}",
    ),
    "timeout": (
        "was silent for longer than requestTimeout allows",
        "Look at what it waits for (homeport logs {site}); if it needs that long, raise requestTimeout of <httpPlatform>.",
    ),
    "too-large": (
        "sent more headers than fit",
        "Set fewer or smaller headers; most often these are cookies.",
    ),
    "unreadable": (
        "answered with something that is no HTTP",
        "Correct the status line and headers that it sends; is the port for HTTP, not for TLS or something else?",
    ),
}


def _from_answer(fault: AnswerFault, evidence: Evidence) -> Cause:
    what, remedy = _ANSWERS.get(fault.kind, ("gave no answer", "Look at its output: homeport logs {site}"))
    return Cause(
        code=f"answer-{fault.kind}",
        headline=f"The site's web server {what}.",
        remedy=remedy.format(site=evidence.site),
        file="web.config" if fault.kind == "timeout" else "",
        time=fault.time,
        evidence=(("request", fault.request), ("said", fault.said)),
    )


# Pools ---------------------------------------------------------------------------------------------------------------


def _from_port(pool: PoolFact, evidence: Evidence) -> Cause | None:
    fact = pool.port_never_opened
    if fact is None:
        return None
    command = f" ({fact.command})" if fact.command else ""
    instead = f" {fact.instead[:1].upper()}{fact.instead[1:].rstrip('.')}." if fact.instead else ""
    stood = fact.standing_at and not fact.instead
    return Cause(
        code="port-never-opened",
        headline=f"The process{command} did not listen on port {fact.port} within {fact.seconds:g} s.{instead}",
        remedy=("Look at where it was: it does not listen before that is over. " if stood else "")
        + "Let it listen on the port in %HTTP_PLATFORM_PORT% (HTTP_PLATFORM_PORT in its environment), at 127.0.0.1; "
        "if it only needs longer, raise startupTimeLimit of <httpPlatform>.",
        file="web.config",
        evidence=((("where it was", fact.standing_at),) if stood else ()) + _tail(pool, evidence),
    )


def _from_pool(pool: PoolFact, evidence: Evidence) -> Cause | None:
    reason = pool.reason
    if not reason or "see its newest failure" in reason or pool.port_never_opened is not None:
        return None
    tail = _tail(pool, evidence)
    limit = re.search(r"not ready ([\d.]+) s|than (\w+Timeout) \(([\d.]+) s\)", reason)
    if limit:
        name, seconds = limit[2] or "requestTimeout", limit[1] or limit[3]
        stack = _stack_line(pool, evidence)
        return Cause(
            code="start-time-limit" if limit[1] else "request-time-limit",
            headline=f"The application was not ready {seconds} s after its start and was ended ({name})."
            if limit[1]
            else f"A request took longer than {name} allows ({seconds} s), and its process was ended.",
            remedy=f"Look at where it was; if it needs that long, raise {name} of its <application> in <fastCgi>.",
            file="web.config",
            evidence=((("where it was", stack),) if stack else ()) + tail,
        )
    ending = re.search(r"ended (before it was ready |before it listened |by itself )?\((.+?)\)", reason)
    if ending:
        told = _from_output(pool, evidence)
        if told is not None:
            return told
        starting = (ending[1] or "").startswith("before")
        when = "while it was starting" if starting else "by itself" if ending[1] else "in a request"
        if evidence.memory_kills and _was_killed(ending[2]):
            return _out_of_memory(when, evidence, tail)
        return Cause(
            code="process-ended",
            headline=f"The process ended {when}: {ending[2]}.",
            remedy=_ending_remedy(ending[2], evidence),
            evidence=tail,
        )
    return Cause(
        code="pool",
        headline=_sentence(reason),
        remedy=f"The last lines tell more; all of them: homeport logs {evidence.site}",
        evidence=tail,
    )


def _from_output(pool: PoolFact, evidence: Evidence) -> Cause | None:
    """Explain the traceback that a process wrote before it ended: a web server of the site's own makes no report."""
    text = "\n".join(_newest_output(_lines_of(pool, evidence)))
    if "Traceback (most recent call last):" not in text:
        told = explain_output(text, ending=pool.reason, evidence=evidence)
        return None if told is None else replace(told, evidence=_tail(pool, evidence))
    parsed = parse_traceback(text)
    if parsed is None:
        return None
    written = Failure(
        id="", time="", headline="", traceback=text, kind="startup", python="", handler="", method="", path=""
    )
    cause = _from_failure(written, evidence)
    return replace(cause, evidence=(*cause.evidence, *_tail(pool, evidence)))


def _newest_output(lines: Sequence[str]) -> list[str]:
    """Give what the last process wrote: the platform's own lines, one for each end, stand between processes."""
    found: list[str] = []
    ends = 0
    for line in reversed(lines):
        if _MARK not in line:
            found.append(line)
            continue
        ends += _is_end(line)
        if found or ends > 1:  # two ends in a row: the last process wrote nothing
            break
    return found[::-1]


def _is_end(line: str) -> bool:
    return _MARK in line and any(sign in line for sign in _ENDS)


def _ending_remedy(ending: str, evidence: Evidence) -> str:
    if _was_killed(ending):
        return (
            "It was killed from outside: most often the site's memory limit. Let the application use less, "
            f"or raise it: {_more_memory(evidence)}"
        )
    if any(sign in ending for sign in ("SIGSEGV", "signal 11", "SIGABRT", "signal 6", "SIGBUS")):
        return "A compiled package crashed: install its newest version for this Python, and look at what ran last."
    if ending == "exit code 0":
        return "It ended without an error: it was done, or went on in the background. A server has to stay in the foreground."
    return "It ended itself (sys.exit, os._exit): the last lines of its output tell why."


def _was_killed(ending: str) -> bool:
    return "SIGKILL" in ending or "signal 9" in ending


def _out_of_memory(when: str, evidence: Evidence, tail: tuple[tuple[str, str], ...]) -> Cause:
    limit = f" ({evidence.memory_limit // 2**20} MB)" if evidence.memory_limit else ""
    return Cause(
        code="memory",
        headline=f"The process was killed {when}: the site used more memory than it may have{limit}.",
        remedy="Let the application hold less at once, or run fewer processes: "
        "maxInstances, processesPerApplication and a server's own workers share the limit. "
        f"Or raise it: {_more_memory(evidence)}",
        evidence=tail,
    )


def _more_memory(evidence: Evidence) -> str:
    """Give the command that doubles the site's memory."""
    if evidence.memory_limit is None:
        return f"homeport site limits {evidence.site} --memory MEGABYTES"
    return f"homeport site limits {evidence.site} --memory {2 * evidence.memory_limit // 2**20}"


def _tail(pool: PoolFact, evidence: Evidence) -> tuple[tuple[str, str], ...]:
    own = [line for line in _lines_of(pool, evidence) if line.strip()][-_LAST_LINES:]
    return (("last output", "\n".join(own)),) if own else ()


def _lines_of(pool: PoolFact, evidence: Evidence) -> Sequence[str]:
    """Give the output of the process of a pool that failed last.

    Where processes write files of their own (stdoutLogFile), the newest may be that of another process. The pool's log
    tells which it is: the platform writes the last words of a process behind the line that tells of its end.
    """
    logs = [log for log in evidence.logs if log.pool == pool.id]
    own = logs[-1].lines if logs else ()
    ends = [number for number, line in enumerate(logs[0].lines) if _is_end(line)] if len(logs) > 1 else []
    if not ends:
        log = _log_of(pool, evidence)
        return log.lines if log else ()
    last_words = [line for line in logs[0].lines[ends[-1] + 1 :] if _MARK not in line and line.strip()]
    whole = bool(last_words) and last_words[-1] in own[-_LAST_LINES:]
    return own if whole else last_words


def _log_of(pool: PoolFact, evidence: Evidence) -> PoolLog | None:
    found = [log for log in evidence.logs if log.pool == pool.id]
    return next((log for log in reversed(found) if log.lines), None)


def _stack_line(pool: PoolFact, evidence: Evidence) -> str:
    """Find the innermost line of the application among the stacks that a killed worker wrote to its log."""
    log = _log_of(pool, evidence)
    for number, line in enumerate(log.lines if log else ()):
        match = re.search(rf'File "({CONTENT}/[^"]+)", line (\d+) in (\S+)', line)
        if match and "site-packages" not in match[1]:
            later = log.lines[number + 1 :] if log else ()
            if not any(_MARK in each and "killed" in each for each in later):
                return f"{_below(match[1])}:{match[2]} in {match[3]}"
    return ""


def _sentence(text: str) -> str:
    text = text.strip()[:600]
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!")) else ".")
