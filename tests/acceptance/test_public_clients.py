"""Public clients of Kudu, unmodified, against a platform whose domain is the one that they have built in.

They connect to port 443 of a name that does not resolve here; a proxy that the test gives them in their environment
leads every connection to the platform, and its certificate authority is trusted by the same way.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acceptance.running import Platform, running_platform

CLIENTS = Path(__file__).with_name("clients")
DOMAIN = "azurewebsites.net"


@pytest.fixture(scope="module")
def azure() -> Iterator[Platform]:
    """A platform that serves App Service's own domain."""
    with running_platform(None, "--domain", DOMAIN) as started:
        yield started


@contextmanager
def proxy_to(port: int) -> Iterator[str]:
    """An HTTP proxy whose every CONNECT ends at `port` of this machine; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    done = threading.Event()
    threads: list[threading.Thread] = []

    def accept() -> None:
        while not done.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=_tunnel, args=(client, port), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        accepting.join()
        listener.close()
        for thread in threads:
            thread.join(10)


def _tunnel(client: socket.socket, port: int) -> None:
    client.settimeout(60)
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    assert head.startswith(b"CONNECT ")
    server = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
    back.start()
    _pump(client, server)
    back.join(60)
    client.close()
    server.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def environment(platform: Platform, proxy: str) -> dict[str, str]:
    authority = str(platform.data / "tls/ca.pem")
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/root"),
        "HTTPS_PROXY": proxy,
        "NODE_EXTRA_CA_CERTS": authority,
        "NODE_NO_WARNINGS": "1",
    }


def https_port(platform: Platform) -> int:
    return int(json.loads((platform.data / "run.json").read_text())["https"].rpartition(":")[2].strip("/"))


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the installed npm packages."""
    folder = tmp_path_factory.mktemp("npm") / "clients"
    shutil.copytree(CLIENTS, folder)
    subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=110,
    )
    return folder


def test_the_npm_package_kudu_api_does_all_it_can(azure: Platform, clients: Path, tmp_path: Path) -> None:
    publishing = azure.json("site", "create", "kudu-api-site")["publishing"]

    with proxy_to(https_port(azure)) as proxy:
        done = subprocess.run(
            [
                "node",
                "kudu_api.js",
                "kudu-api-site",
                publishing["user"],
                publishing["password"],
                str(tmp_path),
            ],
            cwd=clients,
            env=environment(azure, proxy),
            capture_output=True,
            text=True,
            timeout=110,
        )

    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert answers["command"] == {"Output": "hello\n", "Error": "", "ExitCode": 0}
    assert answers["scm"]["GitUrl"] == f"https://kudu-api-site.scm.{DOMAIN}/kudu-api-site.git"
    assert (answers["file"], answers["copy"], answers["listed"]) == ("uploaded", "uploaded", ["file.txt"])
    assert (answers["download"], answers["upload"], answers["dump"]) == (200, 200, 200)
    assert "copy" in answers["top"]
    assert "made" not in answers["top"]
    assert answers["setting"] == "yes"
    assert "FROM_NODE" not in answers["settings"]
    assert answers["diagnostics"] is True
    assert "none" in answers["unknown"]["Message"]
    assert answers["logs"] == []
    assert answers["deployments"] == []
    assert answers["sshkey"].startswith("ssh-rsa ")
    assert answers["one"] == "python3117x64"
    assert (answers["installed"], answers["extensions"], answers["removed"]) == (
        "Succeeded",
        ["python3117x64"],
        True,
    )
    with zipfile.ZipFile(tmp_path / "dump.zip") as archive:
        assert archive.testzip() is None


def test_the_library_of_the_github_action_deploys_with_a_publish_profile(
    azure: Platform, clients: Path, tmp_path: Path
) -> None:
    azure.homeport("site", "create", "action-site")
    profile = azure.homeport("publish-profile", "action-site").stdout
    (tmp_path / "profile.xml").write_text(profile)
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as archive:
        archive.writestr("app.py", "x = 1\n")
    (tmp_path / "broken.zip").write_bytes(b"this is no zip")
    files = [str(tmp_path / name) for name in ("profile.xml", "good.zip", "broken.zip")]

    with proxy_to(https_port(azure)) as proxy:
        done = subprocess.run(
            ["node", "github_action.js", *files],
            cwd=clients,
            env=environment(azure, proxy) | {"GITHUB_SHA": "abc", "GITHUB_ACTOR": "ada"},
            capture_output=True,
            text=True,
            timeout=110,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    answers = json.loads(done.stdout.strip().rpartition("\n")[2])
    assert "nodejs" in answers["runtime"]
    assert answers["zip"] != answers["one"]
    assert (answers["details"]["deployer"], answers["details"]["status"]) == ("OneDeploy", 4)
    assert answers["broken"] != "deployed"
    assert "Successfully deployed web package to App Service." in done.stdout
    assert "x = 1" in answers["file"]
