"""The header that tells a site's owner who took a request: `X-Homeport-Trace`, on answers to requests that ask for it.

A request asks with the site's token, in a header of that name or in the cookie `homeport_trace`. Without a token in the
site's settings nothing of this is in its configuration. Which process of a FastCGI pool answered nginx does not know:
they share a socket.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from homeport.node.nginx.pages import SUB_STATUS
from homeport.node.nginx.writer import Directive, Entry, Node, Plain, Text, Variable, block, directive
from homeport.webconfig.plan import Action, AnswerOptions, FastCgi, ProxyToPool, Refuse
from homeport.webconfig.rewriting.rules import RewriteRule

SETTING = "HOMEPORT_TRACE_TOKEN"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_NAME = "X-Homeport-Trace"
_RULES = Variable("homeport_trace_rules")
_TOOK = Variable("homeport_trace_took")
_CODE = Variable("homeport_trace_code")
_PORT = Variable("homeport_trace_port")
_READABLE = " !#$&'()*+./:<>?@[]^_`{|}~-"


def trace_token(app_settings: Mapping[str, str]) -> str:
    """Give the token of a site, nothing where it has none or one that could be guessed or is no token."""
    token = next((value for name, value in app_settings.items() if name.upper() == SETTING), "")
    return token if _TOKEN.fullmatch(token) else ""


def trace_variables() -> list[Node]:
    """Name the variables, so that nginx knows them when no site sets them."""
    return [directive("set", _RULES, ""), directive("set", _TOOK, "")]


class TraceHeader:
    """Compiles the header of one site; without a token it leaves everything as it is."""

    def __init__(self, site: str, token: str) -> None:
        self._site = site.replace("-", "_")
        self._token = token

    def maps(self) -> list[Node]:
        """Give the blocks that stand outside the server block."""
        if not self._token:
            return []
        asked = Text(Variable("http_x_homeport_trace"), " ", Variable("cookie_homeport_trace"))
        said = Text("answer=", self._variable("answer"), _RULES, _TOOK, self._variable("port"))
        code = rf"~\A(?P<{_CODE.name}>[45]\d\d\.\d+)\z"
        port = rf"~:(?P<{_PORT.name}>\d+)\z"
        return [
            block(
                "map",
                Text(Variable("status"), ".", SUB_STATUS),
                self._variable("answer"),
                body=[Entry("default", (Variable("status"),)), Entry(Plain(code), (_CODE,))],
            ),
            block(
                "map",
                Variable("upstream_addr"),
                self._variable("port"),
                body=[Entry("default", ("",)), Entry(Plain(port), (Text("; port=", _PORT),))],
            ),
            block(
                "map",
                asked,
                self._variable("header"),
                body=[
                    Entry("default", ("",)),
                    # Fixed keys know no case.
                    Entry(Plain(rf"~(?:\A| ){self._token}(?: |\z)"), (said,)),
                ],
            ),
        ]

    def took(self, action: Action) -> list[Node]:
        """Note that an action took the request."""
        return [directive("set", _TOOK, Text(_words(action)))] if self._token else []

    def matched(self, rule: RewriteRule) -> tuple[Node, ...]:
        """Note that a rewrite rule matched."""
        return (directive("set", _RULES, Text(_RULES, f"; rule={_shown(rule.name)}")),) if self._token else ()

    def applied(self, nodes: Sequence[Node]) -> list[Node]:
        """Give the nodes of the server block with the header in it and in each of its locations."""
        if not self._token:
            return list(nodes)
        header = directive("add_header", _NAME, self._variable("header"), "always")
        return [
            header,
            *(
                Directive(node.name, node.arguments, (*node.block, header))
                if isinstance(node, Directive) and node.name == "location" and node.block is not None
                else node
                for node in nodes
            ),
        ]

    def _variable(self, name: str) -> Variable:
        return Variable(f"homeport_trace_{name}_{self._site}")


def _words(action: Action) -> str:
    match action:
        case FastCgi() | ProxyToPool():
            place = f"; at={_shown(action.file)}:{action.line}" if action.file else ""
            return f"; handler={_shown(action.handler)}{place}; pool={action.pool}"
        case AnswerOptions():
            return "; handler=OPTIONSVerbHandler"
        case Refuse(code=code):
            return f"; refused={_shown(code)}" if code else ""
    return "; handler=StaticFile"


def _shown(name: str) -> str:
    """Write a name so that it ends where it ends and is a header's text."""
    return quote(name, safe=_READABLE)
