"""XPath 1.0 on our own trees, every step of which is paid for from a budget.

A library's evaluator has no bound: `//*[//*[//*]]` on a tenant's document would hold the machine for hours. What XPath
1.0 has is here, but for variables, the namespace axis, `id()` and `lang()`.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from homeport.webconfig.xdt.budget import Budget
from homeport.webconfig.xdt.tree import XMLNS, Attribute, Comment, Document, Element, Instruction, Node, Text

LONGEST = 4096
"""Characters of one expression."""
_DEEPEST = 32
_LETTERS_A_STEP = 64
_NUMBER = re.compile(r"[ \t\r\n]*-?(?:\d+(?:\.\d*)?|\.\d+)[ \t\r\n]*")
_TOKEN = re.compile(
    r"""\s*(?:(?P<literal>"[^"]*"|'[^']*')|(?P<number>\d+(?:\.\d*)?|\.\d+)"""
    r"""|(?P<symbol>::|//|\.\.|!=|<=|>=|[()\[\].@,/|+=<>*$-])"""
    r"""|(?P<name>[^\W\d][\w.-]*(?::(?!:)(?:[^\W\d][\w.-]*|\*))?))"""
)
_OPERATORS = ("and", "or", "mod", "div")
_NODE_TYPES = ("node", "text", "comment", "processing-instruction")

Value = list[Node] | str | float | bool


