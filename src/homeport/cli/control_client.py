"""Speaking to the running platform: its control plane's API on a Unix socket."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from homeport.model.errors import (
    Forbidden,
    HomeportError,
    Unavailable,
)
from homeport.model.site import site_name
from homeport.node.error_status import error_from_json, read_error
from homeport.node.options import default_data

_ANSWER_SECONDS = 330.0
_RESTART_SECONDS = 8.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the platform of a data folder can be reached, as its supervisor wrote it down."""

    control_socket: Path
    pid: int


class ControlClient:
    """The control plane's API, one method for each call. Errors of the API are raised as ours."""

    def __init__(self, socket: Path) -> None:
        transport = httpx.HTTPTransport(uds=str(socket))
        self._http = httpx.Client(
            transport=transport, base_url="http://control", timeout=_ANSWER_SECONDS, trust_env=False
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def status(self) -> dict[str, Any]:
        """Return where the platform listens and how it is."""
        return self._object("GET", "/status")

    def sites(self) -> list[dict[str, Any]]:
        """Return every site."""
        sites: list[dict[str, Any]] = self._object("GET", "/sites")["sites"]
        return sites

    def create(self, name: str) -> dict[str, Any]:
        """Create a site."""
        return self._object("POST", "/sites", {"name": name})

    def site(self, name: str) -> dict[str, Any]:
        """Return one site with its publishing password."""
        return self._object("GET", f"/sites/{site_name(name)}")

    def delete(self, name: str) -> None:
        """Delete a site and its files."""
        self._call("DELETE", f"/sites/{site_name(name)}")

    def act(self, name: str, action: str) -> dict[str, Any]:
        """Start, stop or restart a site."""
        return self._object("POST", f"/sites/{site_name(name)}/{action}")

    def publish_profile(self, name: str, form: str) -> str:
        """Return the publish profile of a site, a line of XML."""
        return self._call("GET", f"/sites/{site_name(name)}/publish-profile?format={quote(form)}").text

    def basic_auth(self, name: str) -> dict[str, Any]:
        """Return whether a site takes user and password, for `scm` and for `ftp`."""
        return self._object("GET", f"/sites/{site_name(name)}/basic-auth")

    def set_basic_auth(self, name: str, switches: Mapping[str, bool]) -> dict[str, Any]:
        """Switch that."""
        return self._object("PATCH", f"/sites/{site_name(name)}/basic-auth", dict(switches))

    def tokens(self, name: str) -> list[dict[str, Any]]:
        """Return the script tokens of a site, without their secrets."""
        tokens: list[dict[str, Any]] = self._object("GET", f"/sites/{site_name(name)}/tokens")["tokens"]
        return tokens

    def create_token(self, name: str, token: str, days: int | None) -> dict[str, Any]:
        """Make a token for scripts; `token` of the answer is the secret, shown once."""
        body = {"name": token, "days": days}
        return self._object("POST", f"/sites/{site_name(name)}/tokens", body)

    def remove_token(self, name: str, token: str) -> None:
        """Make a token worthless."""
        self._call("DELETE", f"/sites/{site_name(name)}/tokens/{quote(token, safe='')}")

    def publishing_user(self) -> dict[str, Any]:
        """Return the user who may publish to every site."""
        return self._object("GET", "/publishing-user")

    def set_publishing_user(self, name: str, password: str) -> dict[str, Any]:
        """Make that user."""
        body = {"publishingUserName": name, "publishingPassword": password}
        return self._object("PUT", "/publishing-user", body)

    def remove_publishing_user(self) -> None:
        """Forget that user."""
        self._call("DELETE", "/publishing-user")

    def settings(self, name: str) -> dict[str, str]:
        """Return the app settings of a site."""
        return self._object("GET", f"/sites/{site_name(name)}/settings")

    def set_settings(self, name: str, settings: Mapping[str, str]) -> dict[str, str]:
        """Set some app settings, leave the others."""
        return self._object("PATCH", f"/sites/{site_name(name)}/settings", dict(settings))

    def delete_setting(self, name: str, key: str) -> None:
        """Remove one app setting."""
        self._call("DELETE", f"/sites/{site_name(name)}/settings/{quote(key, safe='')}")

    def change(self, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the limits or the configuration of a site."""
        return self._object("PATCH", f"/sites/{site_name(name)}", changes)

    def metrics(self) -> list[dict[str, Any]]:
        """Return what was counted for each site and pool."""
        counts: list[dict[str, Any]] = self._object("GET", "/metrics")["counts"]
        return counts

    def metrics_token(self) -> str:
        """Return what opens `/metrics` at the platform's own name."""
        return str(self._object("GET", "/metrics/token")["token"])

    def hostnames(self, name: str) -> dict[str, Any]:
        """Return the names of a site, and what proves a new one."""
        return self._object("GET", f"/sites/{site_name(name)}/hostnames")

    def add_hostname(self, name: str, host: str, *, unverified: bool) -> dict[str, Any]:
        """Give a site a further host name."""
        path = f"/sites/{site_name(name)}/hostnames/{quote(host, safe='')}"
        return self._object("PUT", path, {"unverified": unverified})

    def remove_hostname(self, name: str, host: str) -> None:
        """Take a host name from a site."""
        self._call("DELETE", f"/sites/{site_name(name)}/hostnames/{quote(host, safe='')}")

    def add_certificate(self, name: str, certificate: str, key: str) -> dict[str, Any]:
        """Serve a site's names with a given certificate."""
        body = {"certificate": certificate, "key": key}
        return self._object("POST", f"/sites/{site_name(name)}/certificates", body)

    def remove_certificate(self, name: str, thumbprint: str) -> None:
        """Forget a certificate."""
        self._call("DELETE", f"/sites/{site_name(name)}/certificates/{quote(thumbprint, safe='')}")

    def gallery(self) -> list[dict[str, Any]]:
        """Return the Pythons that can be had, newest first."""
        entries: list[dict[str, Any]] = self._object("GET", "/gallery")["entries"]
        return entries

    def extensions(self, name: str) -> list[dict[str, Any]]:
        """Return the Pythons of a site."""
        found: list[dict[str, Any]] = self._object("GET", f"/sites/{site_name(name)}/extensions")[
            "extensions"
        ]
        return found

    def install(
        self, name: str, extension_id: str, *, policy: str, report: Callable[[str, float], None]
    ) -> dict[str, Any]:
        """Put a Python into a site and return its record."""
        body = {"id": extension_id, "policy": policy}
        path = f"/sites/{site_name(name)}/extensions"
        with _answering(), self._http.stream("POST", path, json=body, timeout=None) as response:
            if response.is_error:
                raise _refusal(response.status_code, response.read())
            for line in response.iter_lines():
                event = json.loads(line)
                if "progress" in event:
                    report(event["progress"], event["fraction"])
                elif "result" in event:
                    result: dict[str, Any] = event["result"]
                    return result
                else:
                    raise error_from_json(event, otherwise="The platform gave no reason.")
        raise Unavailable("The platform was stopped before the installation was done; try again.")

    def uninstall(self, name: str, extension_id: str) -> dict[str, Any]:
        """Remove a Python from a site."""
        return self._object("DELETE", f"/sites/{site_name(name)}/extensions/{quote(extension_id, safe='')}")

    def _object(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        value: dict[str, Any] = self._call(method, path, body).json()
        return value

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        with _answering():
            response = self._http.request(method, path, json=body)
        if response.is_error:
            raise _refusal(response.status_code, response.content)
        return response


@contextmanager
def open_control(data: Path | None) -> Iterator[ControlClient]:
    """Open the running platform of a data folder. Raises `Unavailable` when there is none, `Forbidden` when not ours."""
    folder = data or default_data()
    location = find_platform(folder)
    _await_control(location, folder)
    client = ControlClient(location.control_socket)
    try:
        yield client
    finally:
        client.close()


def find_platform(folder: Path) -> Location:
    """Read where the platform of a data folder listens. Raises as `open_control`."""
    try:
        values = json.loads((folder / "run.json").read_text())
        return Location(control_socket=Path(values["control_socket"]), pid=int(values["pid"]))
    except FileNotFoundError:
        raise _not_running(folder) from None
    except PermissionError as error:
        raise Forbidden(
            f"{folder} belongs to another user; run the command as that user (sudo homeport …)."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            f"{folder / 'run.json'} is not readable ({error}); stop the platform and start it again."
        ) from error


def _await_control(location: Location, folder: Path) -> None:
    """Wait for a control plane that is just being started again, while its platform runs."""
    deadline = time.monotonic() + _RESTART_SECONDS
    while not _accepts(location.control_socket):
        if not Path(f"/proc/{location.pid}").exists() or time.monotonic() > deadline:
            raise _not_running(folder)
        time.sleep(_LOOK_SECONDS)


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except PermissionError as error:
            raise Forbidden(
                "The platform belongs to another user; run the command as that user (sudo homeport …)."
            ) from error
        except OSError:
            return False
    return True


def _not_running(folder: Path) -> Unavailable:
    return Unavailable(
        f"No platform runs on {folder}; start it with: homeport up (another data folder: --data or HOMEPORT_DATA)."
    )


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise Unavailable(f"The platform stopped answering ({error}); try again.") from error


def _refusal(status: int, content: bytes) -> HomeportError:
    otherwise = f"The platform failed with status {status}; see logs/control.log in its data folder."
    return read_error(status, content, otherwise=otherwise)
