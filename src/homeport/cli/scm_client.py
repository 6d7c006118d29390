"""Speaking to a site's SCM site as any Kudu client does, by its publishing credentials.

The system may not resolve names such as `hello.scm.localhost`: connections go to the machine's own address, the name
travels in the Host header.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from homeport.model.errors import Conflict, Forbidden, HomeportError, Invalid, NotFound, Unavailable

_ADDRESS = "127.0.0.1"
_ANSWER_SECONDS = 60.0
_UPLOAD_SECONDS = 3600.0
_ERRORS: Mapping[int, type[HomeportError]] = {400: Invalid, 404: NotFound, 409: Conflict, 413: Invalid}


class ScmClient:
    """One site's SCM site. Refusals are raised as our errors."""

    def __init__(self, site: Mapping[str, Any], *, port: int) -> None:
        self._site = site["name"]
        self._basic_auth = site["publishing"]["basic_auth"]["scm"]
        self._host = urlsplit(site["scm_url"]).netloc
        self._http = httpx.Client(
            base_url=f"http://{_ADDRESS}:{port}",
            headers={"Host": self._host},
            auth=(site["publishing"]["user"], site["publishing"]["password"]),
            timeout=_ANSWER_SECONDS,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def push(
        self, package: Iterable[bytes], *, size: int, query: Mapping[str, str]
    ) -> tuple[str, str | None]:
        """Upload a package for deployment; return where its progress can be polled, and its id when that is told."""
        with self._answering():
            response = self._http.post(
                "/api/zipdeploy",
                params={"isAsync": "true", "trackDeploymentProgress": "true", **query},
                headers={"Content-Type": "application/zip", "Content-Length": str(size)},
                content=package,
                timeout=_UPLOAD_SECONDS,
            )
        self._check(response)
        location = response.headers.get("Location", "/api/deployments/latest")
        return _local(location), response.headers.get("SCM-DEPLOYMENT-ID")

    def poll(self, location: str) -> tuple[bool, dict[str, Any]]:
        """Return whether the deployment has ended, and its record."""
        response = self._get(location)
        self._check(response)
        record: dict[str, Any] = response.json()
        return response.status_code != httpx.codes.ACCEPTED, record

    def deployment(self, deployment_id: str) -> dict[str, Any] | None:
        """Return one deployment's record; None while there is none."""
        record: dict[str, Any] | None = self._json_or_none(
            f"/api/deployments/{quote(deployment_id, safe='')}"
        )
        return record

    def deployments(self) -> list[dict[str, Any]]:
        """Return the records of all deployments, the newest first."""
        return self._json_or_none("/api/deployments") or []

    def redeploy(self, deployment_id: str) -> None:
        """Carry a kept deployment out again; how it ended is in its record."""
        with self._answering():
            response = self._http.put(
                f"/api/deployments/{quote(deployment_id, safe='')}", timeout=_UPLOAD_SECONDS
            )
        self._check(response)

    def difference(self, deployment_id: str, *, against: str | None) -> dict[str, Any]:
        """Return what one deployment changes when it takes the place of another, or of the one that is served."""
        query = f"?against={quote(against, safe='')}" if against else ""
        response = self._get(f"/api/homeport/deployments/{quote(deployment_id, safe='')}/diff{query}")
        self._check(response)
        found: dict[str, Any] = response.json()
        return found

    def preview(self, deployment_id: str) -> dict[str, Any]:
        """Begin a preview of a deployment, or find the one that there is."""
        with self._answering():
            response = self._http.post(_preview(deployment_id), timeout=_UPLOAD_SECONDS)
        self._check(response)
        found: dict[str, Any] = response.json()
        return found

    def end_preview(self, deployment_id: str) -> None:
        """End the preview of a deployment."""
        with self._answering():
            response = self._http.delete(_preview(deployment_id))
        self._check(response)

    def log(self, deployment_id: str) -> list[dict[str, Any]]:
        """Return the top-level entries of a deployment's log; none while there is no log."""
        return self._json_or_none(f"/api/deployments/{quote(deployment_id, safe='')}/log") or []

    def log_details(self, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the entries below an entry."""
        address = entry.get("details_url")
        return (self._json_or_none(_local(address)) or []) if address else []

    def folder(self, path: str) -> list[dict[str, Any]]:
        """List a folder below /home; a missing one is empty."""
        return self._json_or_none(f"/api/vfs/{quote(path)}/") or []

    def tail(self, path: str, *, size: int) -> str:
        """Return the last `size` bytes of a file below /home as text."""
        with self._answering():
            response = self._http.get(f"/api/vfs/{quote(path)}", headers={"Range": f"bytes=-{size}"})
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return ""
        self._check(response)
        return response.content.decode(errors="replace")

    def check(self) -> list[dict[str, Any]]:
        """Check the site and return what was found, errors first."""
        response = self._get("/api/homeport/check")
        self._check(response)
        findings: list[dict[str, Any]] = response.json()["findings"]
        return findings

    def trace(self, url: str, *, method: str) -> dict[str, Any]:
        """Return who would take a request, and why the others would not."""
        response = self._get(f"/api/homeport/trace?{urlencode({'url': url, 'method': method})}")
        self._check(response)
        found: dict[str, Any] = response.json()
        return found

    def why(self, *, preview: str | None = None) -> dict[str, Any]:
        """Return why the site, or its preview of that id, does not start: causes with their evidence, and its pools."""
        response = self._get(f"/api/homeport/why{f'?preview={preview}' if preview else ''}")
        self._check(response)
        found: dict[str, Any] = response.json()
        return found

    def stream_log(self) -> Iterator[str]:
        """Yield the lines that the site's log files get, until the SCM site ends the stream."""
        with self._answering(), self._http.stream("GET", "/api/logstream", timeout=None) as response:
            if response.is_error:
                response.read()
            self._check(response)
            yield from response.iter_lines()

    def _get(self, path: str) -> httpx.Response:
        with self._answering():
            try:
                return self._http.get(path)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                # nginx closes its idle connections when its configuration changes, maybe just as they are used again.
                return self._http.get(path)

    def _json_or_none(self, path: str) -> Any:
        response = self._get(path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._check(response)
        return response.json()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise Unavailable(f"{self._host} stopped answering ({error}); try again.") from error

    def _check(self, response: httpx.Response) -> None:
        if not response.is_error:
            return
        status = response.status_code
        if status == httpx.codes.UNAUTHORIZED and not self._basic_auth:
            raise Forbidden(
                f"Basic authentication is switched off for '{self._site}', and this command signs in that way; "
                f"switch it on with: homeport site basic-auth {self._site} --scm"
            )
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise Forbidden(f"{self._host} refused the publishing credentials of '{self._site}' ({status}).")
        reason = _reason(response)
        kind = _ERRORS.get(status, Unavailable)
        raise kind(f"{self._host} answered {status}{': ' + reason if reason else '.'}")


@contextmanager
def open_scm(site: Mapping[str, Any], *, port: int) -> Iterator[ScmClient]:
    """Open a site's SCM site; `site` as the control plane shows it, `port` where the platform listens for HTTP."""
    client = ScmClient(site, port=port)
    try:
        yield client
    finally:
        client.close()


def _preview(deployment_id: str) -> str:
    return f"/api/homeport/deployments/{quote(deployment_id, safe='')}/preview"


def _local(address: str) -> str:
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _reason(response: httpx.Response) -> str:
    """Find the sentence in Kudu's several shapes of errors (Kudu reference §0.3)."""
    try:
        value = json.loads(response.content)
    except ValueError:
        text = response.text.strip()
        return "" if text.startswith("<") else text
    if isinstance(value, dict):
        value = value.get("ExceptionMessage") or value.get("Message") or value.get("error") or ""
    return value if isinstance(value, str) else json.dumps(value)
