"""The server block of the platform's own name: what is for its administrator alone."""

from collections.abc import Sequence

from homeport.node.nginx.pages import answer, error_pages, page, status_location
from homeport.node.nginx.sockets import socket_path
from homeport.node.nginx.writer import Node, Variable, block, directive


def platform_server(control_socket: str, domain: str, listen: Sequence[Node]) -> Node:
    """Make the server block. `control_socket` answers `/metrics`, and asks for credentials itself."""
    return block(
        "server",
        body=[
            *listen,
            directive("server_name", domain.lower()),
            directive("access_log", "off"),
            *error_pages(),
            block(
                "location",
                "/",
                body=answer("404", page("No site here", "There is no site of this name on this server.")),
            ),
            block("location", "=", "/metrics", body=_metrics(control_socket)),
            status_location(),
        ],
    )


def _metrics(control_socket: str) -> list[Node]:
    return [
        directive("proxy_set_header", "Host", "homeport"),
        directive("proxy_set_header", "Connection", "close"),
        directive("proxy_set_header", "Authorization", Variable("http_authorization")),
        directive("proxy_pass_request_body", "off"),
        directive("proxy_set_header", "Content-Length", ""),
        directive("proxy_pass", f"http://unix:{socket_path(control_socket)}:/metrics"),
    ]
