"""The real git pushes, clones and is fetched from (Kudu reference §4.7, §4.8, §15 items 25, 33, 35)."""

import os
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import SITE, ScmProcess, wait_for

from homeport.scm.deployments.lock import DeploymentLock


class _Door(socketserver.ThreadingTCPServer):
    """A TCP port in front of a process's Unix socket, as git can reach nothing else."""

    daemon_threads = True
    place = ""


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        inner = socket.socket(socket.AF_UNIX)
        inner.connect(self.server.place)  # type: ignore[attr-defined]
        back = threading.Thread(target=_pump, args=(inner, self.request), daemon=True)
        back.start()
        _pump(self.request, inner)
        back.join()
        inner.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def door() -> Iterator[Callable[[ScmProcess], str]]:
    """Open a port for a site and give its address."""
    doors: list[_Door] = []

    def open_door(scm: ScmProcess) -> str:
        server = _Door(("127.0.0.1", 0), _Connection)
        server.place = str(scm.folder / "scm.sock")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        doors.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield open_door
    for server in doors:
        server.shutdown()
        server.server_close()


def git(folder: Path, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "a@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository with one commit on `master`."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "master")
    commit(folder, {"app.py": "first", "old.py": "1"}, "The first")
    return folder


def commit(folder: Path, files: dict[str, str | None], message: str) -> str:
    for name, text in files.items():
        if text is None:
            (folder / name).unlink()
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD").stdout.strip()


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def records(scm: ScmProcess) -> list[tuple[str, int, bool]]:
    found = scm.client.get("/api/deployments").json()
    return [(record["id"], record["status"], record["active"]) for record in found]


@pytest.mark.parametrize("path", ["", f"/{SITE}.git", f"/{SITE.upper()}.git"])
def test_a_push_deploys_and_the_pusher_sees_the_log(
    scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path, path: str
) -> None:
    pushed = git(work, "rev-parse", "HEAD").stdout.strip()

    said = git(work, "push", door(scm) + path, "master").stderr

    assert "remote: Running deployment command..." in said
    assert "remote: Deployment successful." in said
    assert tree(scm.web_root) == {"app.py": "first", "old.py": "1"}
    assert records(scm) == [(pushed, 4, True)]
    record = scm.client.get(f"/api/deployments/{pushed}").json()
    assert (record["message"], record["author"], record["deployer"]) == ("The first", "a@example.com", "git")
    assert scm.log_text(pushed).startswith(f"Updating branch '{pushed}'.")
    assert (scm.home / "site/repository/app.py").read_text() == "first"


def test_later_commits_remove_files_and_older_ones_come_back(
    scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
) -> None:
    address = door(scm)
    first = git(work, "rev-parse", "HEAD").stdout.strip()
    git(work, "push", address, "master")
    second = commit(work, {"app.py": "second", "old.py": None, "new.py": "2"}, "The second")
    git(work, "push", address, "master")
    assert tree(scm.web_root) == {"app.py": "second", "new.py": "2"}
    difference = scm.client.get(f"/api/homeport/deployments/{first}/diff").json()["files"]
    assert difference == {"added": ["old.py"], "removed": ["new.py"], "changed": ["app.py"]}

    assert scm.client.put(f"/api/deployments/{first}").status_code == 200

    assert tree(scm.web_root) == {"app.py": "first", "old.py": "1"}
    assert records(scm) == [(second, 4, False), (first, 4, True)]
    assert scm.client.put("/api/deployments").status_code == 200
    assert tree(scm.web_root) == {"app.py": "second", "new.py": "2"}


def test_packages_and_commits_follow_each_other(
    scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
) -> None:
    """§15 item 25."""
    address = door(scm)
    first = git(work, "rev-parse", "HEAD").stdout.strip()
    git(work, "push", address, "master")
    scm.deploy({"app.py": "packed", "packed.txt": "p"})
    assert tree(scm.web_root) == {"app.py": "packed", "packed.txt": "p"}
    commit(work, {"app.py": "second", "old.py": None}, "The second")
    git(work, "push", address, "master")
    assert tree(scm.web_root) == {"app.py": "second"}

    assert scm.client.put(f"/api/deployments/{first}").status_code == 200

    assert tree(scm.web_root) == {"app.py": "first", "old.py": "1"}
    assert [active for _, _, active in records(scm)].count(True) == 1
    assert len(records(scm)) == 3


