"""The site's repository, `site/repository`, worked on by git itself (Kudu reference §4.7, §4.8).

What is pushed is hostile until proven otherwise: git checks every object, runs no hook but ours, reads no
configuration but the repository's own, and what comes out is files and folders only. A symbolic link becomes a file
that holds where it led to, as with git for Windows; submodules stay empty.
"""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeport.scm.deployments.archive import Bounds, UnsafePackage
from homeport.scm.deployments.build_process import IdleTimeout, run_program
from homeport.scm.http.bodies import PACKAGE_BYTES

_SECONDS = 600
_FETCH_IDLE_SECONDS = 300
_LINK = "120000"
_SUBMODULE = "160000"
_SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
"""Nobody is there to be asked; a host that is known must not change its key."""
_CONFIGURATION = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "core.protectNTFS": "true",
    "core.protectHFS": "true",
    "transfer.fsckObjects": "true",
    "receive.denyCurrentBranch": "ignore",
    "receive.maxInputSize": str(PACKAGE_BYTES),
    "http.receivepack": "true",
    "protocol.file.allow": "never",
    "gc.auto": "0",
}


class GitFailed(Exception):
    """git refused; the message is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit: its full hash, and who made it with which message."""

    id: str
    author: str
    author_email: str
    message: str


class GitRepository:
    """The repository of one site."""

    def __init__(self, home: Path, *, environment: Mapping[str, str]) -> None:
        self.path = home / "site/repository"
        self._environment = environment

    def environment(self, configuration: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a git that trusts nobody; `configuration` is added to what always holds."""
        pairs = {**_CONFIGURATION, **(configuration or {})}
        return {
            "PATH": self._environment.get("PATH", os.defpath),
            "HOME": str(self.path.parent.parent),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "http:https:ssh",
            "GIT_SSH_COMMAND": _SSH,
            "GIT_CONFIG_COUNT": str(len(pairs)),
            **{f"GIT_CONFIG_KEY_{number}": key for number, key in enumerate(pairs)},
            **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(pairs.values())},
        }

    def exists(self) -> bool:
        """Tell whether there is a repository."""
        return (self.path / ".git/HEAD").is_file()

    def ensure(self, branch: str) -> None:
        """Make an empty repository where there is none; raises `GitFailed`."""
        if not self.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            self.git("init", "--quiet", "--initial-branch", branch)

    def commit(self, revision: str) -> Commit | None:
        """Return the commit that a branch or a hash names, None where there is none."""
        if not self.exists() or revision.startswith("-"):
            return None
        try:
            text = self.git(
                "log", "-1", "--no-show-signature", "--format=%H%x00%an%x00%ae%x00%B", revision, "--"
            ).decode("utf-8", "replace")
        except GitFailed:
            return None
        identity, author, email, message = text.split("\0", 3)
        return Commit(id=identity, author=author, author_email=email, message=message.strip())

    def head(self, branch: str) -> Commit | None:
        """Return the newest commit of a branch, None where there is no such branch."""
        return self.commit(f"refs/heads/{branch}")

    def export(
        self, commit: str, target: Path, *, bounds: Bounds, checkpoint: Callable[[], None]
    ) -> Sequence[str]:
        """Write a commit's files into `target`, a new folder; return its links and submodules.

        Raises `UnsafePackage` where it is larger than `bounds`, `GitFailed` and `OSError`.
        """
        odd = self._check(commit, bounds)
        target.mkdir(parents=True)
        index = target.with_name("index")
        environment = {**self.environment(), "GIT_INDEX_FILE": str(index)}
        self.git("read-tree", commit, environment=environment)
        checkpoint()
        self.git("checkout-index", "--all", "--force", f"--prefix={target}/", environment=environment)
        index.unlink(missing_ok=True)
        return odd

    def update_working_copy(self, commit: str) -> None:
        """Let the repository's own files be those of a commit: that is what people find there."""
        self.git("read-tree", "--reset", "-u", commit)

    def fetch(
        self, address: str, branch: str, *, say: Callable[[str], None], checkpoint: Callable[[], None]
    ) -> None:
        """Let a branch be what it is at an address; raises `GitFailed`."""
        line = ["git", "fetch", "--no-tags", "--no-recurse-submodules", "--update-head-ok", "--progress"]
        refs = f"+refs/heads/{branch}:refs/heads/{branch}"
        try:
            code = run_program(
                [*line, "--", address, refs],
                directory=self.path,
                environment=self.environment(),
                say=say,
                say_error=say,
                idle_seconds=_FETCH_IDLE_SECONDS,
                checkpoint=checkpoint,
            )
        except IdleTimeout as error:
            raise GitFailed(f"git fetch {error}") from error
        if code != 0:
            raise GitFailed(f"git could not fetch the branch '{branch}'; its words are in the log.")

    def _check(self, commit: str, bounds: Bounds) -> Sequence[str]:
        """Count what a commit holds before it is written: a few objects can stand for billions of files."""
        line = ("git", "ls-tree", "-r", "-l", "-z", commit)
        odd: list[str] = []
        count = total = 0
        with subprocess.Popen(line, cwd=self.path, env=self.environment(), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            rest = b""
            try:
                while data := process.stdout.read(64 * 1024):
                    *entries, rest = (rest + data).split(b"\0")
                    for entry in entries:
                        facts, _, name = entry.decode("utf-8", "replace").partition("\t")
                        mode, _, _, size = facts.split()
                        count += 1
                        total += int(size) if size.isdigit() else 0
                        if mode in {_LINK, _SUBMODULE}:
                            odd.append(name)
                    if count > bounds.entries or total > bounds.bytes:
                        raise UnsafePackage(
                            f"The commit holds more than {bounds.entries} files or {bounds.bytes} bytes "
                            "(HOMEPORT_ZIP_MAX_ENTRIES, HOMEPORT_ZIP_MAX_MEGABYTES)."
                        )
            finally:
                process.kill()
        return odd

    def git(self, *arguments: str, environment: Mapping[str, str] | None = None) -> bytes:
        """Run git in the repository and return what it wrote; raises `GitFailed`."""
        return self.run(*arguments, environment=environment).stdout

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None, highest: int = 0
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run git in the repository; raises `GitFailed` where it ends with a code above `highest`, or not at all."""
        try:
            done = subprocess.run(
                ("git", *arguments),
                cwd=self.path,
                env=environment or self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitFailed(f"git {arguments[0]} did not work: {error}") from error
        if not 0 <= done.returncode <= highest:
            raise GitFailed(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()[-500:]}")
        return done
