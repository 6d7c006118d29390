"""Applies a transform to a document: every Transform and every Locator there is (IIS reference §6)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from homeport.model.finding import Finding, Severity
from homeport.webconfig.bounds import MOST_DEPTH
from homeport.webconfig.document import encode_like, well_formed_text
from homeport.webconfig.xdt.budget import Budget, Exhausted
from homeport.webconfig.xdt.layout import (
    NAMESPACE,
    clean_copy,
    comment_of,
    indentation,
    insert,
    remove,
    remove_attribute,
    replace,
    set_attribute,
)
from homeport.webconfig.xdt.tree import XMLNS, Attribute, Document, Element, Node, Position, parse_tree
from homeport.webconfig.xdt.xpath import XPathError, select

MOST_MESSAGES = 200
"""Findings of one transformation."""
_DEFAULT_PREFIX = "_defaultNamespace"
_CALL = re.compile(r"\s*(?P<name>\w+)(?:\s*\((?P<arguments>.*)\))?\s*", re.DOTALL)
_TOKEN = re.compile(r"\$\((?P<name>[\w:.]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformResult:
    """What a transformation came to.

    `text` is the document after every transform that could be applied, None where one of the texts is no XML or the
    work was too much; `data` is the same in the encoding of the document. With an error among the findings the result must not be used (IIS reference §6.1 rule 7).
    """

    text: str | None
    data: bytes | None = None
    findings: tuple[Finding, ...]

    @property
    def succeeded(self) -> bool:
        """Whether there is a result without an error."""
        return self.text is not None and not any(each.severity is Severity.ERROR for each in self.findings)


def apply_transform(
    source: bytes, transform: bytes, *, source_file: str, transform_file: str
) -> TransformResult:
    """Apply a transform to a document; nothing is raised, every problem is a finding with file, line and column."""
    target, findings = well_formed_text(source, file=source_file)
    changes, more = well_formed_text(transform, file=transform_file)
    if target is None or changes is None:
        return TransformResult(text=None, findings=(*findings, *more))
    run = _Transformation(parse_tree(target), parse_tree(changes), file=transform_file)
    try:
        run.apply()
    except Exhausted as error:
        run.note(Severity.ERROR, "too-much-work", str(error), run.at)
        return TransformResult(text=None, findings=tuple(run.findings))
    text = run.target.render()
    data = encode_like(text, source)
    _, problems = well_formed_text(data, file=source_file)
    for problem in problems:
        # Two attributes that differ in their prefix alone, say: a copy has them without it.
        message = f"The result of the transform cannot be used: {problem.message}"
        run.note(Severity.ERROR, "bad-result", message, Position())
    return TransformResult(text=text, data=data, findings=tuple(run.findings))


class _Failed(Exception):
    """One transform cannot be applied; the others still are."""

    def __init__(self, code: str, message: str, *, remedy: str = "", at: Position | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A Transform or Locator attribute: the name and the arguments, None where there are no parentheses."""

    name: str
    arguments: tuple[str, ...] | None
    attribute: Attribute

    def exactly_one(self) -> str:
        if self.arguments is None or len(self.arguments) != 1 or not self.arguments[0].strip():
            count = len(self.arguments or ())
            raise _Failed(
                "wrong-arguments",
                f"{self.name} takes exactly one argument and has {count if self.arguments != ('',) else 0}.",
                remedy=f"Write {self.name}(…) with one XPath expression.",
            )
        return self.arguments[0]


@dataclass(slots=True, kw_only=True)
class _Context:
    """One element of the transform: where it is, and the path that it stands for."""

    element: Element
    parent: "_Context | None"
    path: str = ""
    parent_path: str = ""


