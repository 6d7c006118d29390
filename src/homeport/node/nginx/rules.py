"""From a HostingPlan's rules to nginx locations.

Each folder of the plan is a location. nginx cannot go through a list of handlers, but a `map` is an ordered list of
patterns: it gets verb, kind of resource and path of the request, and gives the named location of the rule that matches.
Most folders have one rule that matches everything, which then stands in the folder's location itself.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from homeport.node.nginx.folder_settings import FolderConfiguration
from homeport.node.nginx.http_pools import back_to
from homeport.node.nginx.pages import answer, owner_line, page, sub_status_is
from homeport.node.nginx.rule_names import RuleName, rule_name, taken_by
from homeport.node.nginx.scm_applications import Mounted, folder_slash
from homeport.node.nginx.trace_header import TraceHeader
from homeport.node.nginx.writer import Entry, If, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.folder_settings import FolderSettings
from homeport.webconfig.plan import (
    ANY_VERB,
    Action,
    AnswerOptions,
    FastCgi,
    HostingPlan,
    ProxyToPool,
    Refuse,
    ResourceType,
    Rule,
    StaticFiles,
)
from homeport.webconfig.sections.http_errors import HttpErrors, ResponseMode

_KINDS = {
    ResourceType.FILE: "F",
    ResourceType.DIRECTORY: "D",
    ResourceType.EITHER: "[FD]",
    ResourceType.UNSPECIFIED: "[FDN]",
}
_TARGET = Variable("homeport_target")
_KIND = Variable("homeport_kind")
_DISPATCH_STATUS = "418"
"""No file and nothing in nginx answers it, and what applications answer is not looked at."""
_MOST_TOLD_APART = 200
"""Rules of a site's folders that are counted each; where there are more, equal ones of several folders are one."""
_WORDS = {
    403: ("Forbidden", "This site does not allow this."),
    404: ("Not found", "There is nothing at this address, or it may not be served."),
    500: ("Server error", "This site is not set up to answer this request."),
}

