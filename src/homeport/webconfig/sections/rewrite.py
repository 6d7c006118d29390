"""`<system.webServer><rewrite>`: URL Rewrite (IIS reference §5.7)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import unquote

from homeport.model.finding import Finding, Severity
from homeport.webconfig.bounds import MOST_ENTRIES
from homeport.webconfig.document import Element
from homeport.webconfig.plan import CONTENT_ROOT
from homeport.webconfig.reading import Fault, Range, boolean, count_entries, number, required, word
from homeport.webconfig.rewriting.pattern import Pattern, PatternError, Syntax, parse_pattern
from homeport.webconfig.rewriting.rules import (
    Abort,
    Action,
    Condition,
    FolderRules,
    Grouping,
    Nothing,
    RedirectTo,
    Respond,
    RewriteMap,
    RewriteRule,
    RewriteTo,
    SetVariable,
    Test,
)
from homeport.webconfig.rewriting.template import (
    Applied,
    Captured,
    Lookup,
    Part,
    ServerVariable,
    Source,
    Template,
    TemplateError,
    parse_template,
)
from homeport.webconfig.rewriting.variables import KNOWN, is_header
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, absent, full

MOST_CONDITIONS = 30
"""Of one rule."""
MOST_REWRITE_RULES = 2000
"""Rules of all folders of a site together, those that they inherit counted again."""
MOST_MAP_ENTRIES = 10_000
"""Of all maps in force at one place."""
MOST_FUNCTIONS = 20
"""Uses of functions in all rules in force at one place."""
MOST_FREEDOM = 50_000
"""Of all patterns in force at one place, as `Pattern.freedom` counts it."""
_LONGEST_ENTRY = 1500
_LONGEST_TEXT = 300
_CONTENT = re.compile(r"(?i)\A(?:[cd]:)?\\home\\site\\wwwroot(?=\\|\Z)")
_ABSOLUTE = re.compile(r"(?i)[a-z][a-z0-9+.-]*://")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}")
_CONFIG_SOURCE = AttributeRow(name="configSource", support=Support.ABSENT)

_RULE = ElementRow(
    name="rule",
    attributes=full("name", "enabled", "patternSyntax", "stopProcessing"),
    children=(
        ElementRow(
            name="match",
            attributes=(
                AttributeRow(
                    name="url",
                    support=Support.PARTIAL,
                    note="ECMAScript expressions match UTF-8 bytes, ignore the case of ASCII letters only, and end "
                    "the request with 500 when they take too many steps.",
                ),
                *full("ignoreCase", "negate"),
            ),
        ),
        ElementRow(
            name="conditions",
            attributes=full("logicalGrouping", "trackAllCaptures"),
            children=(
                ElementRow(
                    name="add",
                    attributes=(
                        *full("input", "pattern", "ignoreCase", "negate"),
                        AttributeRow(
                            name="matchType",
                            support=Support.PARTIAL,
                            note="IsFile and IsDirectory look below the content folder only, by exact spelling.",
                        ),
                    ),
                ),
                ElementRow(name="clear"),
            ),
        ),
        ElementRow(
            name="serverVariables",
            children=(
                ElementRow(
                    name="set",
                    attributes=(
                        AttributeRow(
                            name="name",
                            support=Support.PARTIAL,
                            note="Request headers (HTTP_…) and names of your own; the server's own variables are not "
                            "changed.",
                        ),
                        *full("value", "replace"),
                    ),
                ),
                ElementRow(name="clear"),
            ),
        ),
        ElementRow(
            name="action",
            attributes=(
                *full("type", "appendQueryString", "redirectType", "statusCode"),
                AttributeRow(
                    name="url",
                    support=Support.PARTIAL,
                    note="A rewrite to another server (http://…) is not sent there.",
                ),
                AttributeRow(
                    name="statusReason",
                    support=Support.PARTIAL,
                    note="Shown on the page; the status line has the standard reason.",
                ),
                *full("statusDescription"),
                AttributeRow(name="subStatusCode", support=Support.PARTIAL, note="Not sent to anybody."),
                AttributeRow(
                    name="logRewrittenUrl",
                    support=Support.IRRELEVANT,
                    note="Logs show the URL that was asked for.",
                ),
            ),
        ),
    ),
)

_RULES = (
    _RULE,
    ElementRow(name="remove", attributes=full("name")),
    ElementRow(name="clear"),
)

TABLE = ElementRow(
    name="rewrite",
    children=(
        ElementRow(
            name="rules",
            attributes=(_CONFIG_SOURCE,),
            children=_RULES,
        ),
        ElementRow(
            name="rewriteMaps",
            attributes=(_CONFIG_SOURCE,),
            children=(
                ElementRow(
                    name="rewriteMap",
                    attributes=(
                        *full("name", "defaultValue"),
                        AttributeRow(
                            name="ignoreCase", support=Support.PARTIAL, note="Of ASCII letters only."
                        ),
                    ),
                    children=(
                        ElementRow(name="add", attributes=full("key", "value")),
                        ElementRow(name="remove", attributes=full("key")),
                        ElementRow(name="clear"),
                    ),
                ),
                ElementRow(name="remove", attributes=full("name")),
                ElementRow(name="clear"),
            ),
        ),
        ElementRow(
            name="allowedServerVariables",
            support=Support.PARTIAL,
            note="Honoured in web.config; IIS takes it in applicationHost.config only.",
            children=(
                ElementRow(name="add", attributes=full("name")),
                ElementRow(name="remove", attributes=full("name")),
                ElementRow(name="clear"),
            ),
        ),
        ElementRow(
            name="globalRules",
            support=Support.PARTIAL,
            note="Honoured in web.config, too, before all other rules; IIS takes it in applicationHost.config only.",
            children=_RULES,
        ),
        *absent("outboundRules", "providers"),
    ),
)


class _Type(StrEnum):
    NONE = "None"
    REWRITE = "Rewrite"
    REDIRECT = "Redirect"
    CUSTOM_RESPONSE = "CustomResponse"
    ABORT_REQUEST = "AbortRequest"


class _Redirect(StrEnum):
    PERMANENT = "Permanent"
    FOUND = "Found"
    SEE_OTHER = "SeeOther"
    TEMPORARY = "Temporary"


_STATUSES = {
    _Redirect.PERMANENT: 301,
    _Redirect.FOUND: 302,
    _Redirect.SEE_OTHER: 303,
    _Redirect.TEMPORARY: 307,
}


@dataclass(frozen=True, slots=True)
class _RuleList:
    """One collection: its rules in force, and the names of those that are switched off."""

    rules: tuple[RewriteRule, ...] = ()
    disabled: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """What of URL Rewrite is in force at one place; `allowed` are upper-case names that rules may set.

    `outer` are the global rules, which come first.
    """

    outer: _RuleList = _RuleList()
    own: _RuleList = _RuleList()
    maps: tuple[RewriteMap, ...] = ()
    allowed: frozenset[str] = frozenset()

    @property
    def rules(self) -> tuple[RewriteRule, ...]:
        """All rules in the order they are tried."""
        return (*self.outer.rules, *self.own.rules)

    def folder(self, url: str) -> FolderRules:
        """Give the rules with the maps they use, as those of a folder."""
        used = {part.map for rule in self.rules for part in rule.parts() if isinstance(part, Lookup)}
        return FolderRules(
            folder=url, rules=self.rules, maps=tuple(known for known in self.maps if known.name in used)
        )


def apply_rewrite(
    section: Element, inherited: Rewriting, *, base: str, file: str
) -> tuple[Rewriting, list[Finding]]:
    """Apply one `<rewrite>` to what it inherits: its own rules come after those.

    Raises `Fault` for what IIS answers 500.19 to, and for patterns and texts that cannot be used.
    """
    maps = inherited.maps
    for element in section.named("rewriteMaps"):
        maps = _maps(element, maps)
    allowed = inherited.allowed
    for element in section.named("allowedServerVariables"):
        allowed = _allowed(element, allowed)
    reader = _RuleReader(maps={known.name for known in maps}, allowed=allowed, base=base, file=file)
    own, outer = inherited.own, inherited.outer
    for element in section.named("globalRules"):
        outer = reader.apply(element, outer)
    for element in section.named("rules"):
        own = reader.apply(element, own)
    state = Rewriting(outer=outer, own=own, maps=maps, allowed=allowed)
    _check(state, section)
    return state, reader.findings


def distinct_rules(folders: Mapping[str, FolderRules]) -> tuple[FolderRules, ...]:
    """Leave out the folders whose rules are as their parent's; nothing is left where there are no rules."""
    found: dict[str, FolderRules] = {}
    for url in sorted(folders, key=len):
        parent = max((known for known in found if url.startswith(known)), key=len, default=None)
        inherited = found[parent] if parent else FolderRules(folder="/")
        if replace(folders[url], folder=inherited.folder) != inherited:
            found[url] = folders[url]
    return tuple(found.values())