class XPathError(Exception):
    """An expression that is none, or that this evaluator does not know; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    node: Node
    position: int
    size: int
    run: "_Run"


Expression = Callable[[_Context], Value]


class _Run:
    """One evaluation: the document, in what order its nodes stand, and what it may cost."""

    def __init__(self, document: Document, budget: Budget) -> None:
        self.document = document
        self.budget = budget
        self._order: dict[int, int] = {}

    def ordered(self, nodes: list[Node]) -> list[Node]:
        """Put nodes into document order, each once."""
        unique = list({id(node): node for node in nodes}.values())
        if len(unique) < 2:
            return unique
        if not self._order:
            for number, node in enumerate(_everything(self.document)):
                self.budget.step()
                self._order[id(node)] = number
        self.budget.step(len(nodes))
        return sorted(unique, key=lambda node: self._order[id(node)])


def select(
    expression: str, document: Document, *, context: Node, namespaces: Mapping[str, str], budget: Budget
) -> list[Node]:
    """Return the nodes that an expression selects, in document order.

    Raises `XPathError` where it is no expression or selects no nodes by its kind, `Exhausted` over the budget.
    """
    compiled = _Parser(expression, namespaces).parse()
    value = compiled(_Context(node=context, position=1, size=1, run=_Run(document, budget)))
    if not isinstance(value, list):
        raise XPathError(f"'{_shown(expression)}' is a value, not a path to elements.")
    return value


def _everything(document: Document) -> Iterator[Node]:
    yield document
    pending: list[Node] = list(reversed(document.children))
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, Element):
            yield from node.attributes
            pending += reversed(node.children)


# Values ---------------------------------------------------------------------------------------------------------


def _string_of(node: Node, budget: Budget) -> str:
    if isinstance(node, Element | Document):
        parts: list[str] = []
        pending: list[Node] = list(reversed(node.children))
        while pending:
            below = pending.pop()
            budget.step()
            if isinstance(below, Text):
                budget.step(len(below.value) // _LETTERS_A_STEP)
                parts.append(below.value)
            elif isinstance(below, Element):
                pending += reversed(below.children)
        return "".join(parts)
    budget.step(1 + len(node.value) // _LETTERS_A_STEP)
    return node.value


def _string(value: Value, budget: Budget) -> str:
    if isinstance(value, list):
        return _string_of(value[0], budget) if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number_text(value)
    budget.step(len(value) // _LETTERS_A_STEP)
    return value


def _number_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value == int(value) else repr(value)


def _number(value: Value, budget: Budget) -> float:
    if isinstance(value, bool | float):
        return float(value)
    text = _string(value, budget)
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def _boolean(value: Value) -> bool:
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return bool(value)


def _compare(operator: str, left: Value, right: Value, budget: Budget) -> bool:
    budget.step()
    if isinstance(left, bool) or isinstance(right, bool):
        if operator in {"=", "!="}:
            return (_boolean(left) == _boolean(right)) is (operator == "=")
        return _relation(operator, [float(_boolean(left))], [float(_boolean(right))])
    if operator in {"=", "!="} and not isinstance(left, float) and not isinstance(right, float):
        return _texts_differ_or_meet(operator, _texts(left, budget), _texts(right, budget))
    return _relation(operator, _numbers(left, budget), _numbers(right, budget))


def _texts_differ_or_meet(operator: str, left: set[str], right: set[str]) -> bool:
    if operator == "=":
        return not left.isdisjoint(right)
    return bool(left) and bool(right) and len(left | right) > 1


def _texts(value: Value, budget: Budget) -> set[str]:
    return (
        {_string_of(node, budget) for node in value} if isinstance(value, list) else {_string(value, budget)}
    )


def _numbers(value: Value, budget: Budget) -> list[float]:
    if isinstance(value, list):
        return [_number(_string_of(node, budget), budget) for node in value]
    return [_number(value, budget)]


def _relation(operator: str, left: list[float], right: list[float]) -> bool:
    """Tell whether some pair fulfils the relation; NaN fulfils none but `!=`."""
    if operator == "=":
        return not {x for x in left if not math.isnan(x)}.isdisjoint(right)
    if operator == "!=":
        if not left or not right:
            return False
        return any(map(math.isnan, [*left, *right])) or len({*left, *right}) > 1
    numbers = [[x for x in side if not math.isnan(x)] for side in (left, right)]
    if not all(numbers):
        return False
    (low, high), (other_low, other_high) = ((min(side), max(side)) for side in numbers)
    match operator:
        case "<":
            return low < other_high
        case "<=":
            return low <= other_high
        case ">":
            return high > other_low
        case _:
            return high >= other_low


# Axes -----------------------------------------------------------------------------------------------------------


def _children(node: Node) -> Iterable[Node]:
    return node.children if isinstance(node, Element | Document) else ()


def _descendants(node: Node) -> Iterator[Node]:
    pending: list[Node] = list(reversed(list(_children(node))))
    while pending:
        below = pending.pop()
        yield below
        pending += reversed(list(_children(below)))


def _ancestors(node: Node) -> Iterator[Node]:
    here = _parent(node)
    while here is not None:
        yield here
        here = _parent(here)


def _parent(node: Node) -> "Element | Document | None":
    return None if isinstance(node, Document) else node.parent


def _siblings(node: Node, *, after: bool) -> Iterator[Node]:
    parent = _parent(node)
    if parent is None or isinstance(node, Attribute):
        return
    children = parent.children
    at = next(number for number, child in enumerate(children) if child is node)
    yield from children[at + 1 :] if after else reversed(children[:at])


def _beyond(node: Node, *, after: bool) -> Iterator[Node]:
    """The following axis, or the preceding one in reverse document order."""
    if isinstance(node, Attribute):
        if node.parent is None:
            return
        if after:
            yield from _descendants(node.parent)
        node = node.parent
    for here in (node, *_ancestors(node)):
        for sibling in _siblings(here, after=after):
            if after:
                yield sibling
                yield from _descendants(sibling)
            else:
                yield from reversed([sibling, *_descendants(sibling)])


def _self(node: Node) -> Iterator[Node]:
    yield node


def _attributes(node: Node) -> Iterable[Node]:
    return [each for each in node.attributes if each.namespace != XMLNS] if isinstance(node, Element) else ()


_AXES: Mapping[str, Callable[[Node], Iterable[Node]]] = {
    "child": _children,
    "descendant": _descendants,
    "descendant-or-self": lambda node: (node, *_descendants(node)),
    "self": _self,
    "parent": lambda node: [above] if (above := _parent(node)) is not None else [],
    "ancestor": _ancestors,
    "ancestor-or-self": lambda node: (node, *_ancestors(node)),
    "attribute": _attributes,
    "following-sibling": partial(_siblings, after=True),
    "preceding-sibling": partial(_siblings, after=False),
    "following": partial(_beyond, after=True),
    "preceding": partial(_beyond, after=False),
}


# Functions ------------------------------------------------------------------------------------------------------


def _normalize(text: str) -> str:
    return " ".join(part for part in re.split(r"[ \t\r\n]+", text) if part)


def _substring(text: str, start: float, length: float = math.inf) -> str:
    first = _round(start)
    end = first + _round(length)
    return "".join(character for at, character in enumerate(text, 1) if at >= first and at < end)


def _round(value: float) -> float:
    return value if math.isnan(value) or math.isinf(value) else float(math.floor(value + 0.5))


def _whole(function: Callable[[float], int], value: float) -> float:
    return value if math.isnan(value) or math.isinf(value) else float(function(value))


def _translate(text: str, old: str, new: str) -> str:
    table: dict[int, str | None] = {}
    for at, character in enumerate(old):
        table.setdefault(ord(character), new[at] if at < len(new) else None)
    return text.translate(table)


_TEXT_FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Value]]] = {
    "contains": (2, 2, lambda text, part: part in text),
    "starts-with": (2, 2, lambda text, part: text.startswith(part)),
    "substring-before": (2, 2, lambda text, part: text.partition(part)[0] if part in text else ""),
    "substring-after": (2, 2, lambda text, part: text.partition(part)[2]),
    "concat": (2, 64, lambda *texts: "".join(texts)),
    "translate": (3, 3, _translate),
}
"""Functions of strings alone, with how many they take."""
_NODE_FUNCTIONS = ("name", "local-name", "namespace-uri")


def _call(name: str, arguments: list[Expression], context: _Context) -> Value:
    budget = context.run.budget
    budget.step()
    values = [argument(context) for argument in arguments]

    def text(at: int) -> str:
        return _string(values[at], budget) if at < len(values) else _string_of(context.node, budget)

    if name in _TEXT_FUNCTIONS:
        texts = [_string(value, budget) for value in values]
        budget.step(sum(map(len, texts)) // _LETTERS_A_STEP)
        return _TEXT_FUNCTIONS[name][2](*texts)
    match name:
        case "last":
            return float(context.size)
        case "position":
            return float(context.position)
        case "count":
            return float(len(_nodes(values[0], name)))
        case "sum":
            return float(sum(_numbers(_nodes(values[0], name), budget)))
        case "not":
            return not _boolean(values[0])
        case "true" | "false":
            return name == "true"
        case "boolean":
            return _boolean(values[0])
        case "number":
            return _number(values[0] if values else [context.node], budget)
        case "string":
            return text(0)
        case "string-length":
            return float(len(text(0)))
        case "normalize-space":
            return _normalize(text(0))
        case "substring":
            return _substring(text(0), *(_number(value, budget) for value in values[1:]))
        case "floor":
            return _whole(math.floor, _number(values[0], budget))
        case "ceiling":
            return _whole(math.ceil, _number(values[0], budget))
        case "round":
            return _round(_number(values[0], budget))
        case _:
            nodes = _nodes(values[0], name) if values else [context.node]
            return _named(name, nodes[0]) if nodes else ""


_COUNTS: Mapping[str, tuple[int, int]] = {
    **{name: (least, most) for name, (least, most, _) in _TEXT_FUNCTIONS.items()},
    **dict.fromkeys(_NODE_FUNCTIONS, (0, 1)),
    **dict.fromkeys(("last", "position", "true", "false"), (0, 0)),
    **dict.fromkeys(("count", "sum", "not", "boolean", "floor", "ceiling", "round"), (1, 1)),
    **dict.fromkeys(("number", "string", "string-length", "normalize-space"), (0, 1)),
    "substring": (2, 3),
}


def _named(function: str, node: Node) -> str:
    if isinstance(node, Element | Attribute):
        if function == "namespace-uri":
            return node.namespace
        return node.name if function == "name" else node.local
    return (
        node.value.partition(" ")[0] if isinstance(node, Instruction) and function != "namespace-uri" else ""
    )


def _nodes(value: Value, function: str) -> list[Node]:
    if not isinstance(value, list):
        raise XPathError(f"{function}() takes a path, not a value.")
    return value


# Parsing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One step of a path: an axis, a test of its nodes, and what must hold for those that pass."""

    axis: str
    test: Callable[[Node], bool]
    predicates: tuple[Expression, ...] = ()

    def from_node(self, node: Node, run: _Run) -> list[Node]:
        found: list[Node] = []
        run.budget.step(_search_cost(self.axis, node))
        for each in _AXES[self.axis](node):
            run.budget.step()
            if self.test(each):
                found.append(each)
        for predicate in self.predicates:
            found = _filter(found, predicate, run)
        return found