def test_another_branch_is_stored_and_can_be_chosen_later(
    scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
) -> None:
    """§15 item 35."""
    address = door(scm)
    said = git(work, "push", address, "master:test").stderr
    assert "there is no branch 'master'" in said
    assert records(scm) == []
    assert scm.client.put("/api/deployments").status_code == 500

    scm.client.post("/api/settings", json={"deployment_branch": "test"})
    assert scm.client.put("/api/deployments").status_code == 200

    assert tree(scm.web_root)["app.py"] == "first"


def test_a_failing_deployment_keeps_the_commit_and_the_old_content(
    scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
) -> None:
    """§15 item 33: the push itself is accepted."""
    address = door(scm)
    git(work, "push", address, "master")
    bad = commit(work, {".deployment": "[config]\ncommand = exit 9\n", "app.py": "bad"}, "Bad")

    said = git(work, "push", address, "master").stderr

    assert "deployment to website failed" in said
    assert records(scm)[0] == (bad, 3, False)
    assert tree(scm.web_root) == {"app.py": "first", "old.py": "1"}
    assert git(work, "ls-remote", address, "master").stdout.split()[0] == bad


def test_what_was_pushed_can_be_cloned_and_any_repository_of_the_site_too(
    scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path, tmp_path: Path
) -> None:
    address = door(scm)
    git(work, "push", address, "master")

    git(tmp_path, "clone", "-q", address, "one")
    git(tmp_path, "clone", "-q", f"{address}/git/site/repository", "two")

    assert (tmp_path / "one/app.py").read_text() == (tmp_path / "two/app.py").read_text() == "first"
    refused = git(work, "push", f"{address}/git/site/repository", "master:x", check=False)
    assert "501" in refused.stderr
    assert git(work, "clone", f"{address}/git/none", check=False).returncode != 0
    assert scm.client.get("/git/..%2f..%2fetc/info/refs?service=git-upload-pack").status_code in (400, 404)


def test_the_dumb_protocol_other_sites_and_busy_sites_are_refused(
    scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
) -> None:
    address = door(scm)
    assert scm.client.get("/info/refs").status_code == 501
    assert scm.client.get("/other.git/info/refs?service=git-upload-pack").status_code == 404
    refs = scm.client.get("/info/refs?service=git-upload-pack")
    assert refs.headers["content-type"] == "application/x-git-upload-pack-advertisement"
    assert refs.headers["cache-control"] == "no-cache, max-age=0, must-revalidate"
    assert refs.content.startswith(b"001e# service=git-upload-pack\n0000")

    scm.client.post("/api/settings", json={"COMMAND": "sleep 20"})
    scm.deploy({"a": "1"}, isAsync="true")
    busy = git(work, "push", address, "master", check=False)

    assert busy.returncode != 0
    assert "409" in busy.stderr


def test_a_push_that_is_refused_gives_the_lock_back(
    scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
) -> None:
    address = door(scm)
    git(work, "push", address, "master")
    git(work, "commit", "-q", "--amend", "-m", "Changed")
    assert git(work, "push", address, "master", check=False).returncode != 0

    for body in (b"", b"nonsense", b"0000"):
        scm.client.post("/git-receive-pack", content=body)

    wait_for(lambda: scm.deploy({"a": "1"}).status_code == 200)


