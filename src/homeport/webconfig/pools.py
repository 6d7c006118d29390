"""From a FastCGI handler to the pool of processes that answers it."""

import hashlib
from dataclasses import asdict, dataclass, replace

from homeport.model.errors import Invalid
from homeport.model.finding import Finding, Severity
from homeport.model.site import InstalledRuntime
from homeport.webconfig.bounds import MOST_PATHS, bounded_expand
from homeport.webconfig.document import Document
from homeport.webconfig.environments import named_environment
from homeport.webconfig.plan import FastCgi, FastCgiPool, PoolKind, PoolSettings, Refuse, SiteFacts
from homeport.webconfig.runtimes import MISSING_RUNTIME, choose_runtime
from homeport.webconfig.sections.app_settings import read_app_settings
from homeport.webconfig.sections.fast_cgi import EXTENSION_SETTINGS, Application
from homeport.webconfig.sections.handlers import Handler
from homeport.webconfig.values import MappedValue, ValueMapper, content_file, known_variables
from homeport.windows.argument_paths import MappedArgument, map_arguments
from homeport.windows.interpreters import (
    Interpreter,
    InterpreterKind,
    is_virtualenv_proxy,
    is_wfastcgi,
    recognise_interpreter,
)
from homeport.windows.layout import Layout
from homeport.windows.paths import map_path
from homeport.windows.script_processor import ScriptProcessor, parse_script_processor, registered_processor
from homeport.windows.variables import windows_variables

