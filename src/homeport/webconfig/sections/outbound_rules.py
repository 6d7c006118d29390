"""`<rewrite><outboundRules>`: rules that change the headers of answers (IIS reference §5.7)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from homeport.model.finding import Severity
from homeport.webconfig.document import Element
from homeport.webconfig.reading import Fault, boolean, count_entries, required, word
from homeport.webconfig.rewriting.pattern import Syntax
from homeport.webconfig.rewriting.rules import FolderRules, Grouping, OutboundRule, Precondition, Test
from homeport.webconfig.rewriting.template import ServerVariable
from homeport.webconfig.rewriting.variables import STATUS, response_header
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, full
from homeport.webconfig.sections.http_protocol import FRAMING_HEADERS, HEADER_NAME
from homeport.webconfig.sections.rewrite_rules import RuleReader, duplicate, variable_name

MOST_TEXT = 20_000
"""Characters of all texts of the outbound rules in force at one place: nginx reads them for each answer."""
MOST_TEXT_OF_ALL = 400_000
"""Of all folders of a site together."""
_BODY = "Let the application write these addresses as visitors are to see them; only headers of answers are rewritten here."
_CONDITION = ElementRow(
    name="add",
    attributes=(
        *full("input", "pattern", "ignoreCase", "negate"),
        AttributeRow(
            name="matchType",
            support=Support.PARTIAL,
            note="A rule with IsFile or IsDirectory is reported and left out.",
        ),
    ),
)

TABLE = ElementRow(
    name="outboundRules",
    attributes=(
        AttributeRow(name="rewriteBeforeCache", support=Support.IRRELEVANT, note="Nothing is cached."),
    ),
    children=(
        ElementRow(
            name="rule",
            attributes=full("name", "preCondition", "enabled", "patternSyntax", "stopProcessing"),
            children=(
                ElementRow(
                    name="match",
                    attributes=(
                        AttributeRow(
                            name="serverVariable",
                            support=Support.PARTIAL,
                            note="Headers of answers (RESPONSE_…), each Set-Cookie on its own; those of <customHeaders> "
                            "and clientCache are added behind the rules, and what frames an answer (Connection, "
                            "Content-Length, Date, Server, …) stays the server's own.",
                        ),
                        *full("pattern", "ignoreCase", "negate"),
                        AttributeRow(
                            name="filterByTags",
                            support=Support.PARTIAL,
                            note="Rules on the content of answers are reported and left out.",
                        ),
                        AttributeRow(name="customTags", support=Support.PARTIAL, note="As filterByTags."),
                    ),
                ),
                ElementRow(
                    name="conditions",
                    attributes=full("logicalGrouping", "trackAllCaptures"),
                    children=(_CONDITION, ElementRow(name="clear")),
                ),
                ElementRow(name="action", attributes=full("type", "value", "replace")),
            ),
        ),
        ElementRow(
            name="preConditions",
            children=(
                ElementRow(
                    name="preCondition",
                    attributes=full("name", "logicalGrouping", "patternSyntax"),
                    children=(_CONDITION, ElementRow(name="clear")),
                ),
                ElementRow(name="remove", attributes=full("name")),
                ElementRow(name="clear"),
            ),
        ),
        ElementRow(
            name="customTags", support=Support.IRRELEVANT, note="For rules on the content of answers only."
        ),
        ElementRow(name="remove", attributes=full("name")),
        ElementRow(name="clear"),
    ),
)


class _Action(StrEnum):
    NONE = "None"
    REWRITE = "Rewrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRules:
    """The outbound rules in force at one place, the names of those that are left out, and all preconditions."""

    rules: tuple[OutboundRule, ...] = ()
    disabled: frozenset[str] = frozenset()
    preconditions: Mapping[str, Precondition] = field(default_factory=dict)


def too_much_outbound(folders: Collection[FolderRules]) -> bool:
    """Tell whether these would make more configuration for the server than one site may cause."""
    return sum(_size(folder.outbound) for folder in folders) > MOST_TEXT_OF_ALL


class OutboundReader(RuleReader):
    """Reads the outbound rules of one file; what it notices and IIS would not mind is in `findings`."""

    def apply_outbound(self, section: Element, inherited: OutboundRules) -> OutboundRules:
        """Apply a collection to what it inherits. Raises `Fault`."""
        count_entries(section)
        preconditions = dict(inherited.preconditions)
        for element in section.named("preConditions"):
            self._preconditions(element, preconditions)
        rules, disabled = list(inherited.rules), set(inherited.disabled)
        for child in section.children:
            taken = {rule.name for rule in rules} | disabled
            match child.name:
                case "rule":
                    name = required(child, "name")
                    if name in taken:
                        raise duplicate(child, "outbound rule", name)
                    rule = self._outbound_rule(child, name, preconditions)
                    if rule is not None and boolean(child, "enabled", default=True):
                        rules.append(rule)
                    else:
                        disabled.add(name)
                case "remove":
                    name = required(child, "name")
                    self._remove(child, name, taken)
                    rules = [rule for rule in rules if rule.name != name]
                    disabled.discard(name)
                case "clear":
                    rules, disabled = [], set()
        if _size(rules) > MOST_TEXT:
            raise Fault(
                "too-many-entries",
                f"The outbound rules in force here have more than {MOST_TEXT} characters of text.",
                line=section.line,
            )
        return OutboundRules(rules=tuple(rules), disabled=frozenset(disabled), preconditions=preconditions)

    def _preconditions(self, section: Element, known: dict[str, Precondition]) -> None:
        count_entries(section)
        for child in section.children:
            if child.name == "clear":
                known.clear()
                continue
            name = required(child, "name")
            if child.name == "remove":
                known.pop(name, None)
            elif child.name == "preCondition":
                if name in known:
                    raise duplicate(child, "preCondition", name)
                syntax = word(child, "patternSyntax", default=Syntax.ECMASCRIPT)
                known[name] = Precondition(
                    name=name,
                    grouping=word(child, "logicalGrouping", default=Grouping.ALL),
                    conditions=self._conditions(child, syntax),
                )

    def _outbound_rule(
        self, element: Element, name: str, preconditions: Mapping[str, Precondition]
    ) -> OutboundRule | None:
        """Read a rule; None for one that is reported and left out."""
        match = next(element.named("match"), Element(name="match", line=element.line))
        conditions = next(element.named("conditions"), Element(name="conditions"))
        action = next(element.named("action"), Element(name="action", line=element.line))
        syntax = word(element, "patternSyntax", default=Syntax.ECMASCRIPT)
        needed = element.get("preCondition") or ""
        header = self._header(match, name)
        kind = word(action, "type", default=_Action.NONE)
        value = self._template(action, "value", action.get("value") or "")
        rule = OutboundRule(
            name=name,
            header=header or "",
            pattern=self._pattern(match, "pattern", match.get("pattern") or "", syntax),
            negate=boolean(match, "negate", default=False),
            precondition=preconditions.get(needed),
            grouping=word(conditions, "logicalGrouping", default=Grouping.ALL),
            conditions=self._conditions(conditions, syntax),
            capture_all=boolean(conditions, "trackAllCaptures", default=True),
            value=value if kind is _Action.REWRITE else None,
            replace=boolean(action, "replace", default=True),
            stop=boolean(element, "stopProcessing", default=False),
            file=self._file,
            line=element.line,
        )
        if needed and rule.precondition is None:
            message = f"The outbound rule '{name}' needs the preCondition '{needed}', which is not there: it is left out."
            self._note(Severity.ERROR, "rewrite-precondition", message, line=element.line)
            return None
        if any(condition.test is not Test.PATTERN for condition in rule.every_condition()):
            self._left_out(element, name, "asks for a file on disk", "Ask for the URL instead.")
            return None
        self._look_over_outbound(rule)
        return rule if header else None

    def _header(self, match: Element, rule: str) -> str | None:
        """Give the header that a rule changes; what is none is reported."""
        variable = (match.get("serverVariable") or "").strip()
        if not variable:
            self._left_out(match, rule, "changes the content of answers", _BODY)
            return None
        header = response_header(variable_name(variable))
        if header is None or not HEADER_NAME.fullmatch(header):
            what = f"changes '{variable}', which is no header of an answer"
            self._left_out(match, rule, what, "Name a header as RESPONSE_Content_Type.")
            return None
        if header in FRAMING_HEADERS:
            what = f"changes the header '{header}', which is the server's own"
            self._left_out(match, rule, what, "Remove the rule; the server tells no version of itself.")
            return None
        return variable[len("RESPONSE_") :].replace("_", "-")

    def _left_out(self, element: Element, rule: str, what: str, remedy: str) -> None:
        message = f"The outbound rule '{rule}' {what}: it is left out."
        self._note(Severity.WARNING, "not-honoured", message, line=element.line, remedy=remedy)

    def _look_over_outbound(self, rule: OutboundRule) -> None:
        groups = -1 if rule.negate else rule.pattern.groups
        captured = [condition.pattern.groups for condition in rule.conditions if condition.pattern]
        most = sum(captured) if rule.capture_all else max(captured, default=-1)
        for part in dict.fromkeys(rule.parts()):
            if isinstance(part, ServerVariable) and (part.name == STATUS or response_header(part.name)):
                continue
            self._look_at(part, rule, groups=groups, most=most, names=self._allowed)


def _size(rules: Collection[OutboundRule]) -> int:
    return sum(len(str(part)) for rule in rules for part in rule.parts()) + 100 * len(rules)
