"""Taking the platform's own cookies out of a request: what an application gets must open nothing but itself."""

from homeport.node.nginx.writer import Argument, Entry, Node, Plain, Text, Variable, block


def maps_without(cookies: str, name: str) -> list[Node]:
    """Give the maps that define `$<name>`: the request's cookies without those that the expression `cookies` matches.

    Two are taken out: a person who comes by both schemes has two. Where there are more, somebody has planted them, and
    the request gets no cookies at all.
    """
    first, second = f"{name}_1", f"{name}_2"
    return [
        _without_one(cookies, Variable("http_cookie"), first, number=1),
        _without_one(cookies, Variable(first), second, number=2),
        _map(
            Variable(second), name, [Entry(Plain(rf"~(?:\A|; *){cookies}"), ("",))], default=Variable(second)
        ),
    ]


def _without_one(cookies: str, source: Variable, target: str, *, number: int) -> Node:
    # An expression's names have at most 32 characters.
    after, before, rest = (f"homeport_cookie_{number}_{part}" for part in ("after", "before", "rest"))
    return _map(
        source,
        target,
        [
            Entry(Plain(rf"~\A{cookies}(?:; *(?P<{after}>.*))?\z"), (Variable(after),)),
            Entry(
                Plain(rf"~\A(?P<{before}>.*?); *{cookies}(?P<{rest}>(?:;.*)?)\z"),
                (Text(Variable(before), Variable(rest)),),
            ),
        ],
        default=source,
    )


def _map(source: Argument, target: str, entries: list[Entry], *, default: Argument) -> Node:
    return block("map", source, Variable(target), body=[Entry("default", (default,)), *entries])