DEFAULT_RESTART_REGEX = r".*((\.py)|(\.config))$"
_LAYOUT = Layout()
_ACTIVATE = "WSGI_ALT_VIRTUALENV_ACTIVATE_THIS"
_PROXY_SKIPPED = "webconfig.virtualenv-proxy"
_ALTERNATIVE = "WSGI_ALT_VIRTUALENV_HANDLER"
_READ_FROM_ENVIRONMENT = frozenset(
    {"WSGI_HANDLER", "WSGI_LOG", "SCRIPT_NAME", "DJANGO_SETTINGS_MODULE", _ALTERNATIVE, _ACTIVATE}
)
"""Settings whose readers take them from the environment (IIS reference §3.2, §9.3, §10.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolResult:
    """A handler's action, with its pool where it has one, and what its owner should know."""

    action: FastCgi | Refuse
    pool: FastCgiPool | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCompiler:
    """Makes the pools of one site; `root` is its own web.config, `applications` what that registers.

    `given` are the names of the variables that every process gets from elsewhere.
    """

    facts: SiteFacts
    root: Document | None = None
    applications: tuple[Application, ...] = ()
    given: frozenset[str] = frozenset()

    def compile(self, handler: Handler) -> PoolResult:
        """Give the pool that a FastCGI handler's scriptProcessor means, or a refusal that says why there is none."""
        text = bounded_expand(handler.script_processor, self._variables)
        if text is None:
            return _refused(
                handler, "value-too-long", f"Handler '{handler.name}' has a scriptProcessor that is too long."
            )
        try:
            processor = parse_script_processor(text)
        except Invalid as error:
            return _refused(handler, "no-script-processor", f"Handler '{handler.name}': {error.message}")
        if processor.program.startswith("%"):
            return _refused(
                handler,
                "unset-token",
                f"Handler '{handler.name}' names '{processor.program}', a variable that nobody has set.",
                remedy="Write the path of python.exe and wfastcgi.py.",
            )
        interpreter = _interpreter(processor)
        if interpreter is None:
            return self._program(handler, processor)
        choice = choose_runtime(self._behind_proxy() or interpreter, processor.program, self.facts)
        placed = () if choice.finding is None else (_at(choice.finding, handler),)
        if choice.runtime is None:
            return PoolResult(action=_refusal(MISSING_RUNTIME), findings=placed)
        wsgi = is_wfastcgi(processor.program) or any(is_wfastcgi(part) for part in processor.argument_list)
        defaults = EXTENSION_SETTINGS if interpreter.kind is InterpreterKind.EXTENSION else PoolSettings()
        if wsgi:
            result = self._wsgi(
                handler, processor, defaults=defaults, runtime=choice.runtime, programs=choice.programs
            )
        else:
            result = self._script(
                handler, processor, defaults=defaults, runtime=choice.runtime, programs=choice.programs
            )
        if result.pool is not None:
            result = replace(result, pool=replace(result.pool, environment=choice.environment))
        if choice.environment:  # no proxy is missed: the environment's own Python runs
            kept = tuple(finding for finding in result.findings if finding.code != _PROXY_SKIPPED)
            result = replace(result, findings=kept)
        return replace(result, findings=(*placed, *result.findings))

    def _behind_proxy(self) -> Interpreter | None:
        """Give the virtual environment that Visual Studio's proxy is to activate, where it runs here (§9.3)."""
        written = dict(read_app_settings(self.root)) if self.root else {}
        settings = {**self.facts.app_settings, **written}
        if not is_virtualenv_proxy(settings.get("WSGI_HANDLER", "")):
            return None
        folder = settings.get(_ACTIVATE, "").replace("/", "\\").rpartition("\\")[0]
        text = bounded_expand(f"{folder}\\python.exe", self._variables)
        interpreter = recognise_interpreter(text, _LAYOUT, variables={}) if text else None
        return interpreter if interpreter and named_environment(interpreter, self.facts) else None

    @property
    def _variables(self) -> dict[str, str]:
        """What `%NAME%` means in an attribute that IIS expands: the worker process's environment."""
        return windows_variables(_LAYOUT) | dict(self.facts.app_settings)

    def _wsgi(
        self,
        handler: Handler,
        processor: ScriptProcessor,
        *,
        defaults: PoolSettings,
        runtime: InstalledRuntime,
        programs: str,
    ) -> PoolResult:
        written = read_app_settings(self.root) if self.root else ()
        regexes = [value for key, value in written if key == "WSGI_RESTART_FILE_REGEX"]
        pool = self._pool(
            PoolKind.WSGI,
            processor,
            (f"{programs}/python",),
            defaults=defaults,
            runtime=runtime,
        )
        given = self.given.union(name for name, _ in pool.pool.environment_variables)
        settings, findings = self._app_settings(written, runtime=runtime, given=given)
        return PoolResult(
            action=_fast_cgi(handler, pool.pool),
            pool=replace(
                pool.pool,
                app_settings=settings,
                restart_regex=regexes[-1] if regexes else DEFAULT_RESTART_REGEX,
            ),
            findings=(*findings, *(_at(finding, handler) for finding in pool.findings)),
        )

    def _script(
        self,
        handler: Handler,
        processor: ScriptProcessor,
        *,
        defaults: PoolSettings,
        runtime: InstalledRuntime,
        programs: str,
    ) -> PoolResult:
        """A script of the site that speaks FastCGI by itself, on one of the site's Pythons."""
        arguments = self._arguments(processor)
        program = (f"{programs}/python", *(argument.value for argument in arguments))
        return self._finished(
            handler, PoolKind.PROGRAM, processor, program, defaults=defaults, runtime=runtime
        )

    def _program(self, handler: Handler, processor: ScriptProcessor) -> PoolResult:
        program = self._executable(processor.program)
        if program is None:
            return _refused(
                handler,
                "unmapped-program",
                f"Handler '{handler.name}' names the program '{processor.program}', which has no counterpart here.",
                remedy=r"Put a Linux program below D:\home and name that.",
            )
        arguments = (argument.value for argument in self._arguments(processor))
        return self._finished(
            handler,
            PoolKind.PROGRAM,
            processor,
            (program, *arguments),
            defaults=PoolSettings(),
            runtime=None,
        )

    def _finished(
        self,
        handler: Handler,
        kind: PoolKind,
        processor: ScriptProcessor,
        program: tuple[str, ...],
        *,
        defaults: PoolSettings,
        runtime: InstalledRuntime | None,
    ) -> PoolResult:
        pool = self._pool(kind, processor, program, defaults=defaults, runtime=runtime)
        findings = tuple(_at(finding, handler) for finding in pool.findings)
        return PoolResult(action=_fast_cgi(handler, pool.pool), pool=pool.pool, findings=findings)

    def _executable(self, text: str) -> str | None:
        """Find a program: a name without a folder is for the sandbox's PATH; `.exe` goes where no such file is."""
        if not {"\\", "/"} & set(text):
            return text[:-4] if text.lower().endswith(".exe") else text
        mapped = map_path(text, _LAYOUT, variables={}, list_folder=self.facts.list_folder)
        if mapped.posix is None or mapped.exists or not text.lower().endswith(".exe"):
            return mapped.posix
        bare = map_path(text[:-4], _LAYOUT, variables={}, list_folder=self.facts.list_folder)
        return bare.posix if bare.exists else mapped.posix

    def _arguments(self, processor: ScriptProcessor) -> tuple[MappedArgument, ...]:
        return map_arguments(processor.arguments, _LAYOUT, variables={}, list_folder=self.facts.list_folder)

    def _pool(
        self,
        kind: PoolKind,
        processor: ScriptProcessor,
        program: tuple[str, ...],
        *,
        defaults: PoolSettings,
        runtime: InstalledRuntime | None,
    ) -> "_Pool":
        application = self._application(processor)
        settings = application.settings(defaults) if application else defaults
        environment, findings = self._environment(application, runtime=runtime)
        monitored = self._monitored(application, processor)
        pool = FastCgiPool(
            id=pool_id(kind, processor, mark=self.facts.content.mark),
            kind=kind,
            requested=processor.program,
            program=program,
            runtime_folder=runtime.folder if runtime else None,
            environment_variables=environment,
            content=self.facts.content,
            monitored_file=monitored or "",
            **asdict(settings),
        )
        if monitored is None:
            findings = (*findings, _not_monitored())
        return _Pool(pool=pool, findings=findings)

    def _monitored(self, application: Application | None, processor: ScriptProcessor) -> str | None:
        """Give the file that monitorChangesTo names, empty where it names none; None for a file that is not watched."""
        written = (application.element.get("monitorChangesTo") or "").strip() if application else ""
        if not written:
            return ""
        beside = (
            map_path(processor.program, _LAYOUT, variables={}, list_folder=self.facts.list_folder).posix or ""
        )
        return content_file(
            written,
            variables=self._variables,
            facts=self.facts,
            directory=beside.rpartition("/")[0] or "/",
        )

    def _application(self, processor: ScriptProcessor) -> Application | None:
        """Find the registration of a pair; both halves are compared without case (IIS reference §1.8)."""
        for application in self.applications:
            registered = registered_processor(
                bounded_expand(application.full_path, self._variables) or "",
                bounded_expand(application.arguments, self._variables) or "",
            )
            if registered.key == processor.key:
                return application
        return None

    def _environment(
        self, application: Application | None, *, runtime: InstalledRuntime | None
    ) -> tuple[tuple[tuple[str, str], ...], tuple[Finding, ...]]:
        mapper = ValueMapper(
            variables=known_variables(self.facts.app_settings),
            runtime=runtime,
            list_folder=self.facts.list_folder,
        )
        pairs: list[tuple[str, str]] = []
        findings: list[Finding] = []
        for name, value in application.environment_variables if application else ():
            if name.upper() == "PYTHONHOME":
                findings.append(_python_home())
                continue
            mapped = mapper.environment(name, value)
            pairs.append((name, mapped.text))
            findings += mapped.findings
        return tuple(pairs), tuple(findings)

    def _app_settings(
        self, written: tuple[tuple[str, str], ...], *, runtime: InstalledRuntime, given: frozenset[str]
    ) -> tuple[tuple[tuple[str, str], ...], tuple[Finding, ...]]:
        mapper = ValueMapper(
            variables=known_variables(self.facts.app_settings, written),
            runtime=runtime,
            list_folder=self.facts.list_folder,
        )
        pairs: list[tuple[str, str]] = []
        findings: list[Finding] = []
        known = dict(written)
        if sum(value.count(";") for key, value in written if key.upper() == "PYTHONPATH") > MOST_PATHS:
            findings.append(_too_many_paths())
            written = tuple(pair for pair in written if pair[0].upper() != "PYTHONPATH")
        for key, value in written:
            if key.upper() == "PYTHONHOME":
                findings.append(_python_home())
                continue
            mapped = self._setting(mapper, key, value, written=known)
            pairs.append((key, mapped.text))
            findings += mapped.findings
        pairs = _with_usual_names(pairs)
        if not any("WSGI_HANDLER" in names for names in (dict(pairs), self.facts.app_settings, given)):
            findings.append(_no_wsgi_handler(self.facts.site))
        file = self.root.file if self.root else ""
        return tuple(pairs), tuple(replace(finding, file=file) for finding in findings)

    def _setting(self, mapper: ValueMapper, key: str, value: str, *, written: dict[str, str]) -> MappedValue:
        alternative = written.get(_ALTERNATIVE) or self.facts.app_settings.get(_ALTERNATIVE)
        if key == "WSGI_HANDLER" and is_virtualenv_proxy(value) and alternative:
            return MappedValue(text=alternative, findings=(_proxy_skipped(alternative),))
        return mapper.setting(key, value)


