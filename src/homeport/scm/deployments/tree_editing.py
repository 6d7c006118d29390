"""Single files of the repository's branch, read and changed without touching the working copy (Kudu reference §2.6).

Everything goes through git's plumbing and an index of its own: a change is a new commit whose branch moves only when
nobody else has moved it meanwhile. git itself checks the names, so `.git` and its disguises are refused.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from homeport.model.errors import Conflict, Invalid
from homeport.scm.deployments.git_repository import GitFailed, GitRepository

_MOST_CONFLICTS = 127
"""git ends with the number of conflicts, at most this; what is above is an error."""
_MOST_MERGED = 16 * 1024 * 1024
_FILE = "100644"
_NOTHING = "0" * 40


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One name in a folder of a commit: `kind` is git's (`blob`, `tree`, `commit`), `size` 0 but for files."""

    name: str
    kind: str
    mode: str
    size: int


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit says made it."""

    name: str
    email: str


class BranchTree:
    """The files of one branch. Blocks. Every method raises `GitFailed` when git refuses."""

    def __init__(self, repository: GitRepository, branch: str) -> None:
        self._repository = repository
        self._branch = branch

    def head(self) -> str | None:
        """Return the branch's commit, None where there is none."""
        found = self._repository.head(self._branch)
        return None if found is None else found.id

    def entry(self, commit: str, path: str) -> TreeEntry | None:
        """Return what a path of a commit is; the empty path is the folder of all."""
        if not path:
            return TreeEntry("", "tree", "040000", 0)
        found = self._entries(commit, "--", f":(literal){path}")
        return found[0] if found else None

    def folder(self, commit: str, path: str) -> list[TreeEntry]:
        """Return the entries of a folder."""
        return self._entries(f"{commit}:{path}" if path else commit)

    def read(self, commit: str, path: str) -> bytes:
        """Return a file's bytes."""
        return self._repository.git("cat-file", "blob", f"{commit}:{path}")

    def write(self, path: str, content: Path, *, head: str | None, message: str, author: Author) -> str:
        """Commit a file with new content on top of `head`; return the commit. Raises `Conflict`, `Invalid`."""
        self._repository.ensure(self._branch)
        blob = self._repository.git("hash-object", "-w", "--no-filters", "--", str(content)).decode().strip()
        with self._index(head) as environment:
            mode = _FILE if head is None else (found.mode if (found := self.entry(head, path)) else _FILE)
            line = ("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
            self._named(path, line, environment)
            return self._commit(environment, head=head, message=message, author=author)

    def remove(self, path: str, *, head: str, message: str, author: Author) -> str:
        """Commit the removal of a file; return the commit. Raises `Conflict`."""
        with self._index(head) as environment:
            self._named(path, ("update-index", "--force-remove", "--", path), environment)
            return self._commit(environment, head=head, message=message, author=author)

    def merge(self, path: str, content: bytes, *, base: str, head: str) -> tuple[bytes, bool]:
        """Bring a change made on `base` together with what `head` has; return the bytes and whether they conflict.

        Raises `Invalid` when the file is too large, or binary.
        """
        parts = [self.read(head, path), self.read(base, path) if self.entry(base, path) else b"", content]
        if sum(map(len, parts)) > _MOST_MERGED or any(b"\0" in part for part in parts):
            raise Invalid(
                f"'{path}' was changed meanwhile and cannot be merged: read it again.", code="NotMerged"
            )
        with tempfile.TemporaryDirectory(dir=self._repository.path) as folder:
            files = [Path(folder) / name for name in ("head", "base", "yours")]
            for file, data in zip(files, parts, strict=True):
                file.write_bytes(data)
            done = self._repository.run("merge-file", "-p", *map(str, files), highest=_MOST_CONFLICTS)
        return done.stdout, done.returncode > 0

    def _entries(self, *arguments: str) -> list[TreeEntry]:
        found = []
        for line in self._repository.git("ls-tree", "-l", "-z", *arguments).split(b"\0"):
            if line:
                facts, _, name = os.fsdecode(line).partition("\t")
                mode, kind, _, size = facts.split()
                found.append(
                    TreeEntry(name.rpartition("/")[2], kind, mode, int(size) if size.isdigit() else 0)
                )
        return found

    def _commit(
        self, environment: Mapping[str, str], *, head: str | None, message: str, author: Author
    ) -> str:
        tree = self._repository.git("write-tree", environment=environment).decode().strip()
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", author.name), ("EMAIL", author.email))
        }
        parents = ("-p", head) if head else ()
        made = self._repository.git(
            "commit-tree", tree, *parents, "-m", message, environment={**environment, **who}
        )
        commit = made.decode().strip()
        try:
            self._repository.git("update-ref", f"refs/heads/{self._branch}", commit, head or _NOTHING)
        except GitFailed as error:
            raise Conflict(
                "Somebody else changed the repository at the same moment: read it again."
            ) from error
        return commit

    @contextmanager
    def _index(self, head: str | None) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory(dir=self._repository.path) as folder:
            environment = {**self._repository.environment(), "GIT_INDEX_FILE": f"{folder}/index"}
            if head is not None:
                self._repository.git("read-tree", head, environment=environment)
            yield environment

    def _named(self, path: str, line: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self._repository.git(*line, environment=environment)
        except GitFailed as error:
            raise Invalid(f"git refuses the name '{path}'.", code="RefusedName") from error