class TestHostileRepositories:
    """Nothing that is pushed runs, leads anywhere or fills the disk by itself."""

    def test_links_become_plain_files(
        self, scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
    ) -> None:
        (work / "link").symlink_to("/etc/passwd")
        (work / "folder").symlink_to("../../..")
        pushed = commit(work, {}, "Links")

        git(work, "push", door(scm), "master")

        assert not (scm.web_root / "link").is_symlink()
        assert (scm.web_root / "link").read_text() == "/etc/passwd"
        assert (scm.web_root / "folder").is_file()
        assert not (scm.home / "site/repository/link").is_symlink()
        assert "'link' is a symbolic link" in scm.log_text(pushed)

    @pytest.mark.parametrize("name", [".git", ".GIT", "..", "git~1", ".git\u200c"])
    def test_a_tree_that_writes_into_git_is_refused(
        self, scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path, name: str
    ) -> None:
        blob = subprocess.run(
            ["git", "hash-object", "-w", "--stdin"], cwd=work, input=b"#!/bin/sh\ntouch /tmp/owned\n",
            capture_output=True, check=True,
        ).stdout.strip()  # fmt: skip
        inner = b"100755 post-receive\0" + bytes.fromhex(blob.decode())
        for part in ("hooks", name):
            made = subprocess.run(
                ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"], cwd=work, input=inner,
                capture_output=True, check=True,
            ).stdout.strip()  # fmt: skip
            inner = f"40000 {part}".encode() + b"\0" + bytes.fromhex(made.decode())
        top = subprocess.run(
            ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"], cwd=work, input=inner,
            capture_output=True, check=True,
        ).stdout.decode().strip()  # fmt: skip
        evil = git(work, "commit-tree", top, "-m", "evil").stdout.strip()

        done = git(work, "push", door(scm), f"{evil}:refs/heads/master", check=False)

        assert done.returncode != 0
        assert tree(scm.web_root) == {}
        assert not (scm.home / "site/repository/.git/hooks/post-receive").exists()

    def test_hooks_and_configuration_of_the_repository_do_not_run(
        self, scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
    ) -> None:
        address = door(scm)
        git(work, "push", address, "master")
        mark = scm.folder / "ran"
        inner = scm.home / "site/repository/.git"
        for name in ("pre-receive", "update", "post-receive", "post-checkout", "post-index-change"):
            (inner / "hooks" / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
            (inner / "hooks" / name).chmod(0o755)
        commit(work, {"app.py": "second"}, "Second")

        git(work, "push", address, "master")

        assert tree(scm.web_root)["app.py"] == "second"
        assert not mark.exists()

    def test_a_commit_that_stands_for_too_many_files_is_not_written(
        self, start_scm: Callable[..., ScmProcess], door: Callable[[ScmProcess], str], work: Path
    ) -> None:
        scm = start_scm(HOMEPORT_ZIP_MAX_ENTRIES="1000")
        inner = git(work, "write-tree").stdout.strip()
        for _ in range(9):  # each level holds the one below ten times: 2 × 10 to the 9th files
            lines = "".join(f"040000 tree {inner}\t{number}\n" for number in range(10))
            inner = subprocess.run(
                ["git", "mktree"], cwd=work, input=lines, text=True, capture_output=True, check=True
            ).stdout.strip()
        bomb = git(work, "commit-tree", inner, "-m", "bomb").stdout.strip()

        said = git(work, "push", door(scm), f"{bomb}:refs/heads/master").stderr

        assert "HOMEPORT_ZIP_MAX_ENTRIES" in said
        assert tree(scm.web_root) == {}

    def test_submodules_are_not_fetched(
        self, scm: ScmProcess, door: Callable[[ScmProcess], str], work: Path
    ) -> None:
        head = git(work, "rev-parse", "HEAD").stdout.strip()
        (work / ".gitmodules").write_text('[submodule "m"]\n\tpath = m\n\turl = http://127.0.0.1:9/x\n')
        git(work, "add", ".gitmodules")
        git(work, "update-index", "--add", "--cacheinfo", f"160000,{head},m")
        git(work, "commit", "-q", "-m", "Module")

        git(work, "push", door(scm), "master")

        assert records(scm)[0][1] == 4
        assert list((scm.web_root / "m").iterdir()) == []


class TestFetching:
    """`/deploy` fetches from elsewhere; here from another site's `/git`."""

    def test_the_generic_form_deploys_at_once(
        self, start_scm: Callable[..., ScmProcess], door: Callable[[ScmProcess], str], work: Path
    ) -> None:
        elsewhere, scm = start_scm(), start_scm()
        address = door(elsewhere)
        git(work, "push", address, "master")
        body = {"format": "basic", "scm": "git", "url": f"{address}/git/site/repository"}

        assert scm.client.post("/deploy", json=body).status_code == 200
        assert tree(scm.web_root) == {"app.py": "first", "old.py": "1"}
        assert scm.latest()["deployer"] == "External"

        commit(work, {"app.py": "second"}, "Second")
        git(work, "push", address, "master")
        first = git(work, "rev-parse", "HEAD~1").stdout.strip()
        assert scm.client.post("/deploy?isAsync=true", json=body).status_code == 202
        scm.latest()
        assert tree(scm.web_root)["app.py"] == "second"
        body["url"] += f"#{first}"
        assert scm.client.post("/deploy", json=body).status_code == 200
        assert tree(scm.web_root)["app.py"] == "first"

    def test_a_service_is_answered_before_the_deployment(
        self, start_scm: Callable[..., ScmProcess], door: Callable[[ScmProcess], str], work: Path
    ) -> None:
        elsewhere, scm = start_scm(), start_scm()
        address = door(elsewhere)
        git(work, "push", address, "master")
        payload = {"ref": "refs/heads/master", "repository": {"clone_url": f"{address}/git/site/repository"}}

        answer = scm.client.post("/deploy", json=payload)

        assert answer.status_code == 202
        wait_for(lambda: tree(scm.web_root))
        other = scm.client.post("/deploy", json={**payload, "ref": "refs/heads/other"})
        assert (other.status_code, "other" in other.text) == (200, True)
        ping = {"zen": "Keep it logically awesome.", "repository": payload["repository"]}
        assert scm.client.post("/deploy", json=ping).status_code == 200
        scm.client.post("/api/settings", json={"ScmType": "None"})
        assert scm.client.post("/deploy", json=payload).status_code == 403

    @pytest.mark.parametrize(
        "url", ["file:///etc", "ext::sh -c id", "/etc", "--upload-pack=id", "git://x/y", "", None]
    )
    def test_other_kinds_of_addresses_are_named_with_what_is_possible(
        self, shared_scm: ScmProcess, url: str | None
    ) -> None:
        answer = shared_scm.client.post("/deploy", json={"format": "basic", "url": url})

        assert answer.status_code == 400
        assert answer.text.startswith(f"'{url or ''}' is no address that the site fetches from")

    def test_a_push_that_a_service_tells_of_during_a_deployment_is_fetched_after_it(
        self, start_scm: Callable[..., ScmProcess], door: Callable[[ScmProcess], str], work: Path
    ) -> None:
        elsewhere, scm = start_scm(), start_scm()
        address = door(elsewhere)
        git(work, "push", address, "master")
        payload = {"ref": "refs/heads/master", "repository": {"clone_url": f"{address}/git/site/repository"}}
        by_hand = {"format": "basic", "url": payload["repository"]["clone_url"]}  # type: ignore[index]
        with DeploymentLock(scm.home, instance="").acquire("Testing"):
            assert scm.client.post("/deploy", json=by_hand).status_code == 409
            assert {scm.client.post("/deploy", json=payload).status_code for _ in range(3)} == {202}
            assert not tree(scm.web_root)

        wait_for(lambda: tree(scm.web_root))
        wait_for(lambda: [status for _, status, _ in records(scm)] == [4])

    def test_an_address_without_a_repository_is_500(self, scm: ScmProcess) -> None:
        body = {"format": "basic", "url": "http://127.0.0.1:9/none.git"}

        answer = scm.client.post("/deploy", json=body)

        assert answer.status_code == 500
        assert "git could not fetch" in answer.text
        assert "'127.0.0.1' is the site itself" in answer.text
        assert scm.deploy({"a": "1"}).status_code == 200

    def test_get_leads_home_and_nonsense_is_400(self, shared_scm: ScmProcess) -> None:
        assert shared_scm.client.get("/deploy").status_code == 302
        assert shared_scm.client.post("/deploy").status_code == 400
        assert shared_scm.client.post("/deploy", json={"repository": 5}).status_code == 400
