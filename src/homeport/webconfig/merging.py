"""Collections of a section: what add, remove and clear make of the entries inherited (IIS reference §1.3)."""

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import TypeVar

from homeport.webconfig.bounds import MOST_ENTRIES
from homeport.webconfig.document import Element
from homeport.webconfig.reading import Fault, count_entries

Entry = TypeVar("Entry")


def merged(
    collection: Element,
    inherited: Sequence[Entry],
    *,
    make: Callable[[Element], Entry],
    key: Callable[[Entry], Hashable],
    removed: Callable[[Element], Hashable],
    add: str = "add",
    prepend: bool = False,
    replaceable: Collection[Entry] = (),
) -> tuple[Entry, ...]:
    """Apply one collection to what it inherits, in document order; `prepend` puts its own entries first.

    `key` tells an entry's identity, `removed` the one that a `<remove>` names; to remove what is not there is no
    error. `replaceable` are entries of the platform that an added one of the same key takes the place of. Raises
    `Fault` for a key that is already there, as IIS does, and for too many entries.
    """
    count_entries(collection)
    kept, added = {key(entry): entry for entry in inherited}, dict[Hashable, Entry]()
    for element in collection.children:
        if element.name == "clear":
            kept, added = {}, {}
        elif element.name == "remove":
            gone = removed(element)
            kept.pop(gone, None)
            added.pop(gone, None)
        elif element.name == add:
            entry = make(element)
            identity = key(entry)
            if identity in added or (identity in kept and kept[identity] not in replaceable):
                raise _duplicate(element, collection)
            kept.pop(identity, None)
            added[identity] = entry
    if len(kept) + len(added) > MOST_ENTRIES:
        raise Fault(
            "too-many-entries",
            f"<{collection.name}> has more than {MOST_ENTRIES} entries with those inherited.",
            line=collection.line,
        )
    return (*added.values(), *kept.values()) if prepend else (*kept.values(), *added.values())


def _duplicate(element: Element, collection: Element) -> Fault:
    shown = ", ".join(f"{name}='{value[:60]}'" for name, value in element.attributes[:1])
    return Fault(
        "duplicate-key",
        f"<{element.name} {shown}> is already there in <{collection.name}>, from above or from the platform's list.",
        line=element.line,
        remedy="Write a <remove> with the same key before it.",
    )