def _check(state: Rewriting, section: Element) -> None:
    """Refuse what is too much, or what a removed map was needed for. Raises `Fault`."""
    known = {entry.name for entry in state.maps}
    for rule in state.rules:
        for part in rule.parts():
            if isinstance(part, Lookup) and part.map not in known:
                raise Fault(
                    "rewrite-map",
                    f"The rule '{rule.name}' needs the rewriteMap '{part.map}', which is removed here.",
                    line=section.line,
                )
    if len(state.rules) > MOST_ENTRIES or sum(len(entry.entries) for entry in state.maps) > MOST_MAP_ENTRIES:
        raise Fault(
            "too-many-entries",
            f"There are more than {MOST_ENTRIES} rewrite rules or {MOST_MAP_ENTRIES} entries of rewriteMaps here.",
            line=section.line,
        )
    if sum(isinstance(part, Applied) for rule in state.rules for part in rule.parts()) > MOST_FUNCTIONS:
        raise Fault(
            "too-many-entries",
            f"The rules have more than {MOST_FUNCTIONS} functions ({{ToLower:…}} and the like).",
            line=section.line,
        )
    if sum(pattern.freedom for rule in state.rules for pattern in rule.patterns()) > MOST_FREEDOM:
        raise Fault(
            "rewrite-pattern",
            "The counted repetitions ({n,m}) in the patterns of all rules could take too long.",
            line=section.line,
            remedy="Write * or + instead.",
        )


