"""From outbound rules to what rewriting.js needs to apply them to the headers of answers.

`webconfig/rewriting/outbound.py` says what they must come to. The script gets the rules as JSON in a variable. Matching
is nginx's own: the script sets `$homeport_input` and reads a variable made by a `map`, which gives 1 for a match, 0 for
none, and anything else where the pattern took too many steps; what it captured is in `$homeport_o0` and following.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from homeport.node.nginx.patterns import expression
from homeport.node.nginx.writer import Directive, Entry, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.rewriting.pattern import Pattern
from homeport.webconfig.rewriting.rules import Condition, FolderRules, Grouping, OutboundRule, RewriteMap
from homeport.webconfig.rewriting.template import Applied, Captured, Lookup, Part, ServerVariable, Template
from homeport.webconfig.rewriting.variables import STATUS, response_header

_INPUT = Variable("homeport_input")
_RULES = Variable("homeport_outbound")
_KEY = Variable("homeport_key")
_PIECE = 1200
"""Characters of JSON in one token: quoting doubles some, and nginx reads 4096 bytes."""
_MOST_CAPTURED = 9

MapVariable = Callable[[RewriteMap], Variable]
ServerVariableParts = Callable[[str], tuple[str | Variable, ...]]


class OutboundCompiler:
    """Compiles the outbound rules of one site (`site` as it is in variables).

    `map_variable` names the variable of a rewrite map, `server_variable` says what a server variable is here,
    `beginning` is the key of a `map` for the paths in a folder.
    """

    def __init__(
        self,
        site: str,
        folders: Sequence[FolderRules],
        *,
        steps: int,
        map_variable: MapVariable,
        server_variable: ServerVariableParts,
        beginning: Callable[[str], Plain],
    ) -> None:
        self._site = site
        self._folders = folders
        self._steps = steps
        self._map_variable = map_variable
        self._server_variable = server_variable
        self._beginning = beginning
        patterns = (pattern for folder in folders for rule in folder.outbound for pattern in rule.patterns())
        self._patterns = {pattern: at for at, pattern in enumerate(dict.fromkeys(patterns))}

    @property
    def active(self) -> bool:
        """Whether there is any rule."""
        return any(folder.outbound for folder in self._folders)

    def maps(self) -> list[Node]:
        """Give the `map` blocks, which stand outside the server block."""
        if not self.active:
            return []
        nodes: list[Node] = [self._pattern_map(pattern) for pattern in self._patterns]
        entries: list[Node] = [directive("volatile")]
        for at, folder in sorted(enumerate(self._folders), key=lambda one: -len(one[1].folder)):
            pieces = self._pieces(folder)
            names = [
                Variable(f"homeport_outbound{at}x{number}_{self._site}") for number in range(len(pieces))
            ]
            nodes += [
                block("map", "", name, body=[Entry("default", (Text(piece),))])
                for name, piece in zip(names, pieces, strict=True)
            ]
            entries.append(Entry(self._beginning(folder.folder), (Text(*names),)))
        return [*nodes, block("map", Variable("uri"), self._chosen, body=entries)]

    def directives(self) -> list[Node]:
        """Give what stands in the server block before the rules for requests, which change the path."""
        if not self.active:
            return []
        return [
            directive("set", _RULES, self._chosen),
            # These are the script's to set.
            directive("set", _INPUT, ""),
            directive("set", _KEY, ""),
        ]

    @property
    def _chosen(self) -> Variable:
        return Variable(f"homeport_outbound_{self._site}")

    def _pattern_map(self, pattern: Pattern) -> Node:
        names = {number: f"homeport_o{number}" for number in range(min(pattern.groups, _MOST_CAPTURED) + 1)}
        case = "~*" if pattern.ignore_case else "~"
        body: list[Node] = [
            directive("volatile"),
            # nginx takes the default where an expression ends with an error.
            Entry("default", ("too-long",)),
            # Nor does it try expressions with an empty text.
            Entry("", ("1" if pattern.compiled().search(b"") else "0",)),
            Entry(expression(pattern, steps=self._steps, names=names, before=case), ("1",)),
            Entry(Plain(r"~\A"), ("0",)),
        ]
        return block("map", _INPUT, self._pattern_variable(pattern), body=body)

    def _pattern_variable(self, pattern: Pattern) -> Variable:
        return Variable(f"homeport_matches{self._patterns[pattern]}_{self._site}")

    def _pieces(self, folder: FolderRules) -> list[str]:
        maps = {known.name: known for known in folder.maps}
        text = json.dumps([self._rule(rule, maps) for rule in folder.outbound], separators=(",", ":"))
        text = text.replace("$", r"\u0024")  # which nginx would have to write much longer
        return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]

    def _rule(self, rule: OutboundRule, maps: Mapping[str, RewriteMap]) -> dict[str, Any]:
        first = rule.precondition
        return {
            "header": rule.header,
            **self._match(rule.pattern, negate=rule.negate),
            "before": [self._condition(one, maps) for one in first.conditions] if first else [],
            "beforeAny": first is not None and first.grouping is Grouping.ANY,
            "conditions": [self._condition(one, maps) for one in rule.conditions],
            "any": rule.grouping is Grouping.ANY,
            "row": rule.capture_all,
            "value": None if rule.value is None else self._template(rule.value, maps),
            "replace": rule.replace,
            "stop": rule.stop,
        }

    def _condition(self, condition: Condition, maps: Mapping[str, RewriteMap]) -> dict[str, Any]:
        if condition.pattern is None:
            raise RuntimeError("outbound rules do not look at the disk")
        return {
            "input": self._template(condition.input, maps),
            **self._match(condition.pattern, negate=condition.negate),
        }

    def _match(self, pattern: Pattern, *, negate: bool) -> dict[str, Any]:
        return {
            "matches": self._pattern_variable(pattern).name,
            "groups": min(pattern.groups, _MOST_CAPTURED) + 1,
            "negate": negate,
        }

    def _template(self, template: Template, maps: Mapping[str, RewriteMap]) -> list[Any]:
        return [piece for part in template.parts for piece in self._part(part, maps)]

    def _part(self, part: Part, maps: Mapping[str, RewriteMap]) -> list[Any]:
        match part:
            case str():
                return [part]
            case Captured(source=source, number=number):
                return [{source.value: number}]
            case ServerVariable(name=name):
                return self._named(name)
            case Lookup(map=name, key=key):
                return [{"map": self._map_variable(maps[name]).name, "key": self._template(key, maps)}]
            case Applied(function=function, argument=argument):
                return [{"function": function.value, "of": self._template(argument, maps)}]

    def _named(self, name: str) -> list[Any]:
        if name == STATUS:
            return [{"status": 1}]
        header = response_header(name)
        if header is not None:
            return [{"header": header}]
        parts = self._server_variable(name)
        return [{"variable": part.name} if isinstance(part, Variable) else part for part in parts]


def with_header_filter(nodes: Sequence[Node]) -> list[Node]:
    """Give the nodes with the script's filter in every location: it cannot stand outside of one."""
    apply = directive("js_header_filter", "rewriting.outbound")
    return [
        Directive(node.name, node.arguments, (*node.block, apply))
        if isinstance(node, Directive) and node.name == "location" and node.block is not None
        else node
        for node in nodes
    ]
