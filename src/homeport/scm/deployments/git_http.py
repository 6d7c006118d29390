"""Git over HTTP: git's own http-backend, and the deployment that a push starts (Kudu reference §4.8).

The only hook that runs is one of ours: it shows the pusher what it reads from a pipe, and the deployment in this
process writes its log there. So a push ends when its deployment has ended, as with Kudu.
"""

import asyncio
import contextlib
import os
import shutil
import stat
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from homeport.scm.deployments.commits import CommitDeployer
from homeport.scm.deployments.deployer import Deployer
from homeport.scm.deployments.git_repository import GitFailed
from homeport.scm.deployments.lock import DEPLOYING, DeploymentLock, HeldLock, LockHeld
from homeport.scm.deployments.runs import DeploymentRuns
from homeport.scm.http.address import query_suffix
from homeport.scm.http.answers import message, nothing, plain
from homeport.scm.http.bodies import discard_body
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders

_READ_BYTES = 64 * 1024
_MOST_HEADER = 64 * 1024
_PUSHING = "Receiving a push"
_HOOK = '#!/bin/sh\nexec cat "$HOMEPORT_PUSH_LOG"\n'
_LOOK_SECONDS = 0.02
_END_SECONDS = 5
_SERVICES = frozenset({"git-upload-pack", "git-receive-pack"})


