"""Putting elements into a document and taking them out, so that it looks as if a person had typed it."""

import copy
import re

from homeport.webconfig.xdt.tree import XMLNS, Attribute, Child, Comment, Document, Element, Parent, Text

NAMESPACE = "http://schemas.microsoft.com/XML-Document-Transform"
_INDENT = re.compile(r"\n([ \t]*)\Z")
_LINE = re.compile(r"\n([ \t]*)")


def clean_copy(element: Element) -> Element:
    """Copy an element of a transform without its XDT attributes, xmlns declarations and attributes' prefixes."""
    clone = Element(
        name=element.name,
        namespace=element.namespace,
        end=element.end,
        hollow=element.hollow,
        position=element.position,
    )
    for attribute in element.attributes:
        if attribute.namespace in (NAMESPACE, XMLNS):
            continue
        kept = copy.copy(attribute)
        kept.parent = clone
        if kept.name != kept.local:
            kept.name, kept.raw, kept.namespace = kept.local, kept.raw[len(kept.name) - len(kept.local) :], ""
        clone.attributes.append(kept)
    _straighten(element, clone)
    for child in element.children:
        below = clean_copy(child) if isinstance(child, Element) else copy.copy(child)
        below.parent = clone
        clone.children.append(below)
    return clone


def _straighten(element: Element, clone: Element) -> None:
    """Put the first attribute that is left where the first one stood: beside the name, or below it."""
    if clone.attributes and len(clone.attributes) < len(element.attributes):
        first = next(iter(element.attributes))
        if first.namespace in (NAMESPACE, XMLNS):
            clone.attributes[0].before = first.before


def insert(
    node: Element, parent: Element, *, before: Element | None, origin: str | None, document: Document
) -> None:
    """Put a node before a child of `parent`, or at its end, on a line of its own where its neighbours have theirs.

    `origin` is the indentation that it had where it was copied from.
    """
    indent = _child_indent(parent)
    if indent is not None:
        _reindent(node, origin or "", indent)
    space: list[Child] = [] if indent is None else [_blank(document, indent)]
    last = parent.children[-1] if parent.children else None
    added: list[Child]
    if before is not None:
        at, added = parent.children.index(before), [node, *space]
    elif isinstance(last, Text) and last.blank:
        at, added = len(parent.children) - 1, [*space, node]
    else:
        end = indentation(parent)
        at, added = len(parent.children), [*space, node]
        added += [_blank(document, end)] if space and end is not None else []
    parent.children[at:at] = added
    for child in added:
        child.parent = parent
    _settle(node, parent.scope)


def replace(old: Element, new: Child, *, origin: str | None) -> None:
    """Put another node into an element's place; `origin` as for `insert`."""
    parent = _parent(old)
    if isinstance(new, Element):
        indent = indentation(old)
        if indent is not None:
            _reindent(new, origin or "", indent)
        _settle(new, parent.scope if isinstance(parent, Element) else {"": ""})
    new.parent = parent
    parent.children[_index(parent, old)] = new
    old.parent = None


def remove(old: Element) -> None:
    """Take an element out, with the line break and indentation in front of it."""
    parent = _parent(old)
    at = _index(parent, old)
    del parent.children[at]
    old.parent = None
    before = parent.children[at - 1] if at else None
    if isinstance(before, Text) and _INDENT.search(before.raw):
        if before.blank and at - 1 < len(parent.children):
            del parent.children[at - 1]
        else:
            before.raw = _INDENT.sub("", before.raw).removesuffix("\r")
            before.value = _INDENT.sub("", before.value)
    if isinstance(parent, Element) and all(
        isinstance(child, Text) and child.blank for child in parent.children
    ):
        parent.children.clear()


def set_attribute(element: Element, name: str, value: str) -> None:
    """Give an attribute a value, where it stands, or at the end of the tag."""
    present = element.get(name)
    if present is not None:
        present.set(value)
        return
    element.attributes.append(Attribute(name=name, namespace="", value=value, parent=element))


def remove_attribute(attribute: Attribute) -> None:
    """Take an attribute away."""
    if attribute.parent is not None:
        attribute.parent.attributes.remove(attribute)


def _parent(node: Element) -> Parent:
    assert node.parent is not None
    return node.parent


def _index(parent: Parent, node: Element) -> int:
    return next(at for at, child in enumerate(parent.children) if child is node)


def _blank(document: Document, indent: str) -> Text:
    return Text(raw=f"{_line_break(document)}{indent}", value=f"\n{indent}")


def _line_break(document: Document) -> str:
    """The line break of the document: the first one there is."""
    for node in (*document.children, *(document.root.children if document.root else ())):
        if isinstance(node, Text) and "\n" in node.raw:
            return "\r\n" if "\r\n" in node.raw else "\n"
    return "\n"


def indentation(node: Element) -> str | None:
    """The indentation of an element that begins a line, None where it does not."""
    if node.parent is None:
        return ""
    siblings = node.parent.children
    at = next((at for at, child in enumerate(siblings) if child is node), None)
    if at is None:
        return None
    if at == 0:
        return "" if isinstance(node.parent, Document) else None
    before = siblings[at - 1]
    if not isinstance(before, Text):
        return "" if isinstance(node.parent, Document) else None
    found = _INDENT.search(before.raw)
    return found[1] if found else None


def _child_indent(parent: Element) -> str | None:
    """How the children of an element are indented, None where they follow each other on one line."""
    children = list(parent.elements)
    if children:
        return indentation(children[-1])
    own = indentation(parent)
    return None if own is None else own + _unit(parent, own)


def _unit(parent: Element, own: str) -> str:
    above = parent.parent
    outer = indentation(above) if isinstance(above, Element) else None
    return own[len(outer) :] if outer is not None and own.startswith(outer) and own != outer else "  "


def _reindent(node: Element, old: str, new: str) -> None:
    """Move the lines of a copied element from the indentation that it had to that of its new place."""
    if old == new:
        return

    def moved(match: "re.Match[str]") -> str:
        return "\n" + new + match[1].removeprefix(old)

    for attribute in node.attributes:
        attribute.before = _LINE.sub(moved, attribute.before)
    for child in node.children:
        if isinstance(child, Text) and child.blank:
            child.raw = _LINE.sub(moved, child.raw)
            child.value = child.raw.replace("\r", "")
        elif isinstance(child, Element):
            _reindent(child, old, new)


def _settle(node: Element, above: dict[str, str]) -> None:
    """Keep each element in its namespace where its name alone would put it into another."""
    if above.get(node.prefix, "") != node.namespace:
        name = f"xmlns:{node.prefix}" if node.prefix else "xmlns"
        node.attributes.append(Attribute(name=name, namespace=XMLNS, value=node.namespace, parent=node))
        above = above | {node.prefix: node.namespace}
    node.scope = above
    for child in node.elements:
        _settle(child, above)


def comment_of(element: Element) -> tuple[Comment, bool]:
    """Make the comment that holds an element's text; True where two hyphens in it had to be set apart."""
    text = element.render()
    safe = re.sub(r"-(?=-)", "- ", text)
    safe = f"{safe} " if safe.endswith("-") else safe
    return Comment(value=safe), safe != text