PassTo = Callable[[FastCgi | ProxyToPool], Sequence[Node]]
"""Gives the directives that hand a request to a pool."""
PassAgain = Callable[[ProxyToPool], Sequence[Node]]
"""Gives those for a request that has waited until a process of the pool was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """The rules of one folder: those that must be tried first, and the one for what is left.

    `exact`: `path` is that of a single address.
    """

    path: str
    rules: tuple[Rule, ...]
    last: Rule
    variable: Variable
    configuration: FolderConfiguration
    exact: bool = False

    @property
    def looks_at_disk(self) -> bool:
        return any(rule.resource_type is not ResourceType.UNSPECIFIED for rule in self.rules)


class _Target(NamedTuple):
    """What a location does; `counted` is the name that its requests are counted under."""

    configuration: FolderConfiguration
    action: Action
    counted: RuleName


class RuleCompiler:
    """Compiles the rules of one site.

    `pass_to` says how a pool is reached, `pass_again` how from the activator; `trace` notes who took a request;
    `most_body_bytes` bounds the bodies that the plan's settings allow. `mounted` says where below the SCM site the rules
    hold that are not a site's own.
    """

    def __init__(
        self,
        site: str,
        plan: HostingPlan,
        *,
        pass_to: PassTo,
        pass_again: PassAgain,
        trace: TraceHeader,
        most_body_bytes: int,
        mounted: Mounted | None = None,
    ) -> None:
        self._site = site
        self._mounted = mounted
        self._label = label = f"{site}{mounted.label}" if mounted else site
        self._rewrites = bool(plan.rewriting)
        self._pass_to = pass_to
        self._pass_again = pass_again
        self._trace = trace
        self._folders = _folders(site, plan, label=label, most_body_bytes=most_body_bytes)
        self._configurations = tuple(dict.fromkeys(folder.configuration for folder in self._folders))
        names = {name_of(rule) for folder in self._folders for rule in (*folder.rules, folder.last)}
        self._tells_folders_apart = len(names) <= _MOST_TOLD_APART
        targets = [
            self._target(folder, rule)
            for folder in self._folders
            for rule in (*folder.rules, *([folder.last] if _stands_apart(folder) else []))
        ]
        proxied = (target for target in self._actions() if isinstance(target[1], ProxyToPool))
        self._started = {
            target: f"@homeport_started_{at}" for at, target in enumerate(dict.fromkeys(proxied))
        }
        self._names = {target: f"@homeport_rule_{at}" for at, target in enumerate(dict.fromkeys(targets))}

    def _actions(self) -> Iterator[tuple[FolderConfiguration, Action]]:
        for folder in self._folders:
            yield from ((folder.configuration, rule.action) for rule in (*folder.rules, folder.last))

    def _target(self, folder: _Folder, rule: Rule) -> _Target:
        return _Target(folder.configuration, rule.action, self._counted(rule))

    def _counted(self, rule: Rule) -> RuleName:
        name = name_of(rule)
        return name if self._tells_folders_apart else replace(name, folder="")

    def filters(self) -> list[Node]:
        """Keep rewrite rules from a request that is refused by its own URL: its folder's location does that."""
        return [
            If(variable, (directive("break"),))
            for variable in (self._filter, *([self._visitor] if self._refuses_visitors else []))
        ]

    def maps(self) -> list[Node]:
        """Give the blocks that stand outside the server block."""
        return [
            *(node for configuration in self._configurations for node in configuration.maps()),
            *(node for configuration in self._of_files() for node in configuration.usual_file_maps()),
            *(self._refusal_maps() if self._rewrites else []),
            *(self._map(folder) for folder in self._folders if folder.rules),
        ]

    def locations(self) -> list[Node]:
        """Give the folders' locations and the named ones, with what leads from one to another."""
        nodes: list[Node] = []
        if self._names:
            nodes.append(directive("error_page", _DISPATCH_STATUS, "=", _TARGET))
        nodes += [location for folder in self._folders for location in self._locations(folder)]
        nodes += [block("location", name, body=self._body(target)) for target, name in self._names.items()]
        nodes += [
            block(
                "location",
                name,
                body=[*self._pass_again(action), *configuration.around(action, limits_body=False)],
            )
            for (configuration, action), name in self._started.items()
            if isinstance(action, ProxyToPool)
        ]
        nodes += [node for configuration in self._configurations for node in configuration.locations()]
        return nodes

    @property
    def _filter(self) -> Variable:
        return Variable(f"homeport_filter_{self._label.replace('-', '_')}")

    @property
    def _visitor(self) -> Variable:
        return Variable(f"homeport_visitor_{self._label.replace('-', '_')}")

    @property
    def _refuses_visitors(self) -> bool:
        return any(configuration.visitor for configuration in self._configurations)

    def _refusal_maps(self) -> list[Node]:
        """Choose the filter, and the refusal of visitors, of the folder that holds the path; deeper ones come first."""
        filters = {
            folder: folder.configuration.filter if folder.configuration.filtering else ""
            for folder in self._folders
        }
        visitors = {folder: folder.configuration.visitor or "" for folder in self._folders}
        chosen = [self._by_folder(self._filter, filters)]
        return [*chosen, *([self._by_folder(self._visitor, visitors)] if self._refuses_visitors else [])]

    def _by_folder(self, target: Variable, values: Mapping[_Folder, Variable | str]) -> Node:
        entries = [
            Entry(Plain(rf"~\A{re.escape(folder.path.rstrip('/'))}(?:/|\z)"), (value,))
            for folder, value in sorted(values.items(), key=lambda one: -len(one[0].path))
        ]
        return block("map", Variable("uri"), target, body=[directive("volatile"), *entries])

    def _map(self, folder: _Folder) -> Node:
        entries = [
            Entry(Plain(_key(rule)), (self._names[self._target(folder, rule)],)) for rule in folder.rules
        ]
        source = Text(Variable("request_method"), " ", _KIND, " ", Variable("uri"))
        return block("map", source, folder.variable, body=[directive("volatile"), *entries])

    def _locations(self, folder: _Folder) -> list[Node]:
        configuration = folder.configuration
        body = [
            *self._usual_files(folder),
            *configuration.filters(),
            *self._dispatch(folder),
            *self._last(folder),
        ]
        if folder.exact:
            return [block("location", "=", Plain(folder.path), body=body)]
        locations: list[Node] = [block("location", Plain(folder.path), body=body)]
        if folder.path != "/":
            locations.append(block("location", "=", Plain(folder.path.rstrip("/")), body=body))
        return locations

    def _of_files(self) -> Iterable[FolderConfiguration]:
        return dict.fromkeys(folder.configuration for folder in self._folders if _reads_files(folder))

    def _usual_files(self, folder: _Folder) -> list[Node]:
        """Serve most files after one look at the request."""
        usual = folder.configuration.usual_file
        if usual is None or not _reads_files(folder):
            return []
        return [If(usual, (*self._took(self._target(folder, folder.last)), directive("break")))]

    def _last(self, folder: _Folder) -> Sequence[Node]:
        if not _stands_apart(folder):
            return self._body(self._target(folder, folder.last))
        name = self._names[self._target(folder, folder.last)]
        return [
            directive("error_page", _DISPATCH_STATUS, "=", _TARGET),
            directive("set", _TARGET, name),
            directive("return", _DISPATCH_STATUS),
        ]

    def _dispatch(self, folder: _Folder) -> list[Node]:
        if not folder.rules:
            return []
        kind: list[Node] = [directive("set", _KIND, "N")]
        if folder.looks_at_disk:
            kind += [
                If(
                    None, (directive("set", _KIND, "F"),), operator="-f", operand=Variable("request_filename")
                ),
                If(
                    None, (directive("set", _KIND, "D"),), operator="-d", operand=Variable("request_filename")
                ),
            ]
        own = folder.configuration.errors.are_own and not _stands_apart(folder)
        return [
            # error_page is inherited only where there is none.
            *([directive("error_page", _DISPATCH_STATUS, "=", _TARGET)] if own else []),
            *kind,
            directive("set", _TARGET, folder.variable),
            If(_TARGET, (directive("return", _DISPATCH_STATUS),)),
        ]

    def _took(self, target: _Target) -> list[Node]:
        return [taken_by(target.counted), *self._trace.took(target.action)]

    def _body(self, target: _Target) -> Sequence[Node]:
        configuration, action, _ = target
        return [
            *self._took(target),
            *configuration.before(action),
            *self._action(configuration, action),
            *configuration.around(action),
            *([back_to(self._started[configuration, action])] if isinstance(action, ProxyToPool) else []),
        ]

    def _action(self, configuration: FolderConfiguration, action: Action) -> Sequence[Node]:
        match action:
            case FastCgi() | ProxyToPool():
                return self._pass_to(action)
            case StaticFiles():
                slash = [] if self._mounted is None else [folder_slash(self._mounted)]
                return [*slash, *_static(action, configuration)]
            case AnswerOptions():
                verbs = "GET, HEAD, OPTIONS"
                return [
                    directive("add_header", "Allow", verbs),
                    directive("add_header", "Public", verbs),
                    directive("return", "200", ""),
                ]
            case Refuse():
                return self._refuse(configuration, action)

    def _refuse(self, configuration: FolderConfiguration, action: Refuse) -> Sequence[Node]:
        if action.status == 404 or configuration.errors.has_page(action.status):
            return configuration.errors.refusal(str(action.status), sub_status=str(action.sub_status))
        title, text = _WORDS[action.status]
        owner = owner_line(self._site, code=action.code)
        return [
            sub_status_is(str(action.sub_status)),
            *answer(str(action.status), page(title, text, owner=owner)),
        ]