def _maps(section: Element, inherited: tuple[RewriteMap, ...]) -> tuple[RewriteMap, ...]:
    count_entries(section)
    maps = {known.name: known for known in inherited}
    for child in section.children:
        if child.name == "clear":
            maps.clear()
        elif child.name == "remove":
            maps.pop(required(child, "name").lower(), None)
        elif child.name == "rewriteMap":
            known = _map(child)
            if known.name in maps:
                raise _duplicate(child, "rewriteMap", known.name)
            maps[known.name] = known
    return tuple(maps.values())


def _map(element: Element) -> RewriteMap:
    name = required(element, "name").strip()
    ignore_case = boolean(element, "ignoreCase", default=True)
    entries: dict[str, tuple[str, str]] = {}
    for child in element.children:
        if child.name == "clear":
            entries.clear()
            continue
        key = _entry(child, "key")
        folded = _ascii_lower(key) if ignore_case else key
        if child.name == "remove":
            entries.pop(folded, None)
        elif child.name == "add":
            if folded in entries:
                raise _duplicate(child, f"key in rewriteMap '{name}'", key)
            entries[folded] = (key, _entry(child, "value"))
    return RewriteMap(
        name=name.lower(),
        default=_entry(element, "defaultValue"),
        ignore_case=ignore_case,
        entries=tuple(entries.values()),
    )


