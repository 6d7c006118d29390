"""The WSGI environ: what is equal for all requests, what nginx sends, and what follows from that (IIS reference §2.4, §2.5, §3.6)."""

import sys
from typing import Any, Dict, Mapping
from urllib.parse import quote, unquote_to_bytes

from homeport.worker.files import FileWrapper

_DEFAULTS = {
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "",
    "SCRIPT_NAME": "",
    "PATH_INFO": "",
    "QUERY_STRING": "",
    "CONTENT_TYPE": "",
    "CONTENT_LENGTH": "",
    "SERVER_PROTOCOL": "HTTP/1.0",
    "REMOTE_ADDR": "",
    "REMOTE_PORT": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "HTTPS": "off",
    "URL": "",
}
"""Every name that `Environment.complete` reads; a FastCGI client other than our nginx may leave any of them out."""

_DERIVED = (
    "UNENCODED_URL",
    "HTTP_X_ORIGINAL_URL",
    "PATH_TRANSLATED",
    "SCRIPT_FILENAME",
    "REMOTE_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "wsgi.input",
)
"""What each request sets anyway. It has its place in the template so that no copy has to grow: that costs as much as
filling it."""


class Environment:
    """Makes the environ of each request from the parameters that came with it."""

    def __init__(
        self, constant_params: Mapping[str, str], variables: Mapping[str, str], physical_path: str
    ) -> None:
        self._root = physical_path.rstrip("/")
        prefix = variables.get("SCRIPT_NAME", "").rstrip("/")
        self.mount = prefix
        """The SCRIPT_NAME setting without a trailing slash: where an application below the root is mounted."""
        self.keeps_script_name = "AllowPathInfoForScriptMappings" in variables
        self.template: Dict[str, Any] = dict(_DEFAULTS)
        self.template.update(dict.fromkeys(_DERIVED, ""))
        self.template.update(constant_params)
        self.template.update(
            {
                "SERVER_PORT_SECURE": "0",
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.multithread": False,
                "wsgi.multiprocess": True,
                "wsgi.run_once": False,
                "wsgi.errors": sys.stderr,
                "wsgi.file_wrapper": FileWrapper,
            }
        )

    @property
    def simple(self) -> bool:
        """Whether SCRIPT_NAME is always empty, so that the compiled loop may complete an environ by itself."""
        return not self.mount and not self.keeps_script_name

    @property
    def root(self) -> str:
        """The application's folder without a trailing slash."""
        return self._root

    def complete(self, env: Dict[str, Any]) -> None:
        """Add what follows from the parameters: copies under IIS's other names, the forwarding headers, SCRIPT_NAME."""
        path = env["PATH_INFO"]
        uri = env["REQUEST_URI"]
        if not (path and uri):
            path, uri = self._paths(env, path, uri)
        # Behind rewrite rules nginx says what they have made of the path; the application's stays that of the client.
        env["URL"] = url = env["URL"] or path
        env["UNENCODED_URL"] = env["HTTP_X_ORIGINAL_URL"] = uri
        env["PATH_TRANSLATED"] = env["SCRIPT_FILENAME"] = self._root + url
        env["REMOTE_HOST"] = address = env["REMOTE_ADDR"]
        if address:
            peer = (address if ":" not in address else "[" + address + "]") + ":" + env["REMOTE_PORT"]
            forwarded = env.get("HTTP_X_FORWARDED_FOR")
            env["HTTP_X_FORWARDED_FOR"] = forwarded + ", " + peer if forwarded else peer
        https = env["HTTPS"]
        if https and https.lower() == "on":
            env["HTTPS"] = "on"
            env["SERVER_PORT_SECURE"] = "1"
            env["wsgi.url_scheme"] = env["HTTP_X_FORWARDED_PROTO"] = "https"
        else:
            env["HTTPS"] = "off"
            env["HTTP_X_FORWARDED_PROTO"] = "http"
        length = env["CONTENT_LENGTH"]
        if not length:
            env["CONTENT_LENGTH"] = "0"
        if length or env["CONTENT_TYPE"]:
            # nginx sends each header, also these two, whose place in WSGI is elsewhere.
            env.pop("HTTP_CONTENT_LENGTH", None)
            env.pop("HTTP_CONTENT_TYPE", None)
        if self.mount or self.keeps_script_name:
            self._mount(env, path)
        else:
            env["SCRIPT_NAME"] = ""

    def _paths(self, env: Dict[str, Any], path: str, uri: str) -> "tuple[str, str]":
        """Find the path and the address for a client that sent only one of them."""
        if not path and uri:
            path = unquote_to_bytes(uri.partition("?")[0]).decode("latin-1")
        elif not uri:
            uri = quote((env["SCRIPT_NAME"] + path).encode("latin-1"))
            if env["QUERY_STRING"]:
                uri += "?" + env["QUERY_STRING"]
        env["PATH_INFO"], env["REQUEST_URI"] = path, uri
        return path, uri

    def _mount(self, env: Dict[str, Any], path: str) -> None:
        """Part the path at the SCRIPT_NAME setting, in any case, but only where a segment ends."""
        if not self.keeps_script_name:
            env["SCRIPT_NAME"] = ""
        size = len(self.mount)
        if size and path[:size].lower() == self.mount.lower() and path[size : size + 1] in ("", "/"):
            env["SCRIPT_NAME"] = self.mount
            env["PATH_INFO"] = path[size:]
