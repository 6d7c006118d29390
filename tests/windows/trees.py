"""A file system as a value, for tests of what is pure."""

from collections.abc import Callable, Sequence


def tree(*paths: str) -> Callable[[str], Sequence[str] | None]:
    """Make a `ListFolder` over files and folders; a path that ends in `/` is a folder."""
    children: dict[str, dict[str, None]] = {"/": {}}
    for path in paths:
        names = [name for name in path.split("/") if name]
        for depth, name in enumerate(names):
            parent = "/" + "/".join(names[:depth])
            children.setdefault(parent, {})[name] = None
        if path.endswith("/"):
            children.setdefault("/" + "/".join(names), {})
    return lambda folder: None if folder not in children else list(children[folder])
