"""Reading the rules of `<rewrite>`: their patterns, conditions, texts and actions (IIS reference §5.7)."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import unquote

from homeport.model.finding import Finding, Severity
from homeport.webconfig.document import Element
from homeport.webconfig.plan import CONTENT_ROOT
from homeport.webconfig.reading import Fault, Range, boolean, count_entries, number, required, word
from homeport.webconfig.rewriting.pattern import Pattern, PatternError, Syntax, parse_pattern
from homeport.webconfig.rewriting.rules import (
    Abort,
    Action,
    Condition,
    Grouping,
    Nothing,
    OutboundRule,
    RedirectTo,
    Respond,
    RewriteRule,
    RewriteTo,
    SetVariable,
    Test,
)
from homeport.webconfig.rewriting.template import (
    Captured,
    Part,
    ServerVariable,
    Source,
    Template,
    TemplateError,
    parse_template,
)
from homeport.webconfig.rewriting.variables import KNOWN, is_header

MOST_CONDITIONS = 30
"""Of one rule."""
_LONGEST_ENTRY = 1500
_LONGEST_TEXT = 300
_CONTENT = re.compile(r"(?i)\A(?:[cd]:)?\\home\\site\\wwwroot(?=\\|\Z)")
_ABSOLUTE = re.compile(r"(?i)[a-z][a-z0-9+.-]*://")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}")


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
class RuleList:
    """One collection: its rules in force, and the names of those that are switched off."""

    rules: tuple[RewriteRule, ...] = ()
    disabled: frozenset[str] = frozenset()


def entry_text(element: Element, name: str, *, most: int = _LONGEST_ENTRY) -> str:
    """Read a text that becomes part of a page or a map. Raises `Fault`."""
    value = element.get(name) or ""
    if len(value.encode("utf-8", "replace")) > most or not value.isprintable():
        raise Fault(
            "invalid-value",
            f"'{name}' of <{element.name}> is longer than {most} bytes or not printable.",
            line=element.line,
        )
    return value


def variable_name(name: str) -> str:
    """Write the name of a server variable as IIS shows it."""
    return name.strip().upper().replace("-", "_")


def duplicate(element: Element, what: str, name: str) -> Fault:
    """Give the error of a second entry of that name."""
    return Fault(
        "duplicate-key",
        f"There is a {what} '{name}' already.",
        line=element.line,
        remedy="Remove one of them, or write <remove> before the second.",
    )


class RuleReader:
    """Reads the rules of one file; what it notices and IIS would not mind is in `findings`."""

    def __init__(self, *, maps: Collection[str], allowed: Collection[str], base: str, file: str) -> None:
        self._maps = maps
        self._allowed = allowed
        self._base = base
        self._file = file
        self.findings: list[Finding] = []

    def apply(self, section: Element, inherited: RuleList) -> RuleList:
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
        return RuleList(tuple(rules), frozenset(disabled))

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
            raise duplicate(element, "rewrite rule", name)
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
            name = variable_name(required(child, "name"))
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
            self._look_at(part, rule, groups=groups, most=most, names=names)

    def _look_at(
        self,
        part: Part,
        rule: RewriteRule | OutboundRule,
        *,
        groups: int,
        most: int,
        names: Collection[str],
    ) -> None:
        if isinstance(part, Captured):
            there = groups if part.source is Source.RULE else most
            if part.number > there:
                self._nothing(rule, f"{{{part.source.value}:{part.number}}}", "refers to no group")
        elif isinstance(part, ServerVariable) and not (
            part.name in KNOWN or is_header(part.name) or part.name in names
        ):
            self._nothing(rule, f"{{{part.name}}}", "is no server variable that is known here")

    def _nothing(self, rule: RewriteRule | OutboundRule, reference: str, why: str) -> None:
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
        reason=entry_text(element, "statusReason", most=_LONGEST_TEXT),
        description=entry_text(element, "statusDescription", most=_LONGEST_TEXT),
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