def _entry(element: Element, name: str, *, most: int = _LONGEST_ENTRY) -> str:
    value = element.get(name) or ""
    if len(value.encode("utf-8", "replace")) > most or not value.isprintable():
        raise Fault(
            "invalid-value",
            f"'{name}' of <{element.name}> is longer than {most} bytes or not printable.",
            line=element.line,
        )
    return value


def _ascii_lower(text: str) -> str:
    return text.encode().lower().decode()


def _allowed(section: Element, inherited: frozenset[str]) -> frozenset[str]:
    count_entries(section)
    allowed = set(inherited)
    for child in section.children:
        if child.name == "clear":
            allowed.clear()
        elif child.name == "remove":
            allowed.discard(_variable_name(required(child, "name")))
        elif child.name == "add":
            allowed.add(_variable_name(required(child, "name")))
    return frozenset(allowed)


def _variable_name(name: str) -> str:
    return name.strip().upper().replace("-", "_")


def _duplicate(element: Element, what: str, name: str) -> Fault:
    return Fault(
        "duplicate-key",
        f"There is a {what} '{name}' already.",
        line=element.line,
        remedy="Remove one of them, or write <remove> before the second.",
    )


class _RuleReader:
    """Reads the rules of one file; what it notices and IIS would not mind is in `findings`."""

    def __init__(self, *, maps: Collection[str], allowed: Collection[str], base: str, file: str) -> None:
        self._maps = maps
        self._allowed = allowed
        self._base = base
        self._file = file
        self.findings: list[Finding] = []

    def apply(self, section: Element, inherited: _RuleList) -> _RuleList:
        """Apply a collection of rules to what it inherits. Raises `Fault`."""
        count_entries(section)
        rules, disabled = list(inherited.rules), set(inherited.disabled)
        for child in section.children:
            match child.name:
                case "rule":
                    rule, enabled = self._rule(child, taken={rule.name for rule in rules} | disabled)
                    if enabled:
                        rules.append(rule)
                    else:
                        disabled.add(rule.name)
                case "remove":
                    name = required(child, "name")
                    self._remove(child, name, {rule.name for rule in rules} | disabled)
                    rules = [rule for rule in rules if rule.name != name]
                    disabled.discard(name)
                case "clear":
                    rules, disabled = [], set()
        return _RuleList(tuple(rules), frozenset(disabled))

    def _remove(self, element: Element, name: str, present: Collection[str]) -> None:
        if name not in present:
            self._note(
                Severity.INFO,
                "nothing-to-remove",
                f"There is no rewrite rule '{name}' to remove; letter case counts.",
                line=element.line,
            )

    def _rule(self, element: Element, *, taken: Collection[str]) -> tuple[RewriteRule, bool]:
        """Read a rule; the second value says whether it is enabled."""
        name = required(element, "name")
        if name in taken:
            raise _duplicate(element, "rewrite rule", name)
        syntax = word(element, "patternSyntax", default=Syntax.ECMASCRIPT)
        match = next(element.named("match"), Element(name="match", line=element.line))
        conditions = next(element.named("conditions"), Element(name="conditions"))
        action = next(element.named("action"), Element(name="action", line=element.line))
        url = match.get("url")
        rule = RewriteRule(
            name=name,
            base=self._base,
            pattern=None if url is None else self._pattern(match, "url", url, syntax),
            negate=boolean(match, "negate", default=False),
            grouping=word(conditions, "logicalGrouping", default=Grouping.ALL),
            conditions=self._conditions(conditions, syntax),
            capture_all=boolean(conditions, "trackAllCaptures", default=False),
            action=self._action(action),
            stop=boolean(element, "stopProcessing", default=False),
            file=self._file,
            line=element.line,
        )
        rule = self._with_variables(rule, element)
        self._look_over(rule)
        return rule, boolean(element, "enabled", default=True)

    def _pattern(self, element: Element, attribute: str, text: str, syntax: Syntax) -> Pattern:
        ignore_case = boolean(element, "ignoreCase", default=True)
        try:
            return parse_pattern(text, syntax=syntax, ignore_case=ignore_case)
        except PatternError as error:
            raise Fault(
                "rewrite-pattern",
                f"'{attribute}' of <{element.name}> is no pattern that can be used: {error}. It is '{text[:100]}'.",
                line=element.line,
            ) from error

    def _template(self, element: Element, attribute: str, text: str) -> Template:
        try:
            return parse_template(text, maps=self._maps)
        except TemplateError as error:
            raise Fault(
                "rewrite-text",
                f"'{attribute}' of <{element.name}> cannot be used: {error}. It is '{text[:100]}'.",
                line=element.line,
            ) from error

    def _conditions(self, section: Element, syntax: Syntax) -> tuple[Condition, ...]:
        elements = list(section.named("add"))
        if len(elements) > MOST_CONDITIONS:
            raise Fault(
                "too-many-entries",
                f"The rule has {len(elements)} conditions; it may have {MOST_CONDITIONS}.",
                line=section.line,
            )
        return tuple(self._condition(element, syntax) for element in elements)

    def _condition(self, element: Element, syntax: Syntax) -> Condition:
        test = word(element, "matchType", default=Test.PATTERN)
        text = element.get("input") or ""
        negate = boolean(element, "negate", default=False)
        if test is Test.PATTERN:
            pattern = self._pattern(element, "pattern", element.get("pattern") or "", syntax)
            return Condition(input=self._template(element, "input", text), pattern=pattern, negate=negate)
        path = self._template(element, "input", text)
        return Condition(input=_as_path(path), test=test, negate=negate)

    def _action(self, element: Element) -> Action:
        match word(element, "type", default=_Type.NONE):
            case _Type.REWRITE:
                return self._rewrite(element)
            case _Type.REDIRECT:
                kind = word(element, "redirectType", default=_Redirect.PERMANENT)
                return RedirectTo(url=self._target(element, decoded=False), status=_STATUSES[kind])
            case _Type.CUSTOM_RESPONSE:
                return _respond(element)
            case _Type.ABORT_REQUEST:
                return Abort()
            case _Type.NONE:
                return Nothing()

    def _rewrite(self, element: Element) -> RewriteTo:
        target = self._target(element, decoded=True)
        first = target.path.parts[0] if target.path.parts else ""
        if isinstance(first, str) and _ABSOLUTE.match(first):
            self._note(
                Severity.ERROR,
                "rewrite-proxy",
                f"A rewrite to another server ('{first[:60]}…') needs a reverse proxy, which is not there: its requests find nothing.",
                line=element.line,
                remedy="Redirect instead, or let the application fetch it.",
            )
        return target

    def _target(self, element: Element, *, decoded: bool) -> RewriteTo:
        """Read a URL; the fixed text of a rewritten path is decoded, since paths are matched decoded."""
        path, query = self._template(element, "url", required(element, "url")).split_query()
        if decoded:
            path = Template(tuple(_decoded(part, element) for part in path.parts))
        return RewriteTo(
            path=path, query=query, append_query=boolean(element, "appendQueryString", default=True)
        )

    def _with_variables(self, rule: RewriteRule, element: Element) -> RewriteRule:
        sections = list(element.named("serverVariables"))
        variables: list[SetVariable] = []
        for child in (child for section in sections for child in section.named("set")):
            name = _variable_name(required(child, "name"))
            value = self._template(child, "value", child.get("value") or "")
            if name not in self._allowed:
                self._note(
                    Severity.ERROR,
                    "rewrite-variable",
                    f"The rule '{rule.name}' sets '{name}', which is not among <allowedServerVariables>: "
                    "requests that it matches are answered with 500.50.",
                    line=child.line,
                    remedy=f'Write <allowedServerVariables><add name="{name}"/></allowedServerVariables> into <rewrite>.',
                )
                return replace(rule, action=_MODULE_ERROR, variables=())
            if name in KNOWN or name.startswith("RESPONSE_") or not _VARIABLE.fullmatch(name):
                self._note(
                    Severity.WARNING,
                    "not-honoured",
                    f"The rule '{rule.name}' sets '{name}', which is not changed here.",
                    line=child.line,
                    remedy="Set a request header (HTTP_…) instead.",
                )
                continue
            variables.append(
                SetVariable(name=name, value=value, replace=boolean(child, "replace", default=True))
            )
        return replace(rule, variables=tuple(variables))

    def _look_over(self, rule: RewriteRule) -> None:
        """Notice references to what is not there; IIS takes them for empty, or fails only when the rule is used."""
        groups = rule.pattern.groups if rule.pattern and not rule.negate else -1
        if rule.pattern is None:
            groups = 0
        captured = [condition.pattern.groups for condition in rule.conditions if condition.pattern]
        most = sum(captured) if rule.capture_all else max(captured, default=-1)
        names = {variable.name for variable in rule.variables} | set(self._allowed)
        for part in dict.fromkeys(rule.parts()):
            if isinstance(part, Captured):
                there = groups if part.source is Source.RULE else most
                if part.number > there:
                    self._nothing(rule, f"{{{part.source.value}:{part.number}}}", "refers to no group")
            elif isinstance(part, ServerVariable) and not (
                part.name in KNOWN or is_header(part.name) or part.name in names
            ):
                self._nothing(rule, f"{{{part.name}}}", "is no server variable that is known here")

    def _nothing(self, rule: RewriteRule, reference: str, why: str) -> None:
        self._note(
            Severity.WARNING,
            "rewrite-reference",
            f"In the rule '{rule.name}' {reference} {why}: it is always empty.",
            line=rule.line,
        )

    def _note(self, severity: Severity, code: str, message: str, *, line: int, remedy: str = "") -> None:
        self.findings.append(
            Finding(
                severity=severity,
                code=f"webconfig.{code}",
                message=message,
                file=self._file,
                line=line,
                remedy=remedy,
            )
        )


