r"""From rewrite rules to nginx directives that run one after the other, before a location is looked for.

`webconfig/rewriting/evaluate.py` says what they must come to. How: nginx's `if` takes one comparison and cannot stand
in another, so each rule keeps `$homeport_hit`, which every test that fails empties; what a rule does stands in a last
`if ($homeport_hit)`. `break` ends the rules. Captured text is in named groups, so later matches do not overwrite it.
Texts that patterns are matched with are of any content, but a path is checked before it becomes the URL.

nginx matches for all sites: each pattern may take `_STEPS` steps (PCRE's own count, kept by its compiler, too) and then
ends its request with 500, in some milliseconds at worst.
"""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeport.model.errors import Invalid
from homeport.node.nginx.forwarding import DROPPED_HEADERS
from homeport.node.nginx.outbound import OutboundCompiler
from homeport.node.nginx.pages import STATUS_TEXTS, answer, page, sub_status_is
from homeport.node.nginx.patterns import expression
from homeport.node.nginx.rule_names import rule_name, taken_by
from homeport.node.nginx.trace_header import TraceHeader
from homeport.node.nginx.writer import Argument, Entry, If, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.plan import CONTENT_ROOT
from homeport.webconfig.rewriting.pattern import Pattern
from homeport.webconfig.rewriting.rules import (
    Abort,
    Condition,
    FolderRules,
    Grouping,
    Nothing,
    OutboundRule,
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
    Lookup,
    Part,
    ServerVariable,
    Source,
    Template,
)
from homeport.webconfig.rewriting.variables import FILE_VARIABLES, is_header
from homeport.webconfig.sections.rewrite import MOST_FUNCTIONS

FUNCTION_SLOTS = MOST_FUNCTIONS
"""How many `{ToLower:…}` and the like the rules of one site may have: each has a variable of its own."""

_STEPS = 10_000
_ALL_STEPS = 1_000_000
"""All patterns of a site together: where there are more than a hundred, each may take fewer."""
_FEWEST_STEPS = 1000
_UNSAFE = r"\x00|\\|(?:\A|/)\.\.?(?:/|\z)"
_BELOW = rf"(?s)\A{CONTENT_ROOT}(?P<homeport_below>(?:/(?!.*(?:\x00|\\)|(?:.*/)?\.\.?(?:/|\z)).*)?)\z"
_LITERAL = str.maketrans({character: f"\\{character}" for character in r"\.^$*+?()[]{}|"})

_NOWHERE = "homeport-nothing"
"""A path that leads to nothing, at the cost of one look. An empty one would be the folder that nginx runs in."""
_REWRITE = "/.homeport/rewrite"
_RESPONSES = "/.homeport/respond/"
_REDIRECTS = "/.homeport/redirect/"
"""Outbound rules see only what a location answers."""
_RAN = Variable("homeport_ran")
ORIGINAL = Variable("homeport_original")
"""The decoded path that the client asked for."""
_CHAIN = Variable("homeport_chain")
_HIT = Variable("homeport_hit")
_ANY = Variable("homeport_any")
_IN = Variable("homeport_in")
_PATH = Variable("homeport_path")
_INPUT = Variable("homeport_input")
_KEY = Variable("homeport_key")
_NEW = Variable("homeport_new")
_KEPT = Variable("homeport_kept")
_CARRIED = Variable("homeport_carried")
_COMMIT = Variable("homeport_commit")
_PROBE = Variable("homeport_probe")
_FILE = Variable("homeport_file")
_URI = Variable("uri")

