"""`/api/hooks`: who wants to be told what happened (Kudu reference §7.1)."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Unavailable
from homeport.scm.atomic_file import read_small, replace_file
from homeport.scm.dotnet_time import ticks, utc_text
from homeport.scm.http.answers import exception_detail, json_answer, nothing
from homeport.scm.http.bodies import json_object
from homeport.scm.lock_file import held_lock

POST_DEPLOYMENT = "PostDeployment"
_MOST_BYTES = 1024 * 1024
_MOST_HOOKS = 100
_MOST_CONTEXT = 1000
_GONE = 410
_WAIT_SECONDS = 30.0
_DELIVERY_SECONDS = 10
_FIELDS = ("id", "event", "url", "last_status", "last_datetime", "last_reason", "last_context")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebHook:
    """One subscription and how its last delivery went."""

    id: str
    event: str
    url: str
    insecure_ssl: bool = False
    last_status: str | None = None
    last_datetime: str | None = None
    last_reason: str | None = None
    last_context: str | None = None


class WebHooks:
    """The subscriptions of one site: the file `site/deployments/hooks`, written under its lock. May block."""

    def __init__(self, home: Path) -> None:
        self._path = home / "site/deployments/hooks"
        self._lock = home / "site/locks/hooks.lock"

    def all(self) -> list[WebHook]:
        """Return every subscription; a broken file holds none."""
        data = read_small(self._path, limit=_MOST_BYTES)
        try:
            stored = json.loads(data) if data else []
        except (ValueError, RecursionError):
            return []
        return [hook for value in stored if (hook := _hook(value))] if isinstance(stored, list) else []

    def add(self, event: str, url: str, *, insecure_ssl: bool) -> WebHook | None:
        """Subscribe; the one that is there already for the same event, None when the URL has another event.

        Raises `Unavailable` when the lock is busy or there are too many.
        """
        with self._held():
            hooks = self.all()
            for hook in hooks:
                if hook.url.casefold() == url.casefold():
                    return hook if hook.event.casefold() == event.casefold() else None
            if len(hooks) >= _MOST_HOOKS:
                raise Unavailable(f"A site has at most {_MOST_HOOKS} web hooks: delete one first.")
            hook = WebHook(id=str(ticks(time.time_ns())), event=event, url=url, insecure_ssl=insecure_ssl)
            self._write([*hooks, hook])
            return hook

    def remove(self, identity: str) -> None:
        """Forget a subscription, whether or not it is there."""
        with self._held():
            hooks = self.all()
            kept = [hook for hook in hooks if hook.id != identity]
            if kept != hooks:
                self._write(kept)

    def publish(self, event: str, body: bytes) -> None:
        """Deliver to everybody who subscribed to the event; one that answers 410 is forgotten."""
        wanted = [hook for hook in self.all() if hook.event.casefold() == event.casefold()]
        if not wanted:
            return
        told = {hook.id: _deliver(hook, body) for hook in wanted}
        with self._held():
            self._write([now for hook in self.all() if (now := told.get(hook.id, hook)) is not None])

    def _write(self, hooks: list[WebHook]) -> None:
        replace_file(self._path, json.dumps([asdict(hook) for hook in hooks], indent=2).encode(), mode=0o600)

    def _held(self) -> AbstractContextManager[None]:
        busy = Unavailable("Another request works on the web hooks. Please try again later.")
        return held_lock(self._lock, seconds=_WAIT_SECONDS, busy=busy)


class HooksEndpoint:
    """The calls of `/api/hooks`."""

    def __init__(self, hooks: WebHooks) -> None:
        self._hooks = hooks

    async def list(self, _request: Request) -> Response:
        """GET: every subscription."""
        return json_answer([asdict(hook) for hook in await asyncio.to_thread(self._hooks.all)])

    async def read(self, request: Request) -> Response:
        """GET of one; `null` where there is none, as in Kudu."""
        identity = request.path_params["id"]
        found = next((hook for hook in await asyncio.to_thread(self._hooks.all) if hook.id == identity), None)
        return json_answer(None if found is None else asdict(found))

    async def subscribe(self, request: Request) -> Response:
        """POST: 201 with the subscription, 409 when the address has another event."""
        body = await json_object(request)
        url = body.get("url")
        problem = _url_problem(url)
        if problem is not None or not isinstance(url, str):
            return exception_detail(500, ValueError(problem))
        event, insecure = str(body.get("event") or ""), body.get("insecure_ssl") is True
        hook = await asyncio.to_thread(self._hooks.add, event, url, insecure_ssl=insecure)
        return nothing(409) if hook is None else json_answer(asdict(hook), status=201)

    async def delete(self, request: Request) -> Response:
        """DELETE: always 200."""
        await asyncio.to_thread(self._hooks.remove, request.path_params["id"])
        return nothing(200)

    async def publish(self, request: Request) -> Response:
        """POST of any JSON object: deliver it to the subscribers of the event."""
        body = json.dumps(await json_object(request)).encode()
        await asyncio.to_thread(self._hooks.publish, request.path_params["type"], body)
        return nothing(200)


def _url_problem(url: object) -> str | None:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        usable = parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    return None if usable else f"'{url}' is not an absolute http or https address."


def _hook(value: object) -> WebHook | None:
    if not isinstance(value, Mapping) or _url_problem(value.get("url")) or not value.get("id"):
        return None
    texts: dict[str, Any] = {
        name: None if value.get(name) is None else str(value[name])[:_MOST_CONTEXT] for name in _FIELDS
    }
    texts["event"] = texts["event"] or ""
    return WebHook(**texts, insecure_ssl=value.get("insecure_ssl") is True)


def _deliver(hook: WebHook, body: bytes) -> WebHook | None:
    """Tell one subscriber; None when it answers that it is gone for good."""
    import httpx

    address, headers = _without_credentials(hook.url)
    try:
        answer = httpx.post(
            address,
            content=body,
            headers={**headers, "content-type": "application/json"},
            timeout=_DELIVERY_SECONDS,
            verify=not hook.insecure_ssl,
        )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        print(f"A web hook could not be delivered: {type(error).__name__}.", file=sys.stderr)  # noqa: T201
        return _told(hook, status="", reason=type(error).__name__, context="")
    if answer.status_code == _GONE:
        return None
    return _told(
        hook, status=str(answer.status_code), reason=answer.reason_phrase, context=answer.text[:_MOST_CONTEXT]
    )


def _told(hook: WebHook, *, status: str, reason: str, context: str) -> WebHook:
    now = utc_text(datetime.now(UTC))
    return replace(hook, last_status=status, last_datetime=now, last_reason=reason, last_context=context)


def _without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Turn `user:password@` of an address into a header."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    token = base64.b64encode(user.encode()).decode("ascii")
    return urlunsplit(parts._replace(netloc=host)), {"authorization": f"Basic {token}"}
