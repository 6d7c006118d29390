"""From a site's web.config files to its HostingPlan."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from homeport.model.finding import Finding, Severity
from homeport.webconfig.application_host import ApplicationHost, read_application_host
from homeport.webconfig.bounds import MOST_FILES, MOST_RULES, remembering
from homeport.webconfig.detection import (
    FILE,
    Interface,
    choose_server,
    configuration_for,
    findings_for,
    has_application_handler,
    newest,
    site_packages,
    wsgi_handler,
)
from homeport.webconfig.document import Document, Element, parse_document
from homeport.webconfig.environments import environment_of
from homeport.webconfig.folder_settings import FolderSettings, too_large
from homeport.webconfig.http_pools import compile_http_pool
from homeport.webconfig.inheritance import Layer, build_chain
from homeport.webconfig.locking import uses_locks
from homeport.webconfig.plan import (
    Action,
    AnswerOptions,
    ConfigurationTree,
    FastCgi,
    FastCgiPool,
    HostingPlan,
    HttpPool,
    Place,
    ProxyToPool,
    Refuse,
    Rule,
    SiteFacts,
    StaticFiles,
)
from homeport.webconfig.pools import PoolCompiler
from homeport.webconfig.reading import Fault
from homeport.webconfig.rewriting.rules import FolderRules
from homeport.webconfig.schema import check_document
from homeport.webconfig.sections.app_settings import check_app_settings
from homeport.webconfig.sections.configuration import TABLE
from homeport.webconfig.sections.connection_strings import (
    misplaced_connection_strings,
    read_connection_strings,
)
from homeport.webconfig.sections.fast_cgi import Application, read_applications
from homeport.webconfig.sections.handlers import Handler, HandlerList, RequiredAccess, apply_handlers
from homeport.webconfig.sections.http_platform import (
    HttpPlatform,
    apply_http_platform,
    http_platform_findings,
)
from homeport.webconfig.sections.outbound_rules import too_much_outbound
from homeport.webconfig.sections.rewrite import (
    MOST_REWRITE_RULES,
    Rewriting,
    apply_rewrite,
    distinct_rules,
)
from homeport.webconfig.settings_reader import LayerFault, SettingsReader

_UNREADABLE = "Until then every request to its folder is answered with 500.19."
_DENIALS = {
    RequiredAccess.READ: ("Read", 2),
    RequiredAccess.WRITE: ("Write", 3),
    RequiredAccess.SCRIPT: ("Script", 1),
    RequiredAccess.EXECUTE: ("Execute", 1),
}
_MOST_REFUSED_READ = 20
"""Folders that are refused and read on all the same."""
_Read = TypeVar("_Read")
_ASP_NET_CORE = "It hosts .NET applications; for another program name the module httpPlatformHandler and configure <httpPlatform>."
_FOREIGN = {
    "aspnetcore": _ASP_NET_CORE,
    "aspnetcoremodule": _ASP_NET_CORE,
    "aspnetcoremodulev2": _ASP_NET_CORE,
    "cgimodule": "CGI programs are not supported; use FastCGI.",
    "isapimodule": "ISAPI extensions are Windows libraries and cannot run here.",
}


def compile_plan(
    tree: ConfigurationTree, facts: SiteFacts, *, host: ApplicationHost | None = None
) -> HostingPlan:
    """Compile all web.config files of a site; nothing is raised, every problem is a finding of the plan.

    A file that IIS would answer 500.19 to makes its folder, and all below it, refuse with that status. `host` is what
    `tree.host_transforms` come to, where that is known.
    """
    return _Compiler(tree, facts, host).compile()


class _Compiler:
    def __init__(self, tree: ConfigurationTree, facts: SiteFacts, host: ApplicationHost | None) -> None:
        self._facts = facts = replace(facts, list_folder=remembering(facts.list_folder))
        self._findings: dict[Finding, None] = {}
        self._documents = {folder: self._parse(folder, data) for folder, data in tree.files.items()}
        chain, findings = build_chain(self._documents, list_folder=facts.list_folder)
        self._detected_environment: tuple[tuple[str, str], ...] = ()
        self._host = host or read_application_host(tree.host_transforms, facts)
        detected = self._detected()
        self._chain = chain.below(detected).below(self._host.layer)
        self._note([*findings, *self._host.findings])
        if not self._documents and detected is None:
            self._note([_no_web_config()])
        self._pools: dict[str, FastCgiPool] = {}
        self._http_pools: dict[str, HttpPool] = {}
        self._actions: dict[tuple[Handler, tuple[str, ...], HttpPlatform], Action] = {}
        self._settings = SettingsReader(checks_locks=uses_locks(self._documents.values()))
        self._connection_strings: tuple[tuple[str, str], ...] = ()
        self._refused = 0
        self._rewriting: dict[str, FolderRules] = {}
        self._rewritings: dict[tuple[int, ...], Rewriting | LayerFault] = {}

    def compile(self) -> HostingPlan:
        if len(self._documents) > MOST_FILES:
            return self._too_much(f"{len(self._documents)} web.config files; it may have {MOST_FILES}")
        root = self._documents.get("")
        document = root if isinstance(root, Document) else None
        if document is not None:
            self._connection_strings, findings = read_connection_strings(document)
            self._note(findings)
        applications, fault = self._applications(document)
        self._pool_compiler = PoolCompiler(
            facts=self._facts,
            root=document,
            applications=applications,
            given=frozenset(name for name, _ in (*self._host.environment, *self._detected_environment)),
        )
        places: tuple[Place, ...] = ()
        if fault:
            rules: tuple[Rule, ...] = (_refuse_all("/", fault),)
        else:
            found = self._distinct_folders()
            rules = tuple(rule for folder in reversed(found.values()) for rule in folder.rules)
            places = tuple(Place(folder=path, settings=folder.settings) for path, folder in found.items())
            if len(rules) > MOST_RULES:
                return self._too_much(f"more than {MOST_RULES} rules in all its folders")
            if sum(len(folder.rules) for folder in distinct_rules(self._rewriting)) > MOST_REWRITE_RULES:
                return self._too_much(f"more than {MOST_REWRITE_RULES} rewrite rules in all its folders")
            if too_much_outbound(distinct_rules(self._rewriting)):
                return self._too_much("too many folders with too many outbound rules of their own")
            if too_large({place.settings for place in places}):
                return self._too_much("too many folders with too many settings of their own")
        used = {rule.action.pool for rule in rules if isinstance(rule.action, FastCgi)}
        pools = tuple(self._started(pool) for pool in self._pools.values() if pool.id in used)
        return self._plan(rules, pools, places)

    def _started(self, pool: FastCgiPool) -> FastCgiPool:
        """Add what applicationHost.xdt and a detected application put into the environment of every process."""
        added = (*self._host.environment, *self._detected_environment)
        return replace(pool, environment_variables=(*added, *pool.environment_variables))

    def _detected(self) -> Layer | None:
        """Give the configuration of the application that was detected, where no web.config has a handler for one."""
        documents = [document for document in self._documents.values() if isinstance(document, Document)]
        unreadable = isinstance(self._documents.get(""), str)  # every request is answered 500.19
        if self._facts.detect is None or unreadable or any(map(has_application_handler, documents)):
            return None
        detected = self._facts.detect()
        if detected is None:
            return None
        runtime = newest(self._facts.runtimes)
        server = None
        if runtime is not None and self._facts.list_folder is not None:
            packages = site_packages(runtime, environment=environment_of(runtime, self._facts))
            server = choose_server(self._facts.list_folder(packages) or ())
        self._note(findings_for(detected, runtime, server=server))
        if runtime is None or (detected.interface is Interface.ASGI and server is None):
            return None
        if detected.interface is Interface.OWN_SERVER:
            return None
        data = configuration_for(detected, runtime, server=server or "uvicorn")
        document, _ = parse_document(data, file=FILE)
        if document is None:
            raise RuntimeError(f"the configuration of a detected application cannot be read: {data!r}")
        if detected.interface is Interface.WSGI:
            self._detected_environment = (("WSGI_HANDLER", wsgi_handler(detected)),)
        return Layer(folder="/", file=FILE, container=document.root)

    def _plan(
        self, rules: tuple[Rule, ...], pools: tuple[FastCgiPool, ...] = (), places: tuple[Place, ...] = ()
    ) -> HostingPlan:
        self._note(self._settings.findings)
        proxied = {rule.action.pool for rule in rules if isinstance(rule.action, ProxyToPool)}
        return HostingPlan(
            rules=rules,
            pools=pools,
            findings=tuple(self._findings),
            places=places,
            connection_strings=self._connection_strings,
            rewriting=distinct_rules(self._rewriting) if places else (),
            http_pools=tuple(
                replace(pool, environment_variables=(*self._host.environment, *pool.environment_variables))
                for pool in self._http_pools.values()
                if pool.id in proxied
            ),
        )

    def _too_much(self, what: str) -> HostingPlan:
        finding = Finding(
            severity=Severity.ERROR, code="webconfig.too-many-entries", message=f"The site has {what}."
        )
        self._note([finding])
        return self._plan((_refuse_all("/", finding.code),))

    def _note(self, findings: Iterable[Finding]) -> None:
        self._findings |= dict.fromkeys(findings)

    def _parse(self, folder: str, data: bytes) -> Document | str:
        file = f"{folder}/web.config".lstrip("/")
        document, findings = parse_document(data, file=file)
        if document is None:
            self._note(replace(each, remedy=f"{each.remedy} {_UNREADABLE}".strip()) for each in findings)
            return findings[0].code
        self._note(findings)
        self._note(check_document(document, TABLE))
        self._note(misplaced_connection_strings(document))
        if not folder:
            self._note(check_app_settings(document))
        elif any(element.name == "appSettings" for element in document.root.below()):
            self._note([_settings_below_root(file)])
        return document

    def _applications(self, root: Document | None) -> tuple[tuple[Application, ...], str]:
        """Read what the site's own web.config registers; elsewhere IIS has no place for it."""
        applications: list[Application] = []
        fault = ""
        for layer in self._chain.layers:
            for section in layer.sections("system.webServer", "fastCgi"):
                if root is None or layer.container is not root.root:
                    self._note([_fast_cgi_below_root(layer.file, section.line)])
                    continue
                try:
                    applications += read_applications(section)
                except Fault as problem:
                    self._note([problem.finding(layer.file)])
                    fault = problem.code
        return (*applications, *self._host.applications), fault

    def _distinct_folders(self) -> "dict[str, _Folder]":
        """Give what holds in each folder, parents first, without those in which everything is as in their parent.

        Stops where the rules are more than a site may have.
        """
        found: dict[str, _Folder] = {}
        for path in self._chain.folders:
            folder = self._folder(path)
            parent = max((known for known in found if path.startswith(known)), key=len, default=None)
            if parent is None or folder != found[parent].below(path):
                found[path] = folder
            if sum(len(known.rules) for known in found.values()) > MOST_RULES:
                break
        return found

    def _folder(self, path: str) -> "_Folder":
        layers = self._chain.layers_of(path)
        self._rewriting[path] = FolderRules(folder=path)
        broken = next((layer for layer in layers if layer.fault), None)
        if broken is not None:
            return _Folder(rules=(_refuse_all(path, broken.fault),))
        settings = self._read(self._settings.read, layers)
        if isinstance(settings, LayerFault) and not self._reads_on():
            return _Folder(rules=(_refuse_all(path, settings.finding.code),))
        handlers = self._read(self._handlers, layers)
        rewriting = self._read(partial(self._rewrite_rules, path), layers)
        platform = self._read(self._http_platform, layers)
        rules: tuple[Rule, ...] = ()
        if isinstance(handlers, HandlerList) and isinstance(platform, HttpPlatform):
            known = settings if isinstance(settings, FolderSettings) else FolderSettings()
            rules = tuple(
                self._rule(path, handler, handlers, known, platform)
                for handler in handlers.handlers
                if handler.holds
            )
        faults = (read for read in (settings, handlers, rewriting, platform) if isinstance(read, LayerFault))
        if (fault := next(faults, None)) is not None:
            return _Folder(rules=(_refuse_all(path, fault.finding.code),))
        assert isinstance(settings, FolderSettings)
        assert isinstance(rewriting, FolderRules)
        self._rewriting[path] = rewriting
        return _Folder(rules=rules or (_no_handler(path),), settings=settings)

    def _reads_on(self) -> bool:
        """Tell whether a folder that is refused is read to its end, so that all its faults are told at once."""
        self._refused += 1
        return self._refused <= _MOST_REFUSED_READ

    def _read(self, read: Callable[[Sequence[Layer]], _Read], layers: Sequence[Layer]) -> _Read | LayerFault:
        try:
            return read(layers)
        except LayerFault as fault:
            self._note([fault.finding])
            return fault

    def _handlers(self, layers: Iterable[Layer]) -> HandlerList:
        handlers = HandlerList()
        for layer in layers:
            for section in layer.sections("system.webServer", "handlers"):
                try:
                    handlers, findings = apply_handlers(section, handlers, base=layer.folder, file=layer.file)
                except Fault as fault:
                    raise LayerFault(fault.finding(layer.file)) from fault
                self._note(findings)
        return handlers

    def _rewrite_rules(self, path: str, layers: Iterable[Layer]) -> FolderRules:
        applied: tuple[int, ...] = ()
        rewriting = Rewriting()
        for layer in layers:
            for section in layer.sections("system.webServer", "rewrite"):
                applied = (*applied, id(section))
                # Each list is read once: a tenant decides how many folders inherit it.
                known = self._rewritings.get(applied)
                if known is None:
                    known = self._rewritings[applied] = self._apply_rewrite(section, rewriting, layer)
                if isinstance(known, LayerFault):
                    raise known
                rewriting = known
        return rewriting.folder(path)

    def _apply_rewrite(self, section: Element, inherited: Rewriting, layer: Layer) -> Rewriting | LayerFault:
        try:
            rewriting, findings = apply_rewrite(section, inherited, base=layer.folder, file=layer.file)
        except Fault as fault:
            return LayerFault(fault.finding(layer.file))
        self._note(findings)
        return rewriting

    def _http_platform(self, layers: Iterable[Layer]) -> HttpPlatform:
        platform = HttpPlatform()
        for layer in layers:
            for section in layer.sections("system.webServer", "httpPlatform"):
                try:
                    platform = apply_http_platform(section, platform, folder=layer.folder, file=layer.file)
                except Fault as fault:
                    raise LayerFault(fault.finding(layer.file)) from fault
                self._note(http_platform_findings(section, file=layer.file))
        return platform

    def _rule(
        self,
        folder: str,
        handler: Handler,
        handlers: HandlerList,
        settings: FolderSettings,
        platform: HttpPlatform,
    ) -> Rule:
        denial = _denial(handler, handlers)
        return Rule(
            folder=folder,
            path=handler.path,
            base=handler.base,
            verbs=handler.verbs,
            resource_type=handler.resource_type,
            action=denial or self._action(handler, settings.default_document.tried, platform),
            handler=handler.name,
            file=handler.file,
            line=handler.line,
        )

    def _action(self, handler: Handler, documents: tuple[str, ...], platform: HttpPlatform) -> Action:
        key = (handler, documents, platform)
        known = self._actions.get(key)
        if known is None:
            known = self._actions[key] = self._compile_action(handler, documents, platform)
        return known

    def _compile_action(self, handler: Handler, documents: tuple[str, ...], platform: HttpPlatform) -> Action:
        for module in (name.lower() for name in handler.modules):
            if module == "fastcgimodule":
                return self._fast_cgi(handler)
            if module == "httpplatformhandler":
                return self._http_pool(handler, platform)
            if module in {"staticfilemodule", "defaultdocumentmodule"}:
                tried = documents if _has(handler, "defaultdocumentmodule") else ()
                return StaticFiles(default_documents=tried)
            if module == "protocolsupportmodule":
                return AnswerOptions()
        finding = _foreign(handler)
        self._note([finding])
        return Refuse(status=500, code=finding.code)

    def _http_pool(self, handler: Handler, platform: HttpPlatform) -> Action:
        result = compile_http_pool(handler, platform, self._facts)
        self._note(result.findings)
        if result.pool is not None:
            self._http_pools[result.pool.id] = result.pool
        return result.action

    def _fast_cgi(self, handler: Handler) -> Action:
        result = self._pool_compiler.compile(handler)
        self._note(result.findings)
        if result.pool is not None:
            self._pools[result.pool.id] = result.pool
        return result.action


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """What holds in one folder."""

    rules: tuple[Rule, ...]
    settings: FolderSettings = field(default_factory=FolderSettings)

    def below(self, path: str) -> "_Folder":
        """Give what a folder below this one has where nothing is said about it."""
        return replace(self, rules=tuple(replace(rule, folder=path) for rule in self.rules))


