"""nginx in front of a peer: one configuration for all of them but for the words that name the protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Program, start

PARAMETERS = Path("/etc/nginx")
"""Where the Debian package keeps `uwsgi_params` and `proxy_params`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """How nginx reaches a server: its address, the directives of `location /`, idle connections kept to it."""

    address: str
    location: Sequence[str]
    kept: int = 0


def configuration(front: Front, *, folder: Path, port: int) -> str:
    """Write the whole configuration: buffers that hold the answers and uploads of the loads."""
    keepalive = f"keepalive {front.kept}; keepalive_timeout 1s;" if front.kept else ""
    lines = "\n            ".join(front.location)
    return around(
        f"""\
    client_body_buffer_size 2m;
    client_max_body_size 64m;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_buffers 32 8k;
    uwsgi_buffers 32 8k;
    upstream application {{ server {front.address}; {keepalive} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            {lines}
        }}
    }}
""",
        folder=folder,
    )


def around(http: str, *, folder: Path, main: str = "") -> str:
    """Put what every nginx of a measurement has around lines of its `http` block; `main` stands outside the block."""
    return f"""\
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
{main}
events {{ worker_connections 8192; }}
http {{
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 120s;
    keepalive_requests 100000;
{http}}}
"""


def start_nginx(front: Front, *, folder: Path, port: int, core: int) -> Program:
    """Start nginx in front of a peer."""
    return start_configured(configuration(front, folder=folder, port=port), folder=folder, core=core)


def start_configured(text: str, *, folder: Path, core: int) -> Program:
    """Start nginx in the foreground with a whole configuration."""
    path = folder / "nginx.conf"
    path.write_text(text)
    return start(
        ["nginx", "-e", f"{folder}/nginx-error.log", "-c", str(path)], core=core, log=folder / "nginx.log"
    )
