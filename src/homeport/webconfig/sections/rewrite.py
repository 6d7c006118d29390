"""`<system.webServer><rewrite>`: URL Rewrite (IIS reference §5.7)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from homeport.model.finding import Finding
from homeport.webconfig.bounds import MOST_ENTRIES
from homeport.webconfig.document import Element
from homeport.webconfig.reading import Fault, boolean, count_entries, required
from homeport.webconfig.rewriting.rules import FolderRules, OutboundRule, RewriteMap, RewriteRule
from homeport.webconfig.rewriting.template import Applied, Lookup
from homeport.webconfig.schema import AttributeRow, ElementRow, Support, absent, full
from homeport.webconfig.sections.outbound_rules import TABLE as OUTBOUND_RULES
from homeport.webconfig.sections.outbound_rules import OutboundReader, OutboundRules
from homeport.webconfig.sections.rewrite_rules import RuleList, duplicate, entry_text, variable_name

MOST_REWRITE_RULES = 2000
"""Rules of all folders of a site together, those that they inherit counted again."""
MOST_MAP_ENTRIES = 10_000
"""Of all maps in force at one place."""
MOST_FUNCTIONS = 20
"""Uses of functions in all rules in force at one place."""
MOST_FREEDOM = 50_000
"""Of all patterns in force at one place, as `Pattern.freedom` counts it."""
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
                AttributeRow(
                    name="subStatusCode",
                    support=Support.PARTIAL,
                    note="In the access log; error pages are not chosen by it.",
                ),
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
        OUTBOUND_RULES,
        *absent("providers"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """What of URL Rewrite is in force at one place; `allowed` are upper-case names that rules may set.

    `outer` are the global rules, which come first.
    """

    outer: RuleList = field(default_factory=RuleList)
    own: RuleList = field(default_factory=RuleList)
    outbound: OutboundRules = field(default_factory=OutboundRules)
    maps: tuple[RewriteMap, ...] = ()
    allowed: frozenset[str] = frozenset()

    @property
    def rules(self) -> tuple[RewriteRule, ...]:
        """All rules in the order they are tried."""
        return (*self.outer.rules, *self.own.rules)

    def every_rule(self) -> tuple[RewriteRule | OutboundRule, ...]:
        """Give the rules for requests and those for answers."""
        return (*self.rules, *self.outbound.rules)

    def folder(self, url: str) -> FolderRules:
        """Give the rules with the maps they use, as those of a folder."""
        used = {part.map for rule in self.every_rule() for part in rule.parts() if isinstance(part, Lookup)}
        return FolderRules(
            folder=url,
            rules=self.rules,
            maps=tuple(known for known in self.maps if known.name in used),
            outbound=self.outbound.rules,
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
    reader = OutboundReader(maps={known.name for known in maps}, allowed=allowed, base=base, file=file)
    own, outer, outbound = inherited.own, inherited.outer, inherited.outbound
    for element in section.named("globalRules"):
        outer = reader.apply(element, outer)
    for element in section.named("rules"):
        own = reader.apply(element, own)
    for element in section.named("outboundRules"):
        outbound = reader.apply_outbound(element, outbound)
    state = Rewriting(outer=outer, own=own, outbound=outbound, maps=maps, allowed=allowed)
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
    for rule in state.every_rule():
        for part in rule.parts():
            if isinstance(part, Lookup) and part.map not in known:
                raise Fault(
                    "rewrite-map",
                    f"The rule '{rule.name}' needs the rewriteMap '{part.map}', which is removed here.",
                    line=section.line,
                )
    if (
        len(state.every_rule()) > MOST_ENTRIES
        or sum(len(entry.entries) for entry in state.maps) > MOST_MAP_ENTRIES
    ):
        raise Fault(
            "too-many-entries",
            f"There are more than {MOST_ENTRIES} rewrite rules or {MOST_MAP_ENTRIES} entries of rewriteMaps here.",
            line=section.line,
        )
    if (
        sum(isinstance(part, Applied) for rule in state.every_rule() for part in rule.parts())
        > MOST_FUNCTIONS
    ):
        raise Fault(
            "too-many-entries",
            f"The rules have more than {MOST_FUNCTIONS} functions ({{ToLower:…}} and the like).",
            line=section.line,
        )
    if sum(pattern.freedom for rule in state.every_rule() for pattern in rule.patterns()) > MOST_FREEDOM:
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
                raise duplicate(child, "rewriteMap", known.name)
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
        key = entry_text(child, "key")
        folded = _ascii_lower(key) if ignore_case else key
        if child.name == "remove":
            entries.pop(folded, None)
        elif child.name == "add":
            if folded in entries:
                raise duplicate(child, f"key in rewriteMap '{name}'", key)
            entries[folded] = (key, entry_text(child, "value"))
    return RewriteMap(
        name=name.lower(),
        default=entry_text(element, "defaultValue"),
        ignore_case=ignore_case,
        entries=tuple(entries.values()),
    )


def _ascii_lower(text: str) -> str:
    return text.encode().lower().decode()


def _allowed(section: Element, inherited: frozenset[str]) -> frozenset[str]:
    count_entries(section)
    allowed = set(inherited)
    for child in section.children:
        if child.name == "clear":
            allowed.clear()
        elif child.name == "remove":
            allowed.discard(variable_name(required(child, "name")))
        elif child.name == "add":
            allowed.add(variable_name(required(child, "name")))
    return frozenset(allowed)
