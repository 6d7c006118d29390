"""What the rules of a site make of a request: the specification of URL Rewrite here (IIS reference §5.7).

All texts are bytes, as they come over the wire: patterns match bytes and letter case is that of ASCII.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes, unquote_to_bytes

from homeport.webconfig.plan import CONTENT_ROOT
from homeport.webconfig.rewriting.rules import (
    Abort,
    Condition,
    FolderRules,
    Grouping,
    Nothing,
    RedirectTo,
    Respond,
    RewriteMap,
    RewriteRule,
    RewriteTo,
    Test,
)
from homeport.webconfig.rewriting.template import (
    Applied,
    Captured,
    Function,
    Lookup,
    Part,
    ServerVariable,
    Source,
    Template,
)
from homeport.webconfig.rewriting.variables import AS_SENT, FILE_VARIABLES, PATH_VARIABLES

UNSAFE_PATH = rb"\x00|\\|(?:\A|/)\.\.?(?:/|\Z)"
"""What no rule may make a path of: it would lead out of the content."""
UNSAFE_HEADER = rb"[\x00\r\n]"
"""What no rule may put into a header: it would begin another one."""
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_LOCATION_SAFE = "/:?#[]@!$&'()*+,;=%"
_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is known of a request before any rule.

    `path` is decoded and begins with a slash; `target` is path and query as the client sent them. `variables` are the
    server variables that do not follow the URL, `HTTP_…` for headers; one that is missing is empty. The two tests take
    a path of the site's own file system below its content folder.
    """

    path: bytes
    query: bytes = b""
    target: bytes
    variables: Mapping[str, bytes] = field(default_factory=dict)
    is_file: Callable[[bytes], bool] = lambda _: False
    is_directory: Callable[[bytes], bool] = lambda _: False


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOn:
    """The request goes on to the handlers with this URL; `variables` are those that rules have set."""

    path: bytes
    query: bytes
    variables: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redirected:
    """The client is sent elsewhere; `location` is ASCII."""

    status: int
    location: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A rule made a path that leads out of the content, or a header of several lines (400)."""


Outcome = PassedOn | Redirected | Respond | Abort | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStep:
    """What became of one rule: whether it matched, and the path after it."""

    rule: RewriteRule
    matched: bool
    path: bytes


def evaluate(folders: Sequence[FolderRules], request: Request) -> Outcome:
    """Apply the rules of the deepest folder that holds the request's path."""
    return evaluate_steps(folders, request)[0]


def evaluate_steps(folders: Sequence[FolderRules], request: Request) -> tuple[Outcome, tuple[RuleStep, ...]]:
    """Apply the rules as `evaluate` does, and tell what became of each that was tried."""
    folder = folder_of(folders, request.path)
    if folder is None:
        return PassedOn(path=request.path, query=request.query), ()
    evaluation = RuleEvaluation(folder, request)
    return evaluation.run(), tuple(evaluation.steps)


def folder_of(folders: Sequence[FolderRules], path: bytes) -> FolderRules | None:
    """Give the deepest of the folders that holds a path."""
    holding = [
        folder
        for folder in folders
        if path.startswith(folder.folder.encode()) or path == folder.folder.rstrip("/").encode()
    ]
    return max(holding, key=lambda candidate: len(candidate.folder), default=None)