def _search_cost(axis: str, node: Node) -> int:
    """Count what finding a node among its siblings takes, which the nodes found do not tell."""
    if axis.partition("-")[0] not in {"following", "preceding"}:
        return 1
    return 1 + sum(len(above.children) for above in _ancestors(node) if isinstance(above, Element | Document))


def _filter(nodes: list[Node], predicate: Expression, run: _Run) -> list[Node]:
    kept = []
    for position, node in enumerate(nodes, 1):
        run.budget.step()
        value = predicate(_Context(node=node, position=position, size=len(nodes), run=run))
        if value == position if isinstance(value, float) else _boolean(value):
            kept.append(node)
    return kept


def _walk(steps: tuple[_Step, ...], nodes: list[Node], run: _Run) -> list[Node]:
    for step in steps:
        nodes = run.ordered([found for node in nodes for found in step.from_node(node, run)])
    return nodes


def _anything(_node: Node) -> bool:
    return True


_ANYWHERE = _Step(axis="descendant-or-self", test=_anything)


class _Parser:
    """Recursive descent over the grammar of XPath 1.0."""

    def __init__(self, text: str, namespaces: Mapping[str, str]) -> None:
        self._text = text
        self._namespaces = namespaces
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def parse(self) -> Expression:
        expression = self._or()
        if self._at < len(self._tokens):
            raise self._wrong()
        return expression

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        token = self._tokens[at] if at < len(self._tokens) else None
        return "" if token is None or token.kind == "literal" else token.text

    def _take(self, *texts: str) -> str:
        text = self._peek()
        if text in texts:
            self._at += 1
            return text
        return ""

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong()

    def _wrong(self) -> XPathError:
        rest = self._tokens[self._at].text if self._at < len(self._tokens) else "the end"
        return XPathError(
            f"'{_shown(self._text)}' is no XPath expression: '{_shown(rest)}' is not expected there."
        )

    def _binary(
        self, inner: Callable[[], Expression], operators: tuple[str, ...], combine: Callable[..., Expression]
    ) -> Expression:
        left = inner()
        while operator := self._take(*operators):
            left = combine(operator, left, inner())
        return left

    def _or(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise XPathError(f"The expression is nested more than {_DEEPEST} deep.")
        expression = self._binary(self._and, ("or",), _logic)
        self._depth -= 1
        return expression

    def _and(self) -> Expression:
        return self._binary(self._equality, ("and",), _logic)

    def _equality(self) -> Expression:
        return self._binary(self._relational, ("=", "!="), _comparison)

    def _relational(self) -> Expression:
        return self._binary(self._additive, ("<", "<=", ">", ">="), _comparison)

    def _additive(self) -> Expression:
        return self._binary(self._multiplicative, ("+", "-"), _arithmetic)

    def _multiplicative(self) -> Expression:
        return self._binary(self._unary, ("*", "div", "mod"), _arithmetic)

    def _unary(self) -> Expression:
        negations = 0
        while self._take("-"):
            negations += 1
        operand = self._union()
        if not negations:
            return operand
        sign = -1.0 if negations % 2 else 1.0
        return lambda context: sign * _number(operand(context), context.run.budget)

    def _union(self) -> Expression:
        first = self._path()
        if self._peek() != "|":
            return first
        parts = [first]
        while self._take("|"):
            parts.append(self._path())

        def union(context: _Context) -> Value:
            return context.run.ordered([node for part in parts for node in _nodes(part(context), "|")])

        return union

    def _path(self) -> Expression:
        if not self._is_filter():
            return self._location()
        primary = self._primary()
        predicates = self._predicates()
        steps = self._more_steps() if self._peek() in ("/", "//") else ()
        if not predicates and not steps:
            return primary

        def filtered(context: _Context) -> Value:
            nodes = _nodes(primary(context), "a predicate")
            for predicate in predicates:
                nodes = _filter(nodes, predicate, context.run)
            return _walk(steps, nodes, context.run)

        return filtered

    def _is_filter(self) -> bool:
        if self._at >= len(self._tokens):
            raise self._wrong()
        token = self._tokens[self._at]
        call = token.kind == "name" and self._peek(1) == "(" and token.text not in _NODE_TYPES
        return token.kind in {"literal", "number"} or token.text in {"(", "$"} or call

    def _primary(self) -> Expression:
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "literal":
            literal = token.text[1:-1]
            return lambda _: literal
        if token.kind == "number":
            number = float(token.text)
            return lambda _: number
        if token.text == "(":
            inner = self._or()
            self._expect(")")
            return inner
        if token.text == "$":
            raise XPathError("An XPath expression here has no variables ('$').")
        return self._function(token.text)

    def _function(self, name: str) -> Expression:
        if name not in _COUNTS:
            raise XPathError(f"'{_shown(name)}()' is no function that is known here.")
        self._expect("(")
        arguments: list[Expression] = []
        if self._peek() != ")":
            arguments.append(self._or())
            while self._take(","):
                arguments.append(self._or())
        self._expect(")")
        least, most = _COUNTS[name]
        if not least <= len(arguments) <= most:
            raise XPathError(f"{name}() is called with {len(arguments)} arguments.")
        return partial(_call, name, arguments)

    def _location(self) -> Expression:
        absolute = self._peek() in ("/", "//")
        if absolute and self._peek() == "/" and not self._starts_step(1):
            self._at += 1
            return lambda context: [context.run.document]
        steps = self._more_steps() if absolute else self._steps()

        def located(context: _Context) -> Value:
            start: Node = context.run.document if absolute else context.node
            return _walk(steps, [start], context.run)

        return located

    def _starts_step(self, ahead: int) -> bool:
        at = self._at + ahead
        if at >= len(self._tokens):
            return False
        token = self._tokens[at]
        return token.kind == "name" or token.text in {"*", ".", "..", "@"}

    def _more_steps(self) -> tuple[_Step, ...]:
        steps: list[_Step] = []
        while separator := self._take("/", "//"):
            if separator == "//":
                steps.append(_ANYWHERE)
            steps.append(self._step())
        return tuple(steps)

    def _steps(self) -> tuple[_Step, ...]:
        return (self._step(), *self._more_steps())

    def _step(self) -> _Step:
        if self._take("."):
            return _Step(axis="self", test=_anything)
        if self._take(".."):
            return _Step(axis="parent", test=_anything)
        axis = "child"
        if self._take("@"):
            axis = "attribute"
        elif self._peek(1) == "::":
            axis = self._peek()
            if axis not in _AXES:
                raise XPathError(f"'{_shown(axis)}' is no axis that is known here.")
            self._at += 2
        test = self._test(axis)
        return _Step(axis=axis, test=test, predicates=self._predicates())

    def _test(self, axis: str) -> Callable[[Node], bool]:
        kind: type[Element] | type[Attribute] = Attribute if axis == "attribute" else Element
        if self._take("*"):
            return lambda node: isinstance(node, kind)
        if self._at >= len(self._tokens) or self._tokens[self._at].kind != "name":
            raise self._wrong()
        name = self._tokens[self._at].text
        self._at += 1
        if name in _NODE_TYPES and self._take("("):
            return self._node_type(name)
        prefix, _, local = name.rpartition(":")
        namespace = self._namespace(prefix)

        def named(node: Node) -> bool:
            return isinstance(node, kind) and (local in ("*", node.local)) and node.namespace == namespace

        return named

    def _namespace(self, prefix: str) -> str:
        if not prefix:
            return ""
        if prefix not in self._namespaces:
            raise XPathError(
                f"The prefix '{_shown(prefix)}' is not declared where '{_shown(self._text)}' stands."
            )
        return self._namespaces[prefix]

    def _node_type(self, name: str) -> Callable[[Node], bool]:
        target = ""
        if name == "processing-instruction" and self._tokens[self._at].kind == "literal":
            target = self._tokens[self._at].text[1:-1]
            self._at += 1
        self._expect(")")
        match name:
            case "text":
                return lambda node: isinstance(node, Text)
            case "comment":
                return lambda node: isinstance(node, Comment)
            case "processing-instruction":
                return lambda node: (
                    isinstance(node, Instruction) and target in ("", node.value.partition(" ")[0])
                )
            case _:
                return _anything

    def _predicates(self) -> tuple[Expression, ...]:
        predicates: list[Expression] = []
        while self._take("["):
            predicates.append(self._or())
            self._expect("]")
        return tuple(predicates)


def _logic(operator: str, left: Expression, right: Expression) -> Expression:
    def both(context: _Context) -> Value:
        context.run.budget.step()
        return _boolean(left(context)) and _boolean(right(context))

    def either(context: _Context) -> Value:
        context.run.budget.step()
        return _boolean(left(context)) or _boolean(right(context))

    return both if operator == "and" else either


def _comparison(operator: str, left: Expression, right: Expression) -> Expression:
    return lambda context: _compare(operator, left(context), right(context), context.run.budget)


def _arithmetic(operator: str, left: Expression, right: Expression) -> Expression:
    def compute(context: _Context) -> Value:
        budget = context.run.budget
        budget.step()
        return _computed(operator, _number(left(context), budget), _number(right(context), budget))

    return compute


def _computed(operator: str, left: float, right: float) -> float:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "div":
            if right == 0:
                same_sign = math.copysign(1, left) == math.copysign(1, right)
                return math.nan if left == 0 or math.isnan(left) else math.inf if same_sign else -math.inf
            return left / right
        case _:
            return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


def _tokens(text: str) -> list[_Token]:
    """Cut an expression into tokens; `*`, `and`, `or`, `div`, `mod` are names where no operator can stand."""
    if len(text) > LONGEST:
        raise XPathError(f"The expression has {len(text)} characters; it may have {LONGEST}.")
    tokens: list[_Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise XPathError(
                f"'{_shown(text)}' is no XPath expression: it is not readable at '{_shown(text[at:])}'."
            )
        at = match.end()
        kind = match.lastgroup or ""
        found = match[kind]
        if kind == "name" and found in _OPERATORS and _ends_operand(tokens):
            kind = "operator"
        tokens.append(_Token(kind, found))
    return tokens


def _ends_operand(tokens: list[_Token]) -> bool:
    if not tokens:
        return False
    last = tokens[-1]
    return last.kind in {"literal", "number", "name"} or (
        last.kind == "symbol" and last.text in {")", "]", ".", "..", "*"}
    )


def _shown(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}…"