class GitEndpoint:
    """Answers git clients."""

    def __init__(
        self,
        deployer: Deployer,
        *,
        commits: CommitDeployer,
        lock: DeploymentLock,
        runs: DeploymentRuns,
        options: ScmOptions,
        providers: SettingsProviders,
    ) -> None:
        self._deployer = deployer
        self._commits = commits
        self._repository = commits.repository
        self._lock = lock
        self._runs = runs
        self._options = options
        self._providers = providers

    async def references(self, request: Request) -> Response:
        """GET `…/info/refs`: makes an empty repository where there is none."""
        if not self._is_ours(request):
            return nothing(404)
        service = request.query_params.get("service")
        if service is None:
            return plain(501, "The dumb protocol is not supported: use a newer git.")
        if service not in _SERVICES:
            return nothing(400)
        try:
            await asyncio.to_thread(self._repository.ensure, self._commits.branch())
        except GitFailed as error:
            return message(400, str(error))
        return await self._backend(request, "site", "repository/info/refs")

    async def upload_pack(self, request: Request) -> Response:
        """POST `…/git-upload-pack`: a clone or a fetch."""
        if not self._is_ours(request) or not self._repository.exists():
            return nothing(404)
        return await self._backend(request, "site", "repository/git-upload-pack")

    async def any_repository(self, request: Request) -> Response:
        """GET and POST below `/git/`: any repository below home can be cloned."""
        path = request.path_params["path"].strip("/")
        for tail in ("info/refs", "git-upload-pack", "git-receive-pack"):
            folder = path.removesuffix(tail).strip("/")
            if folder == path:
                continue
            if tail == "git-receive-pack" or request.query_params.get("service") == "git-receive-pack":
                return plain(501, "Only the site's own repository can be pushed to.")
            place = self._options.home / folder
            if ".." in folder.split("/") or "\0" in folder:
                return nothing(400)
            if not (place / ".git").is_dir() and not (place / "HEAD").is_file():
                return nothing(404)
            return await self._backend(request, "", f"{folder}/{tail}")
        return nothing(400)

    async def receive_pack(self, request: Request) -> Response:
        """POST `…/git-receive-pack`: store what is pushed, deploy the configured branch, show the log."""
        if not self._is_ours(request):
            return nothing(404)
        if not self._repository.exists():
            return nothing(400)
        try:
            held = await self._lock.acquire_soon(_PUSHING)
        except LockHeld as error:
            await discard_body(request)
            return plain(409, error.message)
        try:
            await asyncio.to_thread(self._deployer.clear_staging)
            push = await asyncio.to_thread(_Push, self._options.staging / uuid.uuid4().hex)
        except BaseException:
            held.release()
            raise
        self._runs.start(partial(self._deploy_pushed, push, held, _user(request)), held)
        try:
            return await self._backend(
                request,
                "site",
                "repository/git-receive-pack",
                configuration={"core.hooksPath": str(push.hooks)},
                environment={"HOMEPORT_PUSH_LOG": str(push.pipe)},
                ended=push.ended.set,
            )
        except BaseException:
            push.ended.set()
            raise

    def _deploy_pushed(self, push: "_Push", held: HeldLock, user: str) -> None:
        """Wait for the hook, then deploy; in a thread."""
        try:
            if not push.wait_for_hook():
                return  # git refused what was pushed, or the client left
            if self._providers.current().flag("SCM_DISABLE_DEPLOY_ON_PUSH", default=False):
                push.say("Deploying on push is switched off (SCM_DISABLE_DEPLOY_ON_PUSH).")
                return
            branch = self._commits.branch()
            commit = self._repository.head(branch)
            if commit is None:
                push.say(f"Error - there is no branch '{branch}': nothing was deployed (deployment_branch).")
                return
            held.describe(DEPLOYING)
            if not self._commits.deploy(commit, user=user, follow=push.say):
                push.say("Error - Changes committed to remote repository but deployment to website failed.")
        finally:
            push.close()

    def _is_ours(self, request: Request) -> bool:
        """Tell whether `{site}.git` names this site; without it the address is enough (§4.8)."""
        name = request.path_params.get("repository")
        return name is None or name.casefold() == self._options.site.partition("_")[0].casefold()

    async def _backend(
        self,
        request: Request,
        root: str,
        path: str,
        *,
        configuration: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> Response:
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            cwd=self._options.home,
            env={
                **self._repository.environment(configuration),
                **_cgi(request),
                "GIT_PROJECT_ROOT": str(self._options.home / root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": f"/{path}",
                **(environment or {}),
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MOST_HEADER,
        )
        feeding = asyncio.create_task(_feed(request, process))

        async def finish() -> None:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError, ClientDisconnect):
                await feeding
            try:
                await asyncio.wait_for(process.wait(), _END_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
            ended()

        assert process.stdout is not None
        try:
            head = await process.stdout.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await finish()
            return message(500, "git's http-backend did not answer.")
        except BaseException:
            await finish()
            raise

        async def body(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
            try:
                while data := await stream.read(_READ_BYTES):
                    yield data
            finally:
                await finish()

        status, headers = _read_head(head)
        return StreamingResponse(body(process.stdout), status_code=status, headers=headers)


class _Push:
    """The pipe between a deployment and the hook that shows it to the pusher."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.hooks = folder / "hooks"
        self.pipe = folder / "log"
        self.ended = threading.Event()
        self._descriptor: int | None = None
        self.hooks.mkdir(parents=True)
        hook = self.hooks / "post-receive"
        hook.write_text(_HOOK)
        hook.chmod(stat.S_IRWXU)
        os.mkfifo(self.pipe, 0o600)

    def wait_for_hook(self) -> bool:
        """Wait until git runs the hook; False where it ended without."""
        while self._descriptor is None:
            try:
                self._descriptor = os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:  # nobody reads yet
                if self.ended.is_set():
                    return False
                time.sleep(_LOOK_SECONDS)
        return True

    def say(self, line: str) -> None:
        """Show a line to the pusher, if they are still there and keep up: a deployment waits for nobody."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, f"{line}\n".encode("utf-8", "replace"))

    def close(self) -> None:
        """Let the hook end."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        shutil.rmtree(self._folder, ignore_errors=True)


async def _feed(request: Request, process: asyncio.subprocess.Process) -> None:
    """Hand the request's body to git as it arrives; git hears of its end, and of a client that left."""
    assert process.stdin is not None
    try:
        async for chunk in request.stream():
            process.stdin.write(chunk)
            await process.stdin.drain()
    except (ConnectionError, ClientDisconnect):
        pass  # git has had enough, or the client has left: what is missing makes git refuse
    finally:
        process.stdin.close()


def _cgi(request: Request) -> dict[str, str]:
    """Return the request as RFC 3875 has it."""
    headers = request.headers
    named = {
        "CONTENT_TYPE": headers.get("content-type"),
        "CONTENT_LENGTH": headers.get("content-length"),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding"),
        "GIT_PROTOCOL": headers.get("git-protocol"),
    }
    return {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": query_suffix(request).removeprefix("?"),
        "REMOTE_USER": _user(request),
        "REMOTE_ADDR": headers.get("x-real-ip", "127.0.0.1"),
        **{name: value for name, value in named.items() if value},
    }


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    pairs = (line.partition(": ") for line in head.decode("latin-1").strip().split("\r\n"))
    headers = {name.lower(): value for name, _, value in pairs}
    status = headers.pop("status", "200").split(" ")[0]
    headers.pop("content-length", None)
    return int(status), headers


def _user(request: Request) -> str:
    return request.headers.get("x-ms-client-principal-name") or "git"