def _denial(handler: Handler, handlers: HandlerList) -> Refuse | None:
    """A handler is chosen first and may then lack the right to run (IIS reference §1.7)."""
    if handler.required_access is RequiredAccess.NONE:
        return None
    flag, sub_status = _DENIALS[handler.required_access]
    if flag in handlers.access or (flag == "Script" and "Execute" in handlers.access):
        return None
    return Refuse(status=403, sub_status=sub_status, code="webconfig.access-policy")


def _has(handler: Handler, module: str) -> bool:
    return module in {name.lower() for name in handler.modules}


def _refuse_all(folder: str, code: str) -> Rule:
    return Rule(folder=folder, action=Refuse(status=500, sub_status=19, code=code))


def _no_handler(folder: str) -> Rule:
    """A folder whose list was cleared answers 404.4; it must not fall back on its parent's rules."""
    return Rule(folder=folder, action=Refuse(status=404, sub_status=4))


def _foreign(handler: Handler) -> Finding:
    what = ", ".join(handler.modules) or handler.type or "ManagedPipelineHandler"
    reasons = [_FOREIGN[module.lower()] for module in handler.modules if module.lower() in _FOREIGN]
    if not reasons and "WebSocketProxy" in handler.type:
        reasons = ["Remote debugging through web.config is not supported yet."]
    return Finding(
        severity=Severity.ERROR,
        code="webconfig.unsupported-handler",
        message=f"Handler '{handler.name}' needs {what}, which is not there: its requests are answered with 500. "
        + (reasons[0] if reasons else ".NET handlers and other modules cannot run here."),
        file=handler.file,
        line=handler.line,
        remedy="Remove the handler if the site can do without it.",
    )


def _no_web_config() -> Finding:
    return Finding(
        severity=Severity.INFO,
        code="webconfig.none",
        message="There is no web.config: the files of the site are served as they are, and nothing runs.",
        remedy="To run an application, add a web.config with a handler, or a module such as app.py or main.py "
        "that makes 'app' or 'application'.",
    )


def _settings_below_root(file: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.passed-over",
        message="<appSettings> in a folder of the site changes nothing: wfastcgi reads the site's own web.config only.",
        file=file,
        remedy="Move the settings there.",
    )


def _fast_cgi_below_root(file: str, line: int) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.passed-over",
        message="<fastCgi> holds for whole sites: in a <location> or in a folder it changes nothing.",
        file=file,
        line=line,
        remedy="Move it to the site's own web.config, outside <location>.",
    )