_CURRENT_FILE = (CONTENT_ROOT, _URI)
_ADDRESS = Variable("remote_addr")
_SERVER_VARIABLES: Mapping[str, tuple[str | Variable, ...]] = {
    **dict.fromkeys(("URL", "PATH_INFO", "SCRIPT_NAME"), (_URI,)),
    **dict.fromkeys(FILE_VARIABLES, _CURRENT_FILE),
    **dict.fromkeys(("REQUEST_URI", "UNENCODED_URL"), (Variable("request_uri"),)),
    **dict.fromkeys(("REMOTE_ADDR", "REMOTE_HOST"), (_ADDRESS,)),
    **dict.fromkeys(("LOCAL_ADDR", "SERVER_ADDR"), (Variable("server_addr"),)),
    "QUERY_STRING": (Variable("args"),),
    "APPL_MD_PATH": ("/LM/W3SVC/1/ROOT",),
    "APPL_PHYSICAL_PATH": (f"{CONTENT_ROOT}/",),
    "CACHE_URL": (
        Variable("scheme"),
        "://",
        Variable("host"),
        ":",
        Variable("server_port"),
        Variable("request_uri"),
    ),
    "CONTENT_LENGTH": (Variable("homeport_content_length"),),
    "CONTENT_TYPE": (Variable("content_type"),),
    "DOCUMENT_ROOT": (CONTENT_ROOT,),
    "GATEWAY_INTERFACE": ("CGI/1.1",),
    "HTTPS": (Variable("homeport_https"),),
    "INSTANCE_ID": ("1",),
    "INSTANCE_META_PATH": ("/LM/W3SVC/1",),
    "REMOTE_PORT": (Variable("remote_port"),),
    "REQUEST_METHOD": (Variable("request_method"),),
    "SERVER_NAME": (Variable("host"),),
    "SERVER_PORT": (Variable("server_port"),),
    "SERVER_PORT_SECURE": (Variable("homeport_secure"),),
    "SERVER_PROTOCOL": (Variable("server_protocol"),),
    "SERVER_SOFTWARE": ("Homeport",),
    # Headers that only the platform sets: a rule sees what an application does.
    **dict.fromkeys((f"HTTP_{name.upper().replace('-', '_')}" for name in DROPPED_HEADERS), ()),
    "HTTP_X_FORWARDED_FOR": (Variable("homeport_forwarded_for"),),
    "HTTP_X_FORWARDED_PROTO": (Variable("scheme"),),
    "HTTP_X_ORIGINAL_URL": (Variable("request_uri"),),
    "HTTP_X_WAWS_UNENCODED_URL": (Variable("request_uri"),),
}


@dataclass(frozen=True, slots=True)
class _Written:
    """A template as nginx reads it: what must be set before, and the text."""

    before: tuple[Node, ...]
    parts: tuple[str | Variable, ...]

    @property
    def argument(self) -> Argument:
        """The text as an argument of `set`, `return` and the like."""
        return Text(*self.parts)