class _Transformation:
    """One run: `target` is changed in place; `at` is what is being looked at, for errors that have no place."""

    def __init__(self, target: Document, transform: Document, *, file: str) -> None:
        self.target = target
        self.transform = transform
        self.file = file
        self.findings: list[Finding] = []
        self.budget = Budget()
        self.at = Position()
        self.quiet = False
        self.original = parse_tree(target.render())

    def apply(self) -> None:
        root = self.transform.root
        assert root is not None
        if not _declares(root):
            self.note(
                Severity.INFO,
                "no-namespace",
                f"The transform does not declare {NAMESPACE}; it changes nothing.",
                root.position,
                remedy=f'Add xmlns:xdt="{NAMESPACE}" to its first element.',
            )
            return
        self._visit(root, None)
        if self.target.root is None:
            self.note(
                Severity.ERROR,
                "no-root",
                "The transform leaves a document without an element.",
                root.position,
            )

    def note(self, severity: Severity, code: str, message: str, at: Position, *, remedy: str = "") -> None:
        most = 2 * MOST_MESSAGES if severity is Severity.ERROR else MOST_MESSAGES
        if len(self.findings) < most:
            self.findings.append(
                Finding(
                    severity=severity,
                    code=f"xdt.{code}",
                    message=message,
                    file=self.file,
                    line=at.line,
                    column=at.column,
                    remedy=remedy,
                )
            )

    # Visiting ---------------------------------------------------------------------------------------------------

    def _visit(self, element: Element, parent: _Context | None) -> None:
        """Apply an element's own transform, then those inside it, whatever became of its own."""
        self.at = element.position
        self.budget.step()
        if element.namespace == NAMESPACE:
            self._xdt_element(element)
            return
        context = _Context(element=element, parent=parent)
        outer, self.quiet = self.quiet, self._suppressed(element)
        located = self._attempt(lambda: self._locate(context))
        if located:
            self._attempt(lambda: self._execute(context))
        self.quiet = outer
        if located:
            for child in list(element.elements):
                self._visit(child, context)

    def _attempt(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except _Failed as error:
            self.note(Severity.ERROR, error.code, error.message, error.at or self.at, remedy=error.remedy)
        except XPathError as error:
            self.note(Severity.ERROR, "xpath", str(error), self.at)
        else:
            return True
        return False

    def _suppressed(self, element: Element) -> bool:
        attribute = element.get("SupressWarnings", NAMESPACE)
        if attribute is None:
            return False
        if attribute.value.strip().lower() not in {"true", "false"}:
            self.note(
                Severity.ERROR,
                "wrong-arguments",
                f"SupressWarnings is '{attribute.value}'; it must be 'true' or 'false'.",
                attribute.position,
            )
        return attribute.value.strip().lower() == "true"

    def _xdt_element(self, element: Element) -> None:
        if element.local == "Import":
            self.note(
                Severity.ERROR,
                "import",
                "<Import> loads transforms written for .NET, which cannot run here.",
                element.position,
                remedy="Write the change with the transforms that XDT itself has.",
            )
        else:
            self.note(
                Severity.WARNING,
                "unknown-element",
                f"<{element.name}> is no element of XDT.",
                element.position,
            )

    # Locators ---------------------------------------------------------------------------------------------------

    def _locate(self, context: _Context) -> None:
        """Work out the paths of an element and of the parent that an Insert would go into."""
        element, above = context.element, context.parent.path if context.parent else ""
        name = (
            f"{_DEFAULT_PREFIX}:{element.local}" if element.namespace and not element.prefix else element.name
        )
        plain = f"{above.removesuffix('/')}/{name}"
        context.parent_path, context.path = above, plain
        attribute = element.get("Locator", NAMESPACE)
        if attribute is None:
            return
        self.at = attribute.position
        locator = _call(attribute)
        match locator.name:
            case "Match":
                context.path = f"{plain}[{_match(element, locator)}]"
            case "Condition":
                context.path = f"{plain}[{locator.exactly_one()}]"
            case "XPath":
                path = locator.exactly_one().strip()
                if not path.startswith("/"):
                    path = f"{plain}/{path}".replace("/./", "/")
                context.path = context.parent_path = path
            case _:
                raise _unresolved(locator, ("Match", "Condition", "XPath"))

    def _select(self, path: str, element: Element, *, document: Document | None = None) -> list[Element]:
        if not path:
            return []
        document = document or self.target
        nodes = select(path, document, context=document, namespaces=_namespaces(element), budget=self.budget)
        return [node for node in nodes if isinstance(node, Element)]

    # Transforms -------------------------------------------------------------------------------------------------

    def _execute(self, context: _Context) -> None:
        attribute = context.element.get("Transform", NAMESPACE)
        if attribute is None:
            return
        self.at = attribute.position
        call = _call(attribute)
        known: Mapping[str, Callable[[_Context, _Call], None]] = {
            "Replace": self._replace,
            "Remove": self._remove,
            "RemoveAll": self._remove_all,
            "Insert": self._insert,
            "InsertIfMissing": self._insert_if_missing,
            "InsertBefore": self._insert_before,
            "InsertAfter": self._insert_after,
            "SetAttributes": self._set_attributes,
            "SetTokenizedAttributes": self._set_attributes,
            "RemoveAttributes": self._remove_attributes,
            "CommentOut": self._comment_out,
        }
        apply = known.get(call.name)
        if apply is None:
            raise _unresolved(call, tuple(known))
        apply(context, call)

    def _targets(self, context: _Context) -> list[Element]:
        """Return what the element stands for; nothing there is a warning."""
        found = self._select(context.path, context.element)
        if not found:
            self._warn("no-match", self._nothing_there(context, context.path), context.element.position)
        return found

    def _one_target(self, context: _Context, call: _Call) -> Element | None:
        found = self._targets(context)
        self._no_arguments(call)
        if len(found) > 1:
            self._warn(
                "several-matches",
                f"{len(found)} elements match '{context.path}'; {call.name} changes the first alone.",
                call.attribute.position,
                remedy="Add a Locator, such as Match(name).",
            )
        return found[0] if found else None

    def _insertion_parent(self, context: _Context) -> Element:
        """Return what an Insert goes into. Raises `_Failed` where there is no such place."""
        if not context.parent_path:
            raise _Failed("second-root", "A document has one element; nothing can be inserted beside it.")
        found = self._select(context.parent_path, context.element)
        if not found:
            raise _Failed(
                "no-parent",
                self._nothing_there(context.parent or context, context.parent_path),
                remedy="Insert the missing elements around it first, with InsertIfMissing.",
            )
        return found[0]

    def _nothing_there(self, context: _Context, path: str) -> str:
        """Name the outermost path that leads nowhere, and whether an earlier transform is why."""
        element = context.element
        while context.parent is not None and not self._select(context.parent.path, context.parent.element):
            context = context.parent
            path, element = context.path, context.element
        if self._select(path, element, document=self.original):
            return f"What matched '{_short(path)}' was changed or removed by an earlier transform."
        return f"No element in the document matches '{_short(path)}'."

    def _replace(self, context: _Context, call: _Call) -> None:
        target = self._one_target(context, call)
        if target is not None:
            replace(target, self._copy(context), origin=indentation(context.element))

    def _remove(self, context: _Context, call: _Call) -> None:
        target = self._one_target(context, call)
        if target is not None:
            self._take_out(target)

    def _remove_all(self, context: _Context, call: _Call) -> None:
        found = self._targets(context)
        self._no_arguments(call)
        for target in found:
            if target.parent is not None:
                self._take_out(target)

    def _take_out(self, target: Element) -> None:
        if target is self.target.root:
            raise _Failed("no-root", "The document's own element cannot be removed.")
        self._pay_for_siblings(target)
        remove(target)

    def _insert(self, context: _Context, call: _Call) -> None:
        self._no_arguments(call)
        self._put(context, self._insertion_parent(context), before=None)

    def _insert_if_missing(self, context: _Context, call: _Call) -> None:
        self._no_arguments(call)
        if not self._select(context.path, context.element):
            self._put(context, self._insertion_parent(context), before=None)

    def _insert_before(self, context: _Context, call: _Call) -> None:
        self._put_beside(context, call, after=False)

    def _insert_after(self, context: _Context, call: _Call) -> None:
        self._put_beside(context, call, after=True)

    def _put_beside(self, context: _Context, call: _Call, *, after: bool) -> None:
        path = call.exactly_one()
        start = self._insertion_parent(context)
        nodes = select(
            path, self.target, context=start, namespaces=_namespaces(context.element), budget=self.budget
        )
        if not nodes:
            raise _Failed("no-match", f"No element in the document matches '{_short(path)}'.")
        if not isinstance(nodes[0], Element):
            raise _Failed("not-an-element", f"'{_short(path)}' matches no element but {_kind(nodes[0])}.")
        parent = nodes[0].parent
        if not isinstance(parent, Element):
            raise _Failed("second-root", "A document has one element; nothing can be inserted beside it.")
        siblings = list(parent.elements)
        place = siblings.index(nodes[0])
        following = siblings[place + 1 :][:1]
        self._put(context, parent, before=nodes[0] if not after else following[0] if following else None)

    def _put(self, context: _Context, parent: Element, *, before: Element | None) -> None:
        if sum(1 for _ in _above(parent)) > 2 * MOST_DEPTH:
            raise _Failed("too-deep", f"Elements would be nested more than {2 * MOST_DEPTH} deep.")
        self.budget.step(len(parent.children))
        insert(
            self._copy(context),
            parent,
            before=before,
            origin=indentation(context.element),
            document=self.target,
        )

    def _copy(self, context: _Context) -> Element:
        clone = clean_copy(context.element)
        self.budget.write(len(clone.render()))
        return clone

    def _set_attributes(self, context: _Context, call: _Call) -> None:
        attributes = self._given(context.element, call)
        tokenized = call.name == "SetTokenizedAttributes"
        for target in self._targets(context):
            for attribute in attributes:
                value = self._substitute(attribute.value, target) if tokenized else attribute.value
                self.budget.write(len(value))
                self.budget.step()
                set_attribute(target, attribute.local, value)

    def _substitute(self, text: str, target: Element) -> str:
        """Put the target's own attributes in for `$(name)`; what it has not stays as it is written."""
        length = 0

        def value(match: "re.Match[str]") -> str:
            nonlocal length
            found = target.get(match["name"])
            text = found.value if found is not None else match[0]
            length += len(text)
            if length > self.budget.written:
                raise Exhausted("The transform adds too many characters to the document.")
            return text

        return _TOKEN.sub(value, text)

    def _given(self, element: Element, call: _Call) -> list[Attribute]:
        """Return the attributes of the transform that are meant: those that are listed, or all but XDT's own."""
        own = [each for each in element.attributes if each.namespace not in (NAMESPACE, XMLNS)]
        if call.arguments is None or call.arguments == ("",):
            return own
        return list(self._listed(own, call, "The element of the transform"))

    def _listed(self, attributes: list[Attribute], call: _Call, where: str) -> Iterator[Attribute]:
        for name in dict.fromkeys(argument.strip() for argument in call.arguments or ()):
            found = [each for each in attributes if name in ("*", each.local, each.name)]
            if not found:
                self._warn(
                    "no-such-attribute",
                    f"{where} has no attribute '{_short(name)}', which {call.name} names.",
                    call.attribute.position,
                )
            yield from found

    def _remove_attributes(self, context: _Context, call: _Call) -> None:
        for target in self._targets(context):
            self.budget.step(1 + len(target.attributes))
            own = [each for each in target.attributes if each.namespace != XMLNS]
            everything = call.arguments is None or call.arguments == ("",)
            for attribute in own if everything else list(self._listed(own, call, f"<{target.name}>")):
                remove_attribute(attribute)

    def _comment_out(self, context: _Context, call: _Call) -> None:
        target = self._one_target(context, call)
        if target is None:
            return
        if target is self.target.root:
            raise _Failed("no-root", "The document's own element cannot be commented out.")
        comment, changed = comment_of(target)
        self.budget.write(len(comment.value))
        if changed:
            self._warn(
                "hyphens",
                f"<{target.name}> holds two hyphens in a row, which a comment may not; they are set apart in it.",
                call.attribute.position,
            )
        replace(target, comment, origin=None)

    # Messages ---------------------------------------------------------------------------------------------------

    def _pay_for_siblings(self, target: Element) -> None:
        if target.parent is not None:
            self.budget.step(len(target.parent.children))

    def _no_arguments(self, call: _Call) -> None:
        if call.arguments not in (None, ("",)):
            self._warn(
                "arguments-ignored",
                f"{call.name} takes no arguments; they are ignored.",
                call.attribute.position,
            )

    def _warn(self, code: str, message: str, at: Position, *, remedy: str = "") -> None:
        if not self.quiet:
            self.note(Severity.WARNING, code, message, at, remedy=remedy)


def _call(attribute: Attribute) -> _Call:
    match = _CALL.fullmatch(attribute.value)
    if match is None:
        raise _Failed(
            "wrong-attribute",
            f"{attribute.name} is '{_short(attribute.value)}'; it must be a name, or a name and a list in parentheses.",
            remedy="For example: SetAttributes, or Match(name).",
            at=attribute.position,
        )
    arguments = match["arguments"]
    return _Call(
        name=match["name"],
        arguments=None if arguments is None else tuple(_split(arguments)),
        attribute=attribute,
    )


def _split(text: str) -> list[str]:
    """Split arguments at the commas outside parentheses (IIS reference §6.1); a single one keeps its blanks."""
    if "," not in text:
        return [text]
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _match(element: Element, locator: _Call) -> str:
    """Make the predicate of Match: the transform's own values of the attributes that it names."""
    names = [name.strip() for name in locator.arguments or () if name.strip()]
    if not names:
        raise _Failed(
            "wrong-arguments", "Match names no attribute.", remedy="Write Match(name), for example."
        )
    parts = []
    for name in names:
        attribute = next((each for each in element.attributes if each.name == name), None)
        if attribute is None:
            raise _Failed(
                "no-such-attribute",
                f"<{element.name}> of the transform has no attribute '{_short(name)}', which Match names.",
                remedy="Letter case counts.",
            )
        if "'" in attribute.value:
            raise _Failed(
                "quote",
                f"The value of '{name}' holds an apostrophe, with which Match cannot look for it.",
                remedy='Use Locator="Condition(@… = &quot;…&quot;)".',
            )
        parts.append(f"@{attribute.name}='{attribute.value}'")
    return " and ".join(parts)


def _unresolved(call: _Call, known: tuple[str, ...]) -> _Failed:
    near = next((name for name in known if name.casefold() == call.name.casefold()), "")
    return _Failed(
        "unknown-name",
        f"Could not resolve '{_short(call.name)}': it is no {call.attribute.local} of XDT.",
        remedy=f"Did you mean {near}? Letter case counts." if near else f"There are: {', '.join(known)}.",
        at=call.attribute.position,
    )


def _namespaces(element: Element) -> dict[str, str]:
    """Return what prefixes mean in the expressions of an element."""
    return {prefix or _DEFAULT_PREFIX: uri for prefix, uri in element.scope.items() if uri}


def _declares(root: Element) -> bool:
    pending = [root]
    while pending:
        element = pending.pop()
        if NAMESPACE in (each.value for each in element.attributes if each.namespace == XMLNS):
            return True
        pending += element.elements
    return False


def _above(element: Element) -> Iterator[Element]:
    here = element.parent
    while isinstance(here, Element):
        yield here
        here = here.parent


def _kind(node: Node) -> str:
    return (
        f"the attribute '{node.name}'" if isinstance(node, Attribute) else f"a {type(node).__name__.lower()}"
    )


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"
