"""FTP with real clients: content in and out, and whoever wants further than the site's own home."""

import ftplib
import io
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from acceptance.running import Platform, descendants, eventually, running_platform
from acceptance.sites import HELLO, web_config

SECONDS = 60


class Ftps(ftplib.FTP_TLS):
    """Implicit TLS, which ftplib lacks: the connection is encrypted before the first word."""

    def connect(self, host: str = "", port: int = 0, *_: object, **__: object) -> str:
        plain = socket.create_connection((host, port), SECONDS)
        self.host, self.af = host, plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome


class Server:
    """A platform that serves FTP, with two sites."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.passwords = {
            name: platform.json("site", "create", name)["publishing"]["password"]
            for name in ("shop", "other")
        }
        self.context = ssl.create_default_context(cafile=str(platform.data / "tls/ca.pem"))

    def port(self, scheme: str) -> int:
        return int(json.loads((self.platform.data / "run.json").read_text())[scheme])

    def home(self, site: str = "shop") -> Path:
        return self.platform.data / "sites" / site / "home"

    @contextmanager
    def connected(self, client: ftplib.FTP | None = None, scheme: str = "ftp") -> Iterator[ftplib.FTP_TLS]:
        client = client or ftplib.FTP_TLS(context=self.context, timeout=SECONDS)
        client.connect("localhost", self.port(scheme), SECONDS)
        try:
            yield client  # type: ignore[misc]
        finally:
            client.close()

    @contextmanager
    def session(self, site: str = "shop", user: str | None = None) -> Iterator[ftplib.FTP_TLS]:
        with self.connected() as client:
            client.login(user or f"{site}\\${site}", self.passwords[site])
            client.prot_p()
            yield client


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_platform(None, "--ftp", "0", "--ftps", "0") as platform:
        yield Server(platform)


def put(client: ftplib.FTP, path: str, content: bytes, *, rest: int | None = None) -> None:
    client.storbinary(f"STOR {path}", io.BytesIO(content), rest=rest)


def get(client: ftplib.FTP, path: str, *, rest: int | None = None) -> bytes:
    found = io.BytesIO()
    client.retrbinary(f"RETR {path}", found.write, rest=rest)
    return found.getvalue()


def refused(action: Callable[[], object], reply: str = "550") -> None:
    with pytest.raises(ftplib.Error, match=f"^{reply}"):
        action()


def test_an_application_that_was_put_up_is_served(server: Server) -> None:
    platform = server.platform
    platform.homeport("extension", "add", "shop", "python3117x64")
    profile = ElementTree.fromstring(platform.homeport("publish-profile", "shop", "--format", "Ftp").stdout)
    entry = profile[0].attrib
    place = urlsplit(entry["publishUrl"])
    assert (place.scheme, place.hostname, entry["userName"]) == ("ftps", "ftp.localhost", "shop\\$shop")

    client = Ftps(context=server.context, timeout=SECONDS)
    client.connect("localhost", place.port or 990)
    client.login(entry["userName"], entry["userPWD"])
    client.prot_p()
    client.cwd(place.path)
    put(client, "app.py", HELLO.encode())
    put(client, "web.config", web_config().encode())
    client.quit()

    eventually(lambda: platform.get("shop").text == "hello")
    status = (server.home() / "site/wwwroot/app.py").stat()
    assert status.st_uid == (
        platform.json("site", "show", "shop")["uid"] if os.geteuid() == 0 else os.geteuid()
    )


def test_files_are_listed_renamed_deleted_and_resumed(server: Server) -> None:
    content = os.urandom(2_000_000)
    with server.session() as client:
        assert {"site", "LogFiles"} <= set(client.nlst("/"))
        client.cwd("/data")
        put(client, "ü b.bin", content)
        assert get(client, "ü b.bin") == content
        assert client.size("ü b.bin") == len(content)

        put(client, "half.bin", content[:700_000])
        put(client, "half.bin", content[700_000:], rest=700_000)
        assert get(client, "half.bin") == content
        assert get(client, "half.bin", rest=1_999_000) == content[1_999_000:]

        client.mkd("folder")
        client.rename("half.bin", "folder/whole.bin")
        assert [name for name, _ in client.mlsd("folder")] == ["whole.bin"]
        lines: list[str] = []
        client.retrlines("LIST folder", lines.append)
        assert re.match(r"-rw-r--r-- .* 2000000 .* whole\.bin$", lines[0])
        client.delete("folder/whole.bin")
        client.rmd("folder")
        assert client.nlst() == ["ü b.bin"]
        client.delete("ü b.bin")
        assert client.quit().startswith("221")


def test_an_upload_over_a_file_takes_its_place_at_the_end(server: Server) -> None:
    place, kept = server.home() / "data/page.html", server.home() / "data/kept.html"
    with server.session() as client:
        put(client, "/data/page.html", b"old content")
        os.link(place, kept)
        client.voidcmd("TYPE I")
        with client.transfercmd("STOR /data/page.html") as data:
            data.sendall(b"new ")
            eventually(lambda: list(place.parent.glob(".homeport-upload-*")))
            assert place.read_bytes() == b"old content"
        client.voidresp()
        assert (place.read_bytes(), kept.read_bytes()) == (b"new ", b"old content")

        kept.unlink()
        os.link(place, kept)
        put(client, "/data/page.html", b"content", rest=4)
        assert (place.read_bytes(), kept.read_bytes()) == (b"new content", b"new ")
        assert not list(place.parent.glob(".homeport-upload-*"))
        client.delete("/data/page.html")
        client.delete("/data/kept.html")


def test_content_that_comes_from_a_package_is_read_only(server: Server) -> None:
    (server.home() / "data/.homeport/under-package").mkdir(parents=True)
    (server.home() / "data/web").symlink_to("../site/wwwroot")
    try:
        with server.session() as client:
            for folder in ("/site/wwwroot", "/data/web"):
                refused(
                    lambda folder=folder: put(client, f"{folder}/hostingstart.html", b"x"), "550 The content"
                )
                refused(lambda folder=folder: client.delete(f"{folder}/hostingstart.html"), "550 The content")
                refused(lambda folder=folder: client.mkd(f"{folder}/made"), "550 The content")
            refused(lambda: client.rename("/site/wwwroot", "/site/moved"), "550 The content")
            assert b"shop" in get(client, "/site/wwwroot/hostingstart.html")
    finally:
        (server.home() / "data/web").unlink()
        (server.home() / "data/.homeport/under-package").rmdir()


def test_a_client_comes_by_ipv6(server: Server) -> None:
    client = ftplib.FTP_TLS(context=server.context, timeout=SECONDS)
    client.connect("::1", server.port("ftp"))
    client.host = "localhost"  # whom the certificate is for
    client.login("$shop", server.passwords["shop"])
    client.prot_p()
    assert "site" in client.nlst()
    client.close()


@pytest.mark.parametrize("user", ["shop\\$shop", "shop/$shop", "$shop", "SHOP\\$SHOP"])
def test_each_form_of_the_users_name_signs_in(server: Server, user: str) -> None:
    with server.session(user=user) as client:
        assert client.pwd() == "/"


def test_a_wrong_password_and_another_sites_are_refused_and_written_down_nowhere(server: Server) -> None:
    attempts = [("shop\\$shop", "a-wrong-password"), ("shop\\$other", server.passwords["other"])]
    with server.connected() as client:
        for user, password in attempts:
            refused(lambda user=user, password=password: client.login(user, password), "530")
        refused(lambda: client.sendcmd("LIST"), "530")
        refused(lambda: client.sendcmd("PASV"), "530")
    with server.session() as client:
        client.mkd("/data/logged")
        client.rmd("/data/logged")
    logs = b"".join(path.read_bytes() for path in (server.platform.data / "logs").iterdir())
    logs += (server.home() / "LogFiles/kudu/ftp.log").read_bytes()
    for password in ("a-wrong-password", *server.passwords.values()):
        assert password.encode() not in logs


def test_three_wrong_passwords_end_the_connection(server: Server) -> None:
    with server.connected() as client:
        for _ in range(3):
            refused(lambda: client.login("nobody\\$nobody", "x"), "530")
        refused(client.getresp, "421")


def test_plain_text_is_for_sites_that_allow_it(server: Server) -> None:
    platform, password = server.platform, server.passwords["other"]
    with server.connected(ftplib.FTP(timeout=SECONDS)) as plain:
        refused(lambda: plain.sendcmd("USER other\\$other"), "534")
        refused(lambda: plain.sendcmd(f"PASS {password}"), "503")
    with server.session("other") as client:
        refused(client.prot_c, "534")
    with server.connected() as client:
        client.login("$other", password)
        refused(client.nlst, "521")

    platform.homeport("site", "set", "other", "--ftps-state", "AllAllowed")
    with server.connected(ftplib.FTP(timeout=SECONDS)) as plain:
        plain.login("other\\$other", password)
        put(plain, "/data/plain.txt", b"in the clear")
        assert get(plain, "/data/plain.txt") == b"in the clear"

    with server.session("other") as client:
        platform.homeport("site", "set", "other", "--ftps-state", "Disabled")
        with pytest.raises((EOFError, ftplib.Error, OSError)):
            client.voidcmd("NOOP")
    with server.connected() as client:
        refused(lambda: client.login("other\\$other", password), "530")
    assert platform.json("site", "show", "other")["ftp_url"] is None
    status = platform.json("status")
    ports = [status[scheme].rpartition(":")[2].partition("/")[0] for scheme in ("ftp", "ftps")]
    assert ports == [str(server.port("ftp")), str(server.port("ftps"))]
    platform.homeport("site", "set", "other", "--ftps-state", "FtpsOnly")
    with server.session("other") as client:
        assert client.pwd() == "/"


def test_what_came_in_plain_text_is_never_taken_as_encrypted(server: Server) -> None:
    with socket.create_connection(("localhost", server.port("ftp")), SECONDS) as raw:
        assert raw.recv(100).startswith(b"220")
        raw.sendall(b"AUTH TLS\r\nUSER shop\\$shop\r\nPASS x\r\n")
        answers = b""
        while data := raw.recv(1000):
            answers += data
    assert answers.startswith(b"234")
    assert b"331" not in answers


def test_no_path_leads_out_of_the_home(server: Server) -> None:
    victim = server.home("other") / "site/wwwroot/secret.txt"
    victim.write_text("of the other site")
    with server.session() as client:
        for path in (
            "/etc/passwd",
            "../../../../etc/passwd",
            "/../../etc/passwd",
            str(victim),
            "/proc/1/environ",
        ):
            refused(lambda path=path: get(client, path))
            refused(lambda path=path: client.size(path))
        assert client.cwd("/..").startswith("250")
        assert client.pwd() == "/"
        refused(lambda: put(client, "../../tmp/x", b"x"))


def test_no_link_leads_out_of_the_home(server: Server) -> None:
    home, data = server.home(), server.home() / "data"
    victim = server.home("other") / "site/wwwroot/secret.txt"
    victim.write_text("of the other site")
    links = {
        "etc": "/etc",
        "root": "/",
        "proc": "/proc/self/root",
        "others": str(victim.parent),
        "sites": str(server.platform.data / "sites"),
        "up": "../../../..",
        "passwd": "/etc/passwd",
    }
    for name, target in links.items():
        (data / name).symlink_to(target)
    (home / "site/real").mkdir()
    (home / "site/real/link").symlink_to("../../data/root")
    try:
        with server.session() as client:
            client.cwd("/data")
            for name in ("etc", "root", "proc", "others", "sites", "up", "/site/real/link"):
                refused(lambda name=name: client.cwd(name))
                refused(lambda name=name: client.mkd(f"{name}/made"))
                refused(lambda name=name: put(client, f"{name}/put.txt", b"x"))
                refused(lambda name=name: client.retrlines(f"LIST {name}"))
            for path in ("etc/passwd", "passwd", "root/etc/passwd", "others/secret.txt", "proc/etc/passwd"):
                refused(lambda path=path: get(client, path))
                refused(lambda path=path: put(client, path, b"overwritten"))
                refused(lambda path=path: client.delete(path))
                refused(lambda path=path: client.sendcmd(f"SITE CHMOD 777 {path}"))
    finally:
        for name in links:
            (data / name).unlink()
        (home / "site/real/link").unlink()
        (home / "site/real").rmdir()
    assert victim.read_text() == "of the other site"
    assert {path.name for path in victim.parent.iterdir()} == {"hostingstart.html", "secret.txt"}


def test_what_is_no_file_holds_up_nobody(server: Server) -> None:
    os.mkfifo(server.home() / "data/pipe", 0o666)
    (server.home() / "data/pipe").chmod(0o666)
    with server.session() as client:
        refused(lambda: put(client, "/data/pipe", b"x"))
        refused(lambda: get(client, "/data/pipe"))
        client.delete("/data/pipe")

        (server.home() / "data/loop").symlink_to("loop")
        refused(lambda: put(client, "/data/loop", b"x"))
        refused(lambda: get(client, "/data/loop"))
        client.delete("/data/loop")


@pytest.mark.parametrize("command", ["XSAY 226 forged", "XDATA 227 forged", "XSESSION 127.0.0.1 $other"])
def test_a_client_cannot_speak_as_the_front(server: Server, command: str) -> None:
    with server.connected() as client:
        refused(lambda: client.sendcmd(command), "530")
    with server.session() as client:
        refused(lambda: client.sendcmd(command), "502")
        for line, reply in (
            (f"NOOP\r{command}", "502"),
            (f"PWD \r{command}", "501"),
            (f"CWD a\0{command}", "501"),
        ):
            client.sock.sendall(f"{line}\r\n".encode())  # type: ignore[union-attr]
            refused(client.getresp, reply)
        refused(lambda: client.sendcmd("PORT 127,0,0,1,0,80"), "502")
        assert client.pwd() == "/"


def test_a_data_connection_is_for_the_client_alone(server: Server) -> None:
    with server.session() as client:
        put(client, "/data/mine.txt", b"mine")
        client.voidcmd("TYPE I")
        host, port = ftplib.parse227(client.sendcmd("PASV"))
        with socket.create_connection((host, port), SECONDS, source_address=("127.0.0.2", 0)) as thief:
            thief.settimeout(SECONDS)
            assert thief.recv(1) == b""
        with socket.create_connection((host, port), SECONDS) as data:
            assert client.sendcmd("RETR /data/mine.txt").startswith("1")
            with server.context.wrap_socket(data, server_hostname="localhost") as private:
                assert private.recv(100) == b"mine"
        client.voidresp()
        client.delete("/data/mine.txt")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give each its own user")
def test_each_process_has_its_own_user_and_no_power(server: Server) -> None:
    platform = server.platform
    with server.session("shop"), server.session("other"):
        front, *sites = _programs(platform, "homeport.ftp.front") + _programs(platform, "homeport.ftp.site")
        users = {platform.json("site", "show", name)["uid"] for name in ("shop", "other")}
        assert _fact(front, "Uid") not in {"0", "60000", *map(str, users)}
        assert {_fact(pid, "Uid") for pid in sites} == {str(uid) for uid in users}
        for pid in (front, *sites):
            assert (int(_fact(pid, "CapBnd"), 16), int(_fact(pid, "CapEff"), 16)) == (0, 0)
            assert _fact(pid, "NoNewPrivs") == "1"
            for folder in ("sites", "control", "tls/hosts", "node"):
                assert not Path(f"/proc/{pid}/root{platform.data}/{folder}").exists()
        for pid in sites:
            assert not Path(f"/proc/{pid}/root{platform.data}").exists()


def _programs(platform: Platform, module: str) -> list[int]:
    """Find the programs themselves, without the sandboxes around them."""
    lines = descendants(platform.process.pid)
    return [pid for pid, line in lines.items() if module in line and "bwrap" not in line]


def _fact(pid: int, name: str) -> str:
    found = re.search(rf"^{name}:\s(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_a_client_that_never_comes_for_its_data_holds_one_port(server: Server) -> None:
    (front,) = _programs(server.platform, "homeport.ftp.front")
    with server.session() as client:
        for _ in range(20):
            client.sendcmd("PASV")
        before = len(os.listdir(f"/proc/{front}/fd"))
        for _ in range(400):  # more than there are ports
            client.sendcmd("PASV")
        assert len(os.listdir(f"/proc/{front}/fd")) <= before + 2
        assert "site" in client.nlst("/")


def test_an_aborted_transfer_leaves_the_session(server: Server) -> None:
    with server.session() as client:
        put(client, "/data/large.bin", bytes(20_000_000))
        client.voidcmd("TYPE I")
        with client.transfercmd("RETR /data/large.bin") as data:
            data.recv(1000)
            refused(lambda: client.sendcmd("ABOR"), "426")
            assert client.getresp().startswith("226")
        assert get(client, "/data/large.bin") == bytes(20_000_000)
        client.delete("/data/large.bin")


def test_who_breaks_off_disturbs_nobody(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(server.session())
            client.voidcmd("TYPE I")
            data = client.transfercmd("STOR /data/broken.bin")
            data.sendall(b"x" * 100_000)
            client.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
            data.close()
    with socket.create_connection(("localhost", server.port("ftps")), SECONDS) as raw:
        raw.sendall(b"not TLS at all\r\n")
        while raw.recv(1000):
            pass
    with server.session() as client:
        client.delete("/data/broken.bin")


def test_a_killed_front_is_started_again_and_clients_wait_for_it(server: Server) -> None:
    os.kill(_programs(server.platform, "homeport.ftp.front")[0], signal.SIGKILL)
    with server.session() as client:
        assert client.pwd() == "/"


def test_lftp_mirrors_a_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "up/static").mkdir(parents=True)
    (tmp_path / "up/static/style.css").write_text("body {}")
    (tmp_path / "up/page.html").write_text("<p>")
    settings = f"set ssl:ca-file {server.platform.data}/tls/ca.pem; set ftp:ssl-force true; set ftp:ssl-protect-data true"
    script = (
        f"{settings}; set net:max-retries 2; open -p {server.port('ftp')} -u 'shop\\$shop,{server.passwords['shop']}' localhost; "
        f"mirror -R {tmp_path}/up /data/mirrored; mirror /data/mirrored {tmp_path}/down; rm -r /data/mirrored"
    )
    done = subprocess.run(["lftp", "-c", script], capture_output=True, text=True, timeout=SECONDS)

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "down/static/style.css").read_text() == "body {}"
    assert (tmp_path / "down/page.html").read_text() == "<p>"


@pytest.mark.parametrize("scheme", ["ftp", "ftps"])
def test_curl_uploads_lists_and_downloads(server: Server, tmp_path: Path, scheme: str) -> None:
    (tmp_path / "page.html").write_text("<p>by curl")
    user = f"shop\\$shop:{server.passwords['shop']}"
    always = ("--silent", "--show-error", "--ssl-reqd", "--cacert", str(server.platform.data / "tls/ca.pem"))
    folder = f"{scheme}://localhost:{server.port(scheme)}/data/curled-{scheme}/"

    def curl(*arguments: str) -> str:
        line = ["curl", *always, "--user", user, *arguments]
        return subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=True).stdout

    curl("--ftp-create-dirs", "--upload-file", str(tmp_path / "page.html"), folder)

    assert curl("--list-only", folder).split() == ["page.html"]
    assert curl(f"{folder}page.html") == "<p>by curl"
    with pytest.raises(subprocess.CalledProcessError):
        curl("--user", "shop\\$shop:wrong", folder)


@pytest.mark.parametrize("private", [False, True])
def test_an_upload_that_breaks_off_is_said_to_have_broken_off_and_can_be_resumed(
    private: bool, server: Server
) -> None:
    content = os.urandom(3_000_000)
    server.platform.homeport("site", "set", "other", "--ftps-state", "AllAllowed")
    with server.session("other") as client:
        if not private:
            client.prot_c()
        client.voidcmd("TYPE I")
        data = client.transfercmd("STOR /data/cut.bin")
        data.sendall(content[:2_000_000])
        reset(data)
        with pytest.raises(ftplib.Error, match=r"^426"):
            client.voidresp()

        kept = client.size("/data/cut.bin") or 0
        put(client, "/data/cut.bin", content[kept:], rest=kept)
        assert get(client, "/data/cut.bin") == content
        client.delete("/data/cut.bin")
    server.platform.homeport("site", "set", "other", "--ftps-state", "FtpsOnly")


def test_an_upload_is_whole_where_the_client_closes_without_a_word_and_has_read_none(server: Server) -> None:
    """As .NET's client does, and every client of TLS 1.3 that only writes."""
    content = os.urandom(3_000_000)
    with server.session() as client:
        client.voidcmd("TYPE I")
        with client.transfercmd("STOR /data/silent.bin") as data:
            data.sendall(content)
        assert client.voidresp().startswith("226")
        assert get(client, "/data/silent.bin") == content
        client.delete("/data/silent.bin")


def test_data_connections_take_up_the_tls_session_of_the_control_connection(server: Server) -> None:
    """Clients warn where they cannot, and some refuse."""
    with server.session() as client:
        port = client.makepasv()[1]
        session = client.sock.session  # type: ignore[union-attr]
        with socket.create_connection(("localhost", port), SECONDS) as raw:
            client.putcmd("NLST /")
            with server.context.wrap_socket(raw, server_hostname="localhost", session=session) as data:
                assert data.session_reused
                while data.recv(65536):
                    pass
        assert client.getresp().startswith(("125", "150"))
        assert client.voidresp().startswith("226")


def reset(connection: socket.socket) -> None:
    """Close as a machine does that has lost its connections."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
