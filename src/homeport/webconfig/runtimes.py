"""Which of a site's Pythons runs what web.config names (decision 4)."""

from dataclasses import dataclass, replace

from homeport.model.finding import Finding, Severity
from homeport.model.site import InstalledRuntime
from homeport.webconfig.environments import SETTING, environment_of, named_environment
from homeport.webconfig.plan import SiteFacts
from homeport.windows.interpreters import Interpreter, InterpreterKind

_EXAMPLE_ID = "python3117x64"
MISSING_RUNTIME = "webconfig.missing-runtime"
OTHER_RUNTIME = "webconfig.other-runtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeChoice:
    """The Python to use, or None and an error among the findings; they have neither file nor line yet.

    `environment` is the virtual environment below /home that it runs in, empty for none.
    """

    runtime: InstalledRuntime | None
    finding: Finding | None = None
    environment: str = ""

    @property
    def programs(self) -> str:
        """The folder of its programs in the sandbox."""
        return f"/home/{self.environment or (self.runtime.folder if self.runtime else '')}/bin"


def choose_runtime(interpreter: Interpreter, named: str, facts: SiteFacts) -> RuntimeChoice:
    """Find the Python for an interpreter that web.config names as `named`.

    In this order: the virtual environment itself, where it runs here; the folder itself; the only one of the same minor version; the only one there is, with a warning;
    else none, with an error that gives the command to install it. A name without a folder (`python`) takes the only
    one in silence. A setting of the site may put any of them into a virtual environment.
    """
    if found := named_environment(interpreter, facts):
        return RuntimeChoice(runtime=found[0], environment=found[1])
    choice = _choose(interpreter, named, facts)
    if choice.runtime is None:
        return choice
    return replace(choice, environment=environment_of(choice.runtime, facts))


def _choose(interpreter: Interpreter, named: str, facts: SiteFacts) -> RuntimeChoice:
    wanted = interpreter.folder.casefold() if interpreter.kind is InterpreterKind.EXTENSION else ""
    exact = [runtime for runtime in facts.runtimes if runtime.folder.casefold() == wanted]
    if exact:
        return RuntimeChoice(runtime=exact[0])
    same_minor = [runtime for runtime in facts.runtimes if _same_minor(runtime, interpreter)]
    candidates = same_minor if len(same_minor) == 1 else list(facts.runtimes)
    if len(candidates) != 1:
        return RuntimeChoice(runtime=None, finding=_missing(interpreter, named, facts))
    runtime = candidates[0]
    if interpreter.kind is InterpreterKind.BARE:
        return RuntimeChoice(runtime=runtime)
    return RuntimeChoice(runtime=runtime, finding=_replaced(interpreter, named, facts, runtime=runtime))


def _same_minor(runtime: InstalledRuntime, interpreter: Interpreter) -> bool:
    wanted = interpreter.version[:2]
    return len(wanted) == 2 and runtime.version.split(".")[:2] == [str(part) for part in wanted]


def _replaced(
    interpreter: Interpreter, named: str, facts: SiteFacts, *, runtime: InstalledRuntime
) -> Finding:
    instead = f"it runs on {runtime.version} from {runtime.folder}"
    if interpreter.kind is InterpreterKind.ENVIRONMENT:
        message = (
            f"web.config names the virtual environment at {_folder(named)}, made on Windows, whose programs cannot "
            f"run here; {instead}."
        )
        remedy = (
            f"Install what the site needs into {runtime.folder}; packages in the environment are not used. Or have "
            f"deployments make one that runs here: homeport settings set {facts.site} {SETTING}="
            f"{interpreter.folder.rpartition('/')[2]}"
        )
    else:
        message = f"web.config names {_python(interpreter)} at {_folder(named)}, which this site does not have; {instead}."
        wanted = _extension_id(interpreter)
        remedy = f"To get it: homeport extension add {facts.site} {wanted}" if wanted else ""
    return Finding(severity=Severity.WARNING, code=OTHER_RUNTIME, message=message, remedy=remedy)


def _missing(interpreter: Interpreter, named: str, facts: SiteFacts) -> Finding:
    has = (
        "has several Pythons and not this one: " + ", ".join(runtime.folder for runtime in facts.runtimes)
        if facts.runtimes
        else "has no Python"
    )
    wanted = _extension_id(interpreter)
    remedy = (
        f"Install it: homeport extension add {facts.site} {wanted}"
        if wanted
        else f"Install one: homeport extension add {facts.site} {_EXAMPLE_ID}"
        if not facts.runtimes
        else "Name one of them in scriptProcessor."
    )
    return Finding(
        severity=Severity.ERROR,
        code=MISSING_RUNTIME,
        message=f"web.config names {_python(interpreter)} at {_folder(named)}, and this site {has}.",
        remedy=remedy,
    )


def _extension_id(interpreter: Interpreter) -> str:
    """Give the extension that brings the named Python, empty where no extension did or it is a Python 2."""
    if interpreter.kind is not InterpreterKind.EXTENSION or interpreter.version[:1] != (3,):
        return ""
    folder = interpreter.folder.casefold()
    return folder if interpreter.bits else f"{folder}x64"


def _python(interpreter: Interpreter) -> str:
    return (
        "Python " + ".".join(str(part) for part in interpreter.version[:2])
        if interpreter.version
        else "a Python"
    )


def _folder(named: str) -> str:
    text = named.strip().strip('"')
    cut = max(text.rfind("\\"), text.rfind("/"))
    return text[:cut] if cut > 0 else text