def name_of(rule: Rule) -> RuleName:
    """Name a rule for metrics; a refusal that is no handler's by the finding that explains it."""
    match rule.action:
        case FastCgi(pool=pool) | ProxyToPool(pool=pool):
            return rule_name("handlers", rule.handler, folder=rule.folder, pool=pool)
        case Refuse(code=code) if code and not rule.handler:
            return rule_name("web.config", code, folder=rule.folder)
    return rule_name("handlers", rule.handler, folder=rule.folder)


def pattern(rule: Rule) -> str:
    r"""Give the regular expression (without case, `.` for any character, anchored by the caller) of a rule's path.

    IIS reference §1.5: `*` is every URL; `*.ext` and other names with wildcards hold for the last segment; a plain
    name is a segment at any depth, what follows it is path info; with a slash the path is relative to the folder.
    """
    base = re.escape(rule.base)
    path = rule.path.lstrip("/")
    if path == "*":
        return f"(?:{base}.*|{re.escape(rule.base.rstrip('/'))})"
    if "/" in path:
        return base + _glob(path, any_character=".")
    if path == "*.":
        return rf"{base}(?:.*/)?[^/.]*"
    if "*" in path or "?" in path:
        return f"{base}(?:.*/)?{_glob(path, any_character='[^/]')}"
    return f"{base}(?:.*/)?{re.escape(path)}(?:/.*)?"


def _glob(path: str, *, any_character: str) -> str:
    """Translate a pattern so that no URL makes it slow: nginx matches for all sites.

    Between two `*` the first place that fits is as good as any later one, so those groups need never be tried
    again (`(?>…)`); only the piece behind the last `*` is tied to the end.
    """
    pieces = [
        "".join(any_character if character == "?" else re.escape(character) for character in piece)
        for piece in re.split(r"\*+", path)
    ]
    if len(pieces) == 1:
        return pieces[0]
    first, *middle, last = pieces
    return first + "".join(f"(?>{any_character}*?{piece})" for piece in middle) + f"{any_character}*{last}"