class RewriteCompiler:
    """Compiles the rules of one site; `content_root` is where nginx sees its content folder.

    `trace` notes which rules matched.
    """

    def __init__(
        self, site: str, folders: Sequence[FolderRules], *, content_root: str, trace: TraceHeader
    ) -> None:
        self._trace = trace
        self._site = site.replace("-", "_")
        self._folders = folders
        self._content_root = content_root
        self._rules = _in_order(folders)
        outbound = [
            known
            for folder in folders
            for known in folder.maps
            if any(part.map == known.name for part in _lookups(folder.outbound))
        ]
        self._maps = dict.fromkeys([*(known for _, maps, _ in self._rules for known in maps), *outbound])
        self._set_names = {variable.name for rule, _, _ in self._rules for variable in rule.variables}
        patterns = sum(1 + len(rule.conditions) for rule, _, _ in self._rules)
        self._steps = max(_FEWEST_STEPS, min(_STEPS, _ALL_STEPS // max(patterns, 1)))
        self.outbound = OutboundCompiler(
            self._site,
            folders,
            steps=self._steps,
            map_variable=self._map_variable,
            server_variable=self._server_variable,
            beginning=_beginning,
        )

    @property
    def active(self) -> bool:
        """Whether there is any rule for requests."""
        return bool(self._rules)

    @property
    def headers(self) -> Mapping[str, Variable]:
        """The request headers that rules set, by server variable (`HTTP_…`), and the variable with their value."""
        return {name: _set_variable(name) for name in sorted(self._set_names) if is_header(name)}

    def maps(self) -> list[Node]:
        """Give the `map` blocks, which stand outside the server block."""
        nodes = [self._map(known) for known in self._maps]
        nodes += self.outbound.maps()
        if self._several:
            entries = [
                Entry(_beginning(folder.folder), (str(at),))
                for at, folder in sorted(enumerate(self._folders), key=lambda one: -len(one[1].folder))
            ]
            nodes.append(
                block(
                    "map", _URI, self._chain, body=[directive("volatile"), Entry("default", ("",)), *entries]
                )
            )
        return nodes

    def directives(self, *, before: Sequence[Node]) -> list[Node]:
        """Give what stands in the server block; `before` ends the rules for requests that they are not to see."""
        if not (self.active or self.outbound.active):
            return []
        writer = _RuleWriter(
            content_root=self._content_root,
            steps=self._steps,
            set_names=frozenset(self._set_names),
            redirects_aside=self.outbound.active,
            trace=self._trace,
            map_variables={known: self._map_variable(known) for known in self._maps},
        )
        nodes: list[Node] = [
            # Error pages and default documents come through here again.
            If(_RAN, (directive("break"),)),
            directive("set", _RAN, "1"),
            directive("set", ORIGINAL, _URI),
            *self.outbound.directives(),
            *before,
            *(
                directive("set", _set_variable(name), Text(*_server_variable(name)))
                for name in sorted(self._set_names)
            ),
        ]
        if self._several:
            nodes.append(directive("set", _CHAIN, self._chain))
        for rule, maps, chains in self._rules:
            guard = "|".join(map(str, chains)) if self._several else None
            nodes += writer.rule(rule, {known.name: known for known in maps}, chains=guard)
        return [*nodes, *writer.locations()]

    @property
    def _several(self) -> bool:
        """Whether the rules are not the same everywhere."""
        return [folder.folder for folder in self._folders] != ["/"]

    @property
    def _chain(self) -> Variable:
        return Variable(f"homeport_chain_{self._site}")

    def _server_variable(self, name: str) -> tuple[str | Variable, ...]:
        return (_set_variable(name),) if name in self._set_names else _server_variable(name)

    def _map_variable(self, known: RewriteMap) -> Variable:
        return Variable(f"homeport_map{list(self._maps).index(known)}_{self._site}")

    def _map(self, known: RewriteMap) -> Node:
        body: list[Node] = [directive("volatile")]
        if known.default:
            body.append(Entry("default", (Text(known.default),)))
        for key, value in known.entries:
            # The table of fixed keys knows no case, so keys with case are patterns.
            written = f"\\{key}" if known.ignore_case else rf"~\A{key.translate(_LITERAL)}\z"
            body.append(Entry(Plain(written if key or not known.ignore_case else ""), (Text(value),)))
        return block("map", _KEY, self._map_variable(known), body=body)


def script_directives() -> list[Node]:
    """Give what the main file needs for redirects and functions, inside of `http`."""
    return [
        directive("js_import", "rewriting", "from", str(Path(__file__).with_name("rewriting.js"))),
        directive("js_set", Variable("homeport_location"), "rewriting.location"),
        *(
            directive("js_set", Variable(f"homeport_function_{slot}"), f"rewriting.function_{slot}")
            for slot in range(1, FUNCTION_SLOTS + 1)
        ),
    ]


def _in_order(
    folders: Sequence[FolderRules],
) -> list[tuple[RewriteRule, tuple[RewriteMap, ...], list[int]]]:
    """Merge the folders' lists into one that keeps the order of each, with the numbers of the folders of each rule.

    A rule that looks up different maps in different folders is several rules.
    """
    order: list[tuple[RewriteRule, tuple[RewriteMap, ...]]] = []
    chains: dict[tuple[RewriteRule, tuple[RewriteMap, ...]], list[int]] = {}
    for number, folder in enumerate(folders):
        maps = {known.name: known for known in folder.maps}
        at = 0
        for rule in folder.rules:
            one = (rule, tuple(maps[name] for name in sorted(_used_maps(rule))))
            if one in chains:
                at = order.index(one) + 1
            else:
                order.insert(at, one)
                at += 1
            chains.setdefault(one, []).append(number)
    return [(rule, maps, chains[rule, maps]) for rule, maps in order]


def _used_maps(rule: RewriteRule) -> set[str]:
    return {part.map for part in _lookups([rule])}


def _lookups(rules: Iterable[RewriteRule | OutboundRule]) -> Iterator[Lookup]:
    return (part for rule in rules for part in rule.parts() if isinstance(part, Lookup))


def _beginning(folder: str) -> Plain:
    return Plain(rf"~\A{folder.rstrip('/').translate(_LITERAL)}(?:/|\z)")


def _set_variable(name: str) -> Variable:
    return Variable(f"homeport_set_{name.lower().replace('-', '_')}")


def _server_variable(name: str) -> tuple[str | Variable, ...]:
    if name in _SERVER_VARIABLES:
        return _SERVER_VARIABLES[name]
    return (Variable(name.lower()),) if is_header(name) else ()


class _RuleWriter:
    """Writes one rule after the other; it remembers what `$homeport_path` is relative to."""

    def __init__(
        self,
        *,
        content_root: str,
        steps: int,
        set_names: frozenset[str],
        redirects_aside: bool,
        trace: TraceHeader,
        map_variables: Mapping[RewriteMap, Variable],
    ) -> None:
        self._content_root = content_root
        self._steps = steps
        self.set_names = set_names
        self.map_variables = map_variables
        self._redirects_aside = redirects_aside
        self._trace = trace
        self._redirects: set[int] = set()
        self._responses: dict[Respond, str] = {}
        self._rewrites_for_good = False
        self._base: str | None = None
        self._slots = 0

    def rule(
        self, rule: RewriteRule, maps: Mapping[str, RewriteMap], *, chains: str | None
    ) -> Iterator[Node]:
        texts = _Texts(self, rule, maps)
        yield from self._relative_to(rule.base)
        names = texts.names(Source.RULE, None)
        everywhere = rule.base == "/" and chains is None
        if everywhere and rule.pattern is not None and not (rule.conditions or rule.variables):
            body = self._on_hit(rule, texts)
            if body is not None:
                # Most rules of most requests: one comparison, and that is all.
                yield self._match(_PATH, rule.pattern, body, on=not rule.negate, names=names)
                return
        if everywhere and rule.pattern is not None:
            yield directive("set", _HIT, "")
            yes = (directive("set", _HIT, "1"),)
            yield self._match(_PATH, rule.pattern, yes, on=not rule.negate, names=names)
        else:
            yield directive("set", _HIT, "1" if rule.base == "/" else _IN)
            no = (directive("set", _HIT, ""),)
            if chains is not None:
                yield If(_CHAIN, no, operator="!~", operand=Plain(rf"\A(?:{chains})\z"))
            if rule.pattern is not None:
                yield self._match(_PATH, rule.pattern, no, on=rule.negate, names=names)
        yield from self._conditions(rule, texts)
        yield from self._variables(rule, texts)
        body = self._on_hit(rule, texts)
        if body is not None:
            yield If(_HIT, body)
        elif isinstance(rule.action, RewriteTo):
            yield from self._go_on_with(rule, rule.action, texts)

    def _relative_to(self, base: str) -> Iterator[Node]:
        if self._base == base:
            return
        self._base = base
        if base != "/":
            yield directive("set", _IN, "")
        found = (directive("set", _IN, "1"),) if base != "/" else ()
        expression = rf"(?s)\A{base.translate(_LITERAL)}(?P<{_PATH.name}>.*)\z"
        yield If(_URI, found, operator="~", operand=Plain(expression))

    def _match(
        self,
        subject: Variable,
        pattern: Pattern,
        body: tuple[Node, ...],
        *,
        on: bool,
        names: Mapping[int, str],
    ) -> Node:
        operator = ("~" if on else "!~") + ("*" if pattern.ignore_case else "")
        return If(
            subject, body, operator=operator, operand=expression(pattern, steps=self._steps, names=names)
        )

    def _conditions(self, rule: RewriteRule, texts: "_Texts") -> Iterator[Node]:
        if not rule.conditions:
            return
        if rule.grouping is Grouping.ALL:
            for at, condition in enumerate(rule.conditions):
                texts.evaluated = at
                yield from self._condition(condition, at, texts, fails=(directive("set", _HIT, ""),))
            texts.evaluated = len(rule.conditions)
            return
        # The first that holds counts: from the last to the first, each takes the place of those behind it.
        yield directive("set", _ANY, "")
        for at in reversed(range(len(rule.conditions))):
            texts.evaluated = 0
            yield from self._condition(
                rule.conditions[at],
                at,
                texts,
                holds=(directive("set", _ANY, "1"), *texts.take_over(at)),
            )
        texts.evaluated = len(rule.conditions)
        yield If(_ANY, (directive("set", _HIT, ""),), operator="=", operand="")

    def _condition(
        self,
        condition: Condition,
        at: int,
        texts: "_Texts",
        *,
        fails: tuple[Node, ...] = (),
        holds: tuple[Node, ...] = (),
    ) -> Iterator[Node]:
        """Run `fails` where it does not hold, or `holds` where it does; one of them is given."""
        body, wanted = (fails, False) if fails else (holds, True)
        if condition.pattern is None:
            yield from self._disk(condition, texts, body, on=wanted != condition.negate)
            return
        written = texts.write(condition.input)
        subject = _INPUT
        only = written.parts[0] if len(written.parts) == 1 else ""
        if isinstance(only, Variable) and not written.before:
            subject = only
        else:
            yield from _guarded(written.before)
            yield directive("set", _INPUT, written.argument)
        names = texts.names(Source.CONDITION, at)
        yield self._match(subject, condition.pattern, body, on=wanted != condition.negate, names=names)

    def _disk(
        self, condition: Condition, texts: "_Texts", body: tuple[Node, ...], *, on: bool
    ) -> Iterator[Node]:
        """Look at the disk, in earnest only where the rule has come this far: a look costs as much as forty patterns."""
        test = "-f" if condition.test is Test.FILE else "-d"
        yield directive("set", _FILE, _NOWHERE)
        if _is_current_file(condition.input):
            yield If(_HIT, (directive("set", _FILE, Variable("request_filename")),))
        else:
            written = texts.write(condition.input)
            yield directive("set", _PROBE, "")
            yield If(_HIT, (*written.before, directive("set", _PROBE, written.argument)))
            below = Text(self._content_root, Variable("homeport_below"))
            yield If(_PROBE, (directive("set", _FILE, below),), operator="~", operand=Plain(_BELOW))
        yield If(None, body, operator=test if on else f"!{test}", operand=_FILE)

    def _variables(self, rule: RewriteRule, texts: "_Texts") -> Iterator[Node]:
        for one in rule.variables:
            target = _set_variable(one.name)
            written = texts.write(one.value)
            assign = (*written.before, directive("set", target, written.argument))
            if one.replace:
                yield If(_HIT, assign)
            else:
                yield directive("set", _COMMIT, Text(_HIT, target))
                yield If(_COMMIT, assign, operator="=", operand="1")
            yield If(target, (directive("return", "400"),), operator="~", operand=Plain(r"[\x00\r\n]"))

    def _on_hit(self, rule: RewriteRule, texts: "_Texts") -> tuple[Node, ...] | None:
        """What a rule does in one block where it applies; None where that takes more, or nothing."""
        does = self._does(rule, texts)
        if does is None:
            return None
        ends = isinstance(rule.action, RedirectTo | Respond | Abort)
        counted = (taken_by(rule_name("rewrite", rule.name, folder=rule.base)),) if ends else ()
        return (*self._trace.matched(rule), *counted, *does)

    def _does(self, rule: RewriteRule, texts: "_Texts") -> tuple[Node, ...] | None:
        match rule.action:
            case RewriteTo() if rule.stop:
                self._rewrites_for_good = True
                go = directive("rewrite", Plain("^"), _REWRITE, "break")
                return (*self._target(rule, rule.action, texts), go)
            case RedirectTo(url=url, status=status):
                go = directive("return", str(status), Variable("homeport_location"))
                if self._redirects_aside:
                    self._redirects.add(status)
                    go = directive("rewrite", Plain("^"), f"{_REDIRECTS}{status}", "break")
                return (*self._target(rule, url, texts), go)
            case Respond():
                place = self._responses.setdefault(rule.action, f"{_RESPONSES}{len(self._responses)}")
                return (directive("rewrite", Plain("^"), f"{place}?", "break"),)
            case Abort():
                return (directive("return", "444"),)
            case Nothing() if rule.stop:
                return (directive("break"),)
        return None

    def _target(self, rule: RewriteRule, url: RewriteTo, texts: "_Texts") -> Iterator[Node]:
        """Set what `_REWRITE` and rewriting.js make the new URL of."""
        path, query = texts.write(url.path), texts.write(url.query or Template())
        first = url.path.parts[0] if url.path.parts else ""
        how = [
            "query" * url.may_carry_query,
            "host" * (isinstance(first, str) and first.startswith("//")),
            "append" * url.append_query,
        ]
        yield from (*path.before, *query.before)
        yield directive("set", _NEW, path.argument)
        yield directive("set", _CARRIED, query.argument)
        yield directive("set", _KEPT, Text(rule.base))
        yield directive("set", _COMMIT, " ".join(filter(None, how)))

    def _go_on_with(self, rule: RewriteRule, action: RewriteTo, texts: "_Texts") -> Iterator[Node]:
        """Change the URL for the rules that follow."""
        path, query = texts.write(action.path), texts.write(action.query or Template())
        yield If(
            _HIT,
            (
                *self._trace.matched(rule),
                *path.before,
                *query.before,
                directive("set", _NEW, path.argument),
                directive("set", _CARRIED, query.argument),
            ),
        )
        if action.may_carry_query:
            yield directive("set", _CARRIED, "")
            yield directive("set", _PROBE, _NEW)
            yield _APART
        first = action.path.parts[0] if action.path.parts else ""
        if not (isinstance(first, str) and first.startswith("/")):
            yield If(
                _NEW, (directive("set", _NEW, Text(rule.base, _NEW)),), operator="!~", operand=Plain(r"\A/")
            )
        # Where the rule does not apply, this is what an earlier one left, which has been looked at.
        yield _REFUSE_UNSAFE
        kept = () if action.append_query else ("?",)
        yield directive("set", _COMMIT, _HIT)
        yield If(_CARRIED, (directive("set", _COMMIT, Text(_HIT, "+")),), operator="!=", operand="")
        yield If(_COMMIT, _rewritten(Text(_NEW, *kept)), operator="=", operand="1")
        yield If(_COMMIT, _rewritten(Text(_NEW, "?", _CARRIED, *kept)), operator="=", operand="1+")
        self._base = None

    def locations(self) -> Iterator[Node]:
        """Give the locations that answer for the rules written so far."""
        if self._rewrites_for_good:
            yield block("location", "=", _REWRITE, body=list(_rewrite_for_good()))
        for status in sorted(self._redirects):
            go = directive("return", str(status), Variable("homeport_location"))
            yield block("location", "=", f"{_REDIRECTS}{status}", body=[directive("internal"), go])
        for action, place in self._responses.items():
            yield block("location", "=", place, body=[directive("internal"), *_respond(action)])

    def slot(self) -> int:
        self._slots += 1
        if self._slots > FUNCTION_SLOTS:
            raise Invalid(
                f"The rewrite rules of a site may have {FUNCTION_SLOTS} functions; these have more."
            )
        return self._slots


_APART = If(
    _PROBE,
    (),
    operator="~",
    operand=Plain(rf"(?s)\A(?P<{_NEW.name}>[^?]*)\?(?P<{_CARRIED.name}>.*)\z"),
)
_REFUSE_UNSAFE = If(_NEW, (directive("return", "400"),), operator="~", operand=Plain(_UNSAFE))


def _rewritten(target: Text) -> tuple[Node, ...]:
    return (directive("rewrite", Plain("^"), target),)


def _rewrite_for_good() -> Iterator[Node]:
    """Make the URL of a last rule's target, and look for its location."""
    yield directive("internal")
    yield directive("set", _PROBE, "")
    yield If(_COMMIT, (directive("set", _PROBE, _NEW),), operator="~", operand="^query")
    yield _APART
    yield If(_NEW, (directive("set", _NEW, Text(_KEPT, _NEW)),), operator="!~", operand=Plain(r"\A/"))
    yield _REFUSE_UNSAFE
    yield If(_CARRIED, (directive("set", _COMMIT, Text(_COMMIT, " more")),), operator="!=", operand="")
    more = Text(_NEW, "?", _CARRIED)
    for ending, target in (
        (r"append\z", Text(_NEW)),
        (r"append more\z", more),
        (r"more\z", Text(*more.parts, "?")),
        (r"\z", Text(_NEW, "?")),
    ):
        go = directive("rewrite", Plain("^"), target, "last")
        yield If(_COMMIT, (go,), operator="~", operand=Plain(ending))


def _respond(action: Respond) -> Iterator[Node]:
    yield sub_status_is(str(action.sub_status))
    title, text = STATUS_TEXTS.get(str(action.status), ("The site answers this request so", ""))
    yield from answer(
        str(action.status), page(html.escape(action.reason or title), html.escape(action.description or text))
    )


def _is_current_file(template: Template) -> bool:
    if not template.parts:
        return True
    only = template.parts[0]
    return len(template.parts) == 1 and isinstance(only, ServerVariable) and only.name in FILE_VARIABLES


def _guarded(nodes: tuple[Node, ...]) -> list[Node]:
    return [If(_HIT, nodes)] if nodes else []


class _Texts:
    """Writes the texts of one rule. `evaluated` says how many of its conditions have been looked at."""

    def __init__(self, writer: _RuleWriter, rule: RewriteRule, maps: Mapping[str, RewriteMap]) -> None:
        self._writer = writer
        self._rule = rule
        self._maps = maps
        self._found = 0
        self.evaluated = 0
        parts = list(rule.parts())
        self._wanted = {
            source: {part.number for part in parts if isinstance(part, Captured) and part.source is source}
            for source in Source
        }

    def names(self, source: Source, at: int | None) -> Mapping[int, str]:
        """Name the groups of the rule's pattern, or of its condition `at`, that some text refers to."""
        if at is None:
            pattern, negate = self._rule.pattern, self._rule.negate
        else:
            pattern, negate = self._rule.conditions[at].pattern, self._rule.conditions[at].negate
        wanted = self._wanted[source]
        if pattern is None or negate or not wanted:
            return {}
        if at is not None and self._rule.capture_all:
            wanted = set(range(10))
        return {number: self._name(at, number).name for number in wanted if number <= pattern.groups}

    def take_over(self, at: int) -> Iterator[Node]:
        """Make the groups of condition `at` those that `{C:n}` refers to."""
        names = self.names(Source.CONDITION, at)
        for number in sorted(self._wanted[Source.CONDITION]):
            value: Argument = Variable(names[number]) if number in names else ""
            yield directive("set", Variable(f"homeport_c_{number}"), value)

    def write(self, template: Template) -> _Written:
        before: list[Node] = []
        parts: list[str | Variable] = []
        for part in template.parts:
            written = self._part(part)
            before += written.before
            parts += written.parts
        return _Written(tuple(before), tuple(parts))

    def _part(self, part: Part) -> _Written:
        match part:
            case str():
                return _Written((), (part,))
            case Captured():
                captured = self._captured(part)
                return _Written((), (captured,) if captured else ())
            case ServerVariable(name=name):
                if name in self._writer.set_names:
                    return _Written((), (_set_variable(name),))
                return _Written((), _server_variable(name))
            case Lookup(map=name, key=key):
                written = self.write(key)
                self._found += 1
                found = Variable(f"homeport_found_{self._found}")
                take = (
                    directive("set", _KEY, written.argument),
                    directive("set", found, self._writer.map_variables[self._maps[name]]),
                )
                return _Written((*written.before, *take), (found,))
            case Applied(function=function, argument=argument):
                written = self.write(argument)
                slot = self._writer.slot()
                result = Variable(f"homeport_result_{slot}")
                call = (
                    directive(
                        "set",
                        Variable(f"homeport_argument_{slot}"),
                        Text(f"{function.value}:", *written.parts),
                    ),
                    directive("set", result, Variable(f"homeport_function_{slot}")),
                )
                return _Written((*written.before, *call), (result,))

    def _captured(self, part: Captured) -> Variable | None:
        rule = self._rule
        if part.source is Source.RULE:
            there = part.number in self.names(Source.RULE, None)
            return self._name(None, part.number) if there else None
        if rule.grouping is Grouping.ANY:
            return Variable(f"homeport_c_{part.number}") if self.evaluated else None
        row = self._row()
        return self._name(*row[part.number]) if part.number < len(row) else None

    def _row(self) -> list[tuple[int, int]]:
        """Which group of which condition each `{C:n}` is, after the conditions looked at so far."""
        row: list[tuple[int, int]] = []
        for at, condition in enumerate(self._rule.conditions[: self.evaluated]):
            if condition.pattern is None or condition.negate:
                continue
            groups = [(at, number) for number in range(condition.pattern.groups + 1)]
            row = [groups[0], *row[1:], *groups[1:]] if self._rule.capture_all else groups
        return row

    def _name(self, at: int | None, number: int) -> Variable:
        return Variable(f"homeport_r{number}" if at is None else f"homeport_c{at}_{number}")
