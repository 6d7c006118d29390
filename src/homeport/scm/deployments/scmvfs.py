"""`/api/scmvfs`: the files of the repository; a change is a commit and a deployment (Kudu reference §2.6)."""

import asyncio
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Forbidden, Invalid, NotFound
from homeport.scm.deployments.commits import CommitDeployer
from homeport.scm.deployments.git_repository import Commit
from homeport.scm.deployments.lock import DEPLOYING, DeploymentLock, HeldLock, LockHeld
from homeport.scm.deployments.runs import DeploymentRuns
from homeport.scm.deployments.tree_editing import Author, BranchTree, TreeEntry
from homeport.scm.http.address import origin, page_address, query_suffix, raw_path
from homeport.scm.http.answers import json_answer, message, nothing, plain
from homeport.scm.http.bodies import discard_body, store_body
from homeport.scm.http.query import query_flag, query_text
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import SettingsProviders
from homeport.scm.vfs.conditions import matches
from homeport.scm.vfs.media_types import FOLDER, media_type_of

_TAG = re.compile(r'"([0-9a-f]{40}|[0-9a-f]{64})"')
_FILE_BYTES = 512 * 1024 * 1024
_EDITING = "Editing the repository"


class ScmVfsEndpoint:
    """Reads and changes the branch that is deployed."""

    def __init__(
        self,
        options: ScmOptions,
        *,
        commits: CommitDeployer,
        lock: DeploymentLock,
        runs: DeploymentRuns,
        providers: SettingsProviders,
    ) -> None:
        self._options = options
        self._commits = commits
        self._lock = lock
        self._runs = runs
        self._providers = providers

    async def read(self, request: Request) -> Response:
        """GET and HEAD: a file or a folder of the branch's newest commit, whose hash is the ETag."""
        return await asyncio.to_thread(self._read, request)

    async def write(self, request: Request) -> Response:
        """PUT: commit the body as the file's content, merged with what others changed meanwhile; then deploy."""
        path = _path(request)
        if not path or raw_path(request).endswith("/"):
            await discard_body(request)
            return message(
                409, "A folder of the repository cannot be written: it is there when a file in it is."
            )
        try:
            held = self._lock.acquire(_EDITING)
        except LockHeld as error:
            await discard_body(request)
            return plain(409, error.message)
        try:
            with tempfile.TemporaryDirectory(dir=self._options.temporary) as folder:
                content = Path(folder) / "content"
                with content.open("xb") as file:
                    await store_body(request, file, limit=_FILE_BYTES)
                answer, commit = await asyncio.to_thread(self._write, request, path, content)
                await self._update(commit)
        except BaseException:
            held.release()
            raise
        return await self._deployed(request, held, answer, commit)

    async def delete(self, request: Request) -> Response:
        """DELETE of a file, with its tag; a folder goes with its last file."""
        path = _path(request)
        if query_flag(request, "recursive"):
            return message(400, "A folder of the repository cannot be deleted at once: delete its files.")
        try:
            held = self._lock.acquire(_EDITING)
        except LockHeld as error:
            return plain(409, error.message)
        try:
            answer, commit = await asyncio.to_thread(self._delete, request, path)
            await self._update(commit)
        except BaseException:
            held.release()
            raise
        return await self._deployed(request, held, answer, commit)

    def _tree(self) -> BranchTree:
        return BranchTree(self._commits.repository, self._commits.branch())

    def _read(self, request: Request) -> Response:
        path, tree = _path(request), self._tree()
        head = tree.head()
        entry = None if head is None else tree.entry(head, path)
        if head is None or entry is None:
            raise NotFound(f"'{path}' is not in the branch '{self._commits.branch()}' of the repository.")
        slash = raw_path(request).endswith("/")
        if (entry.kind == "tree") != slash:
            where = raw_path(request).rstrip("/") + ("" if slash else "/")
            return nothing(307, headers={"location": f"{origin(request)}{where}{query_suffix(request)}"})
        headers = {"etag": f'"{head}"'}
        if matches(request.headers.get("if-none-match"), headers["etag"]):
            return nothing(304, headers=headers)
        if entry.kind == "tree":
            base = page_address(request).rstrip("/") + "/"
            listed = [_listed(each, base, query_suffix(request)) for each in tree.folder(head, path)]
            return json_answer(listed, headers=headers)
        content = tree.read(head, path) if entry.kind == "blob" else b""
        headers |= {
            "content-type": media_type_of(path),
            "content-length": str(len(content)),
            "x-content-type-options": "nosniff",
            "content-security-policy": "sandbox",
        }
        return Response(b"" if request.method == "HEAD" else content, headers=headers)

    def _write(self, request: Request, path: str, content: Path) -> tuple[Response, str | None]:
        tree = self._tree()
        head = tree.head()
        before = None if head is None else tree.entry(head, path)
        if head is None or before is None:
            made = self._change(request, tree, path, content, head=head)
            return nothing(201, headers={"etag": f'"{made}"'}), made
        if before.kind != "blob":
            return message(409, f"'{path}' is a folder of the repository."), None
        wanted = _TAG.fullmatch((request.headers.get("if-match") or "").strip())
        if wanted is None:
            return _stale(path, head), None
        if wanted[1] == head:
            made = self._change(request, tree, path, content, head=head)
            return nothing(204, headers={"etag": f'"{made}"'}), made
        if self._commits.repository.commit(wanted[1]) is None:
            return _stale(path, head), None
        merged, conflicts = tree.merge(path, content.read_bytes(), base=wanted[1], head=head)
        if conflicts:
            answer = Response(
                merged, status_code=409, headers={"content-type": "text/plain", "etag": f'"{head}"'}
            )
            return answer, None
        content.write_bytes(merged)
        made = self._change(request, tree, path, content, head=head)
        kept = {
            "etag": f'"{made}"',
            "content-type": media_type_of(path),
            "content-security-policy": "sandbox",
        }
        return Response(merged, headers=kept), made

    def _change(
        self, request: Request, tree: BranchTree, path: str, content: Path, *, head: str | None
    ) -> str:
        text = query_text(request, "message") or f"Committing the change asked for by {page_address(request)}"
        return tree.write(path, content, head=head, message=text, author=self._author())

    def _delete(self, request: Request, path: str) -> tuple[Response, str | None]:
        tree = self._tree()
        head = tree.head()
        entry = None if head is None else tree.entry(head, path)
        if head is None or entry is None:
            raise NotFound(f"'{path}' is not in the branch '{self._commits.branch()}' of the repository.")
        if entry.kind == "tree":
            return message(409, f"'{path}' is a folder with files: delete those."), None
        if not matches(request.headers.get("if-match"), f'"{head}"'):
            return _stale(path, head), None
        text = (
            query_text(request, "message") or f"Committing the removal asked for by {page_address(request)}"
        )
        made = tree.remove(path, head=head, message=text, author=self._author())
        return nothing(200, headers={"etag": f'"{made}"'}), made

    async def _update(self, commit: str | None) -> None:
        """Let the repository's own files follow the branch."""
        if commit is not None:
            await asyncio.to_thread(self._commits.repository.update_working_copy, commit)

    async def _deployed(
        self, request: Request, held: HeldLock, answer: Response, commit: str | None
    ) -> Response:
        """Deploy what was committed, unless the caller does not want that; the lock goes back in any case."""
        made = None if commit is None else self._commits.repository.commit(commit)
        if made is None or "nodeploy" in (name.casefold() for name in request.query_params):
            held.release()
            return answer
        held.describe(DEPLOYING)
        user = request.headers.get("x-ms-client-principal-name") or self._author().name
        await asyncio.shield(self._runs.start(partial(self._deploy, made, user), held))
        return answer

    def _deploy(self, commit: Commit, user: str) -> None:
        self._commits.deploy(commit, user=user)

    def _author(self) -> Author:
        settings = self._providers.current()
        return Author(
            settings.get("SCM_GIT_USERNAME") or "windowsazure",
            settings.get("SCM_GIT_EMAIL") or "windowsazure",
        )


def _path(request: Request) -> str:
    parts: list[str] = []
    for part in request.path_params["path"].replace("\\", "/").split("/"):
        if part == "..":
            raise Forbidden("The path leads out of the repository.")
        if "\0" in part or "\n" in part:
            raise Invalid("A path cannot hold such a character.")
        if part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _listed(entry: TreeEntry, base: str, query: str) -> dict[str, Any]:
    folder = entry.kind == "tree"
    return {
        "name": entry.name,
        "size": entry.size,
        "mtime": None,
        "crtime": None,
        "mime": FOLDER if folder else media_type_of(entry.name),
        "href": f"{base}{quote(entry.name.encode('utf-8', 'surrogateescape'), safe='')}{'/' if folder else ''}{query}",
        "path": None,
    }


def _stale(path: str, head: str) -> Response:
    text = f"'{path}' exists; send 'If-Match' with the one ETag that you have read, to change it."
    return message(412, text, headers={"etag": f'"{head}"'})