def _with_usual_names(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Add settings that are read from the environment under their usual names: letter case is nothing on Windows."""
    written = {key for key, _ in pairs}
    usual = [(key.upper(), value) for key, value in pairs if key.upper() in _READ_FROM_ENVIRONMENT]
    return [*pairs, *((key, value) for key, value in usual if key not in written)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    pool: FastCgiPool
    findings: tuple[Finding, ...]


def pool_id(kind: PoolKind, processor: ScriptProcessor, *, mark: str = "") -> str:
    """Name a pool after its (fullPath, arguments) pair, the same for every spelling that IIS takes for equal.

    `mark` is that of its `ContentFolder`.
    """
    text = "|".join(processor.key) + mark
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind.value}-{digest[:8]}"


def _interpreter(processor: ScriptProcessor) -> Interpreter | None:
    program = processor.program
    if is_wfastcgi(program):
        # `…\Scripts\wfastcgi.exe` runs on the Python beside it.
        cut = max(program.rfind("\\"), program.rfind("/"))
        program = f"{program[: cut + 1]}python.exe"
    found = recognise_interpreter(program, _LAYOUT, variables={})
    if found is None and any(is_wfastcgi(part) for part in processor.argument_list):
        return Interpreter(kind=InterpreterKind.FOLDER)
    return found


def _fast_cgi(handler: Handler, pool: FastCgiPool) -> FastCgi:
    return FastCgi(pool=pool.id, handler=handler.name, file=handler.file, line=handler.line)


def _refusal(code: str) -> Refuse:
    return Refuse(status=500, code=code)


def _refused(handler: Handler, code: str, message: str, *, remedy: str = "") -> PoolResult:
    finding = Finding(severity=Severity.ERROR, code=f"webconfig.{code}", message=message, remedy=remedy)
    return PoolResult(action=_refusal(finding.code), findings=(_at(finding, handler),))


def _at(finding: Finding, handler: Handler) -> Finding:
    return replace(finding, file=handler.file, line=handler.line)


def _python_home() -> Finding:
    return Finding(
        severity=Severity.INFO,
        code="webconfig.python-home",
        message="PYTHONHOME is left out: the Pythons here know where their own files are.",
    )


def _not_monitored() -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.unmapped-path",
        message="monitorChangesTo names no file of the content folder: it is not watched.",
        remedy=r"Name a file below D:\home\site\wwwroot, by its whole path.",
    )


def _too_many_paths() -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="webconfig.too-many-entries",
        message=f"PYTHONPATH has more than {MOST_PATHS} folders; it is left out.",
    )


def _proxy_skipped(handler: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=_PROXY_SKIPPED,
        message=f"The virtual environment is one for Windows; '{handler}' runs without ptvs_virtualenv_proxy.",
        remedy="Install the site's requirements into its Python.",
    )


def _no_wsgi_handler(site: str) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="webconfig.no-wsgi-handler",
        message="Neither web.config nor the site's settings have WSGI_HANDLER, so no application can start.",
        remedy=f"Add it to <appSettings>, or: homeport settings set {site} WSGI_HANDLER=app.wsgi_app",
    )