_MODULE_ERROR = Respond(
    status=500, sub_status=50, description="A rewrite rule of this site sets a variable that it may not set."
)


def _respond(element: Element) -> Respond:
    status = number(element, "statusCode", default=0, within=Range(least=0, most=999))
    if status < 200 or 300 <= status <= 307:
        raise Fault(
            "invalid-value",
            f"'statusCode' of <action> is '{element.get('statusCode') or ''}'; it must be a number from 200 to 999 "
            "and not from 300 to 307.",
            line=element.line,
        )
    return Respond(
        status=status,
        sub_status=number(element, "subStatusCode", default=0, within=Range(least=0, most=999)),
        reason=_entry(element, "statusReason", most=_LONGEST_TEXT),
        description=_entry(element, "statusDescription", most=_LONGEST_TEXT),
    )


def _decoded(part: Part, element: Element) -> Part:
    if not isinstance(part, str):
        return part
    decoded = unquote(part, errors="strict") if _is_utf8(part) else part
    if not decoded.isprintable():
        raise Fault(
            "rewrite-text", "'url' of <action> holds an escaped control character.", line=element.line
        )
    return decoded


def _is_utf8(text: str) -> bool:
    try:
        unquote(text, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _as_path(template: Template) -> Template:
    """Write a path with slashes, and the content folder by its name here."""
    parts = [part.replace("\\", "/") if isinstance(part, str) else part for part in template.parts]
    first = template.parts[0] if template.parts else ""
    if isinstance(first, str):
        mapped = _CONTENT.sub(lambda _: CONTENT_ROOT, first.replace("/", "\\")).replace("\\", "/")
        parts[:1] = [mapped] if mapped else []
    return Template(tuple(parts))