def _key(rule: Rule) -> str:
    verbs = "[^ ]+" if ANY_VERB in rule.verbs else f"(?:{'|'.join(re.escape(verb) for verb in rule.verbs)})"
    return rf"~\A{verbs} {_KINDS[rule.resource_type]} (?is:{pattern(rule)})\z"


def _folders(site: str, plan: HostingPlan, *, label: str, most_body_bytes: int) -> list[_Folder]:
    paths = dict.fromkeys([*(rule.folder for rule in plan.rules), "/"])
    settings = {path: plan.settings_of(path) for path in paths}
    sources = {path: path for path in paths}
    exact = {path.rstrip("/") or "/" for path in paths}
    for url in _executed(settings.values()):
        if url not in exact:
            # Its own errors lead nowhere else, or a failing error page would lead to itself for ever.
            sources[url] = max((path for path in paths if f"{url}/".startswith(path)), key=len)
            settings[url] = replace(settings[sources[url]], http_errors=HttpErrors())
    configurations = {
        one: FolderConfiguration(
            site=site,
            label=label,
            number=at,
            settings=one,
            most_body_bytes=most_body_bytes,
            proxies=bool(plan.http_pools),
        )
        for at, one in enumerate(dict.fromkeys(settings.values()))
    }
    folders = []
    for at, (path, source) in enumerate(sources.items()):
        rules, last = _reached([rule for rule in plan.rules if rule.folder == source], folder=source)
        folders.append(
            _Folder(
                path=path,
                rules=rules,
                last=last,
                # The site's name comes last: before a number it could be taken for another site's.
                variable=Variable(f"homeport_rule{at}_{label.replace('-', '_')}"),
                configuration=configurations[settings[path]],
                exact=path not in paths,
            )
        )
    return folders


def _executed(settings: Iterable[FolderSettings]) -> Iterable[str]:
    """Give the addresses that answer for errors."""
    pages = (page for one in settings for page in one.http_errors.pages)
    urls = (page.paths[0].partition("?")[0] for page in pages if page.mode is ResponseMode.EXECUTE_URL)
    return dict.fromkeys(urls)


def _reached(rules: Sequence[Rule], *, folder: str) -> tuple[tuple[Rule, ...], Rule]:
    """Drop the rules that can never be reached, and find the one for what is left."""
    reached: list[Rule] = []
    for rule in rules:
        if _takes_everything(rule):
            return tuple(reached), rule
        reached.append(rule)
    if reached and _takes_everything_there_is(reached[-1]):
        # Nothing follows: what is not on disk is not found, which is what serving the file comes to.
        return tuple(reached[:-1]), reached[-1]
    return tuple(reached), Rule(folder=folder, action=Refuse(status=404))


def _stands_apart(folder: _Folder) -> bool:
    """Tell whether the last action needs a location of its own.

    Where error answers of an application are looked at, the status that leads from rule to rule must not be among
    those that are.
    """
    return bool(folder.rules) and folder.configuration.errors.looks_at(folder.last.action)


def _reads_files(folder: _Folder) -> bool:
    """Tell whether nothing but files answers GET and HEAD."""
    reads = {ANY_VERB, "GET", "HEAD"}
    return isinstance(folder.last.action, StaticFiles) and all(
        reads.isdisjoint(rule.verbs) for rule in folder.rules
    )


def _takes_everything(rule: Rule) -> bool:
    anything = rule.path == "*" and ANY_VERB in rule.verbs and rule.folder.startswith(rule.base)
    return anything and rule.resource_type is ResourceType.UNSPECIFIED


def _takes_everything_there_is(rule: Rule) -> bool:
    anything = rule.path == "*" and ANY_VERB in rule.verbs and rule.folder.startswith(rule.base)
    return anything and rule.resource_type is ResourceType.EITHER and isinstance(rule.action, StaticFiles)


def _static(action: StaticFiles, configuration: FolderConfiguration) -> list[Node]:
    """Serve files: GET and HEAD only, and only types that are known (405.0 and 404.3, IIS reference §1.12, §5.3)."""
    documents = [directive("index", *(Text(name) for name in action.default_documents))]
    return [
        If(
            Variable("request_method"),
            (directive("return", "405"),),
            operator="!~",
            operand=Plain("^(?:GET|HEAD)$"),
        ),
        *configuration.untyped(),
        *(documents if action.default_documents else [directive("index", "homeport-no-default-document/")]),
    ]