class RuleEvaluation:
    """Applies the rules of one folder to one request; `steps` tell what became of each."""

    def __init__(self, folder: FolderRules, request: Request) -> None:
        self._rules = folder.rules
        self._maps = {known.name: known for known in folder.maps}
        self._request = request
        self._path = request.path
        self._query = request.query
        self._set: dict[str, bytes] = {}
        self._captures: dict[Source, list[bytes]] = {}
        self.steps: list[RuleStep] = []

    def run(self) -> Outcome:
        """Apply them in order."""
        for rule in self._rules:
            if not self._matches(rule):
                self.steps.append(RuleStep(rule=rule, matched=False, path=self._path))
                continue
            self._set_variables(rule)
            if any(re.search(UNSAFE_HEADER, value) for value in self._set.values()):
                return Refused()
            outcome = self._act(rule)
            self.steps.append(RuleStep(rule=rule, matched=True, path=self._path))
            if outcome is not None:
                return outcome
            if rule.stop:
                break
        return PassedOn(path=self._path, query=self._query, variables=self._set)

    def _act(self, rule: RewriteRule) -> Outcome | None:
        match rule.action:
            case RewriteTo():
                path, query = self._target(rule.action)
                self._path = path if path.startswith(b"/") else rule.base.encode() + path
                self._query = query
                return Refused() if re.search(UNSAFE_PATH, self._path) else None
            case RedirectTo(url=url, status=status):
                return Redirected(status, self._location(rule, url))
            case Respond() | Abort():
                return rule.action
            case Nothing():
                return None

    def _target(self, target: RewriteTo) -> tuple[bytes, bytes]:
        path, query = self._text(target.path), self._text(target.query or Template())
        if target.may_carry_query:
            path, _, query = path.partition(b"?")
        if target.append_query and self._query:
            query = query + b"&" + self._query if query else self._query
        return path, query

    def _location(self, rule: RewriteRule, url: RewriteTo) -> bytes:
        path, query = self._target(url)
        if not path.startswith(b"/") and not _SCHEME.match(path):
            path = rule.base.encode() + path
        first = url.path.parts[0] if url.path.parts else ""
        if not (isinstance(first, str) and first.startswith("//")):
            # What a visitor writes must not name another host.
            path = re.sub(rb"\A/{2,}", b"/", path)
        return encode_location(path + (b"?" + query if query else b""))

    def _matches(self, rule: RewriteRule) -> bool:
        self._captures = {}
        base = rule.base.encode()
        if not self._path.startswith(base):
            return False
        if rule.pattern is not None:
            found = rule.pattern.compiled().search(self._path[len(base) :])
            if (found is None) != rule.negate:
                return False
            if found is not None and not rule.negate:
                self._captures[Source.RULE] = groups_of(found)
        return self._all_hold(rule.conditions, rule.grouping, capture_all=rule.capture_all)

    def _all_hold(
        self, conditions: Sequence[Condition], grouping: Grouping, *, capture_all: bool = False
    ) -> bool:
        if not conditions:
            return True
        if grouping is Grouping.ANY:
            return any(self._holds(condition, capture_all=False) for condition in conditions)
        return all(self._holds(condition, capture_all=capture_all) for condition in conditions)

    def _holds(self, condition: Condition, *, capture_all: bool) -> bool:
        text = self._text(condition.input)
        if condition.pattern is None:
            return self._on_disk(text, condition.test) != condition.negate
        found = condition.pattern.compiled().search(text)
        if found is None or condition.negate:
            return (found is None) == condition.negate
        groups = groups_of(found)
        earlier = self._captures.get(Source.CONDITION, [])
        self._captures[Source.CONDITION] = [groups[0], *earlier[1:], *groups[1:]] if capture_all else groups
        return True

    def _on_disk(self, text: bytes, test: Test) -> bool:
        """Look below the content folder and nowhere else: what is beside it is not the site's to ask about."""
        path = text or CONTENT_ROOT.encode() + self._path
        if not (path + b"/").startswith(CONTENT_ROOT.encode() + b"/") or re.search(UNSAFE_PATH, path):
            return False
        return self._request.is_file(path) if test is Test.FILE else self._request.is_directory(path)

    def _set_variables(self, rule: RewriteRule) -> None:
        for variable in rule.variables:
            if variable.replace or not self._variable(variable.name):
                self._set[variable.name] = self._text(variable.value)

    def _text(self, template: Template) -> bytes:
        return b"".join(self._part(part) for part in template.parts)

    def _part(self, part: Part) -> bytes:
        match part:
            case str():
                return part.encode()
            case Captured(source=source, number=number):
                groups = self._captures.get(source, [])
                return groups[number] if number < len(groups) else b""
            case ServerVariable(name=name):
                return self._variable(name)
            case Lookup(map=name, key=key):
                return look_up(self._maps[name], self._text(key))
            case Applied(function=function, argument=argument):
                return apply(function, self._text(argument))

    def _variable(self, name: str) -> bytes:
        if name in self._set:
            return self._set[name]
        if name in PATH_VARIABLES:
            return self._path
        if name in FILE_VARIABLES:
            return CONTENT_ROOT.encode() + self._path
        if name == "QUERY_STRING":
            return self._query
        if name in AS_SENT:
            return self._request.target
        return self._request.variables.get(name, b"")


def look_up(known: RewriteMap, key: bytes) -> bytes:
    """Give the value of a key, the map's default where it is not there."""
    for entry, value in known.entries:
        written = entry.encode()
        if written == key or (known.ignore_case and written.lower() == key.lower()):
            return value.encode()
    return known.default.encode()


def apply(function: Function, text: bytes) -> bytes:
    """Apply a function; letter case is that of ASCII."""
    match function:
        case Function.TO_LOWER:
            return text.lower()
        case Function.URL_ENCODE:
            return quote_from_bytes(text, safe="").encode()
        case Function.URL_DECODE:
            return unquote_to_bytes(text)


def encode_location(text: bytes) -> bytes:
    """Encode what an address cannot hold; escapes that are there stay."""
    return quote_from_bytes(_LONE_PERCENT.sub(b"%25", text), safe=_LOCATION_SAFE).encode()


def groups_of(found: "re.Match[bytes]") -> list[bytes]:
    """Give the whole match and the pattern's groups; one that took no part is empty."""
    return [group or b"" for group in found.groups()]
