"""An application that attacks: other sites, the platform and the machine stay out of its reach."""

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from acceptance.running import Platform, eventually
from acceptance.sites import HELLO, application, web_config

Make = Callable[..., str]

ATTACKER = """
def attempt(code):
    try:
        return repr(eval(code))
    except BaseException as error:
        return "refused: " + type(error).__name__
return attempt(environ["wsgi.input"].read().decode())
"""

SWAPPER = """
import os, shutil, sys, time
os.mkdir("/home/site/folder")
os.symlink(sys.argv[1], "/home/site/link")
end = time.monotonic() + 60
while not os.path.exists("/home/site/enough") and time.monotonic() < end:
    for name in "folder", "link":
        try:
            os.rename("/home/site/" + name, "/home/site/swapped")
            os.rename("/home/site/swapped", "/home/site/" + name)
        except OSError:  # an upload has just made a folder of that name
            shutil.rmtree("/home/site/swapped", ignore_errors=True)
"""


@pytest.fixture
def attack(platform: Platform, make_site: Make) -> Callable[[str], str]:
    """Give a function that evaluates an expression inside a hostile site."""
    make_site("attacker", {"web.config": web_config(), "app.py": application(ATTACKER)})
    eventually(lambda: platform.get("attacker").text.startswith("refused"))

    def evaluate(expression: str) -> str:
        with platform.client("attacker.localhost") as client:
            answer = client.post("/", content=expression.encode())
        assert answer.status_code == 200
        return answer.text

    return evaluate


@pytest.fixture
def victim(platform: Platform, make_site: Make) -> str:
    listener = """
if not hasattr(sys, "listener"):
    sys.listener = socket.create_server(("127.0.0.1", 0))
return sys.listener.getsockname()[1]
"""
    make_site(
        "victim", {"web.config": web_config(), "app.py": application(listener), "secret.txt": "of the victim"}
    )
    eventually(lambda: platform.get("victim").text.isdigit())
    return "victim"


def test_it_runs_as_its_own_user_without_power(platform: Platform, attack: Callable[[str], str]) -> None:
    uid = platform.json("site", "show", "attacker")["uid"]

    assert attack("os.getuid(), os.geteuid(), os.getgid(), os.getgroups()") == str((uid, uid, uid, []))
    assert attack("os.setuid(0)") == "refused: PermissionError"


def test_the_files_of_another_site_and_of_the_platform_do_not_exist(
    platform: Platform, attack: Callable[[str], str], victim: str
) -> None:
    data = platform.data
    for path in (
        data / f"sites/{victim}/home/site/wwwroot/secret.txt",
        data / "control/homeport.db",
        data / "node/desired.json",
        data / "tls/ca.key",
        "/etc/shadow",
        "/run/homeport",
    ):
        assert attack(f"os.path.exists({str(path)!r})") == "False", path
    assert attack("sorted(os.listdir('/home'))").count("attacker") == 0


def test_the_loopback_of_another_site_is_out_of_reach(
    platform: Platform, attack: Callable[[str], str], victim: str
) -> None:
    port = int(platform.get(victim).text)

    assert attack(f"socket.create_connection(('127.0.0.1', {port}), 2)").startswith("refused")
    assert attack(f"socket.create_connection(('10.0.2.2', {port}), 2)").startswith("refused")


def test_the_platform_is_out_of_reach_by_loopback(platform: Platform, attack: Callable[[str], str]) -> None:
    assert attack(f"socket.create_connection(('127.0.0.1', {platform.port}), 2)").startswith("refused")
    assert attack(f"socket.create_connection(('10.0.2.2', {platform.port}), 2)").startswith("refused")


def test_only_its_own_processes_can_be_seen_or_signalled(
    platform: Platform, attack: Callable[[str], str], victim: str
) -> None:
    target = next(
        p["pid"] for p in platform.json("site", "show", victim)["processes"] if p["kind"] == "worker"
    )

    assert len(eval(attack("[p for p in os.listdir('/proc') if p.isdigit()]"))) < 6
    assert attack(f"os.kill({target}, 9)") == "refused: ProcessLookupError"
    assert platform.get(victim).status_code == 200


@pytest.mark.parametrize(
    "expression",
    [
        "open('/usr/bin/evil', 'w')",
        "open('/opt/homeport/lib/homeport/worker/main.py', 'a')",
        "open('/etc/passwd', 'a')",
        "open('/proc/sys/kernel/hostname', 'w')",
        "open('/dev/sda')",
        "os.mknod('/home/sda', 0o60644, os.makedev(8, 0))",
        "__import__('ctypes').CDLL(None, use_errno=True).unshare(0x10000000) == 0 or 1/0",
        "__import__('ctypes').CDLL(None, use_errno=True).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0 or 1/0",
    ],
)
def test_what_would_reach_the_machine_is_refused(attack: Callable[[str], str], expression: str) -> None:
    assert attack(expression).startswith("refused")


def test_links_in_its_content_lead_visitors_nowhere(platform: Platform, attack: Callable[[str], str]) -> None:
    static = '<configuration><system.webServer><handlers><remove name="PythonHandler"/></handlers></system.webServer></configuration>'
    platform.write("attacker", {"static/web.config": static, "static/real.txt": "real"})
    eventually(lambda: platform.get("attacker", "/static/real.txt").text == "real")

    attack("os.symlink('/etc/passwd', '/home/site/wwwroot/static/link.txt')")
    attack("os.symlink('/', '/home/site/wwwroot/static/root')")

    assert platform.get("attacker", "/static/link.txt").status_code in (403, 404)
    assert platform.get("attacker", "/static/root/etc/passwd").status_code in (403, 404)


def test_a_web_config_that_is_a_link_is_not_read(platform: Platform, attack: Callable[[str], str]) -> None:
    attack("os.mkdir('/home/site/wwwroot/linked')")
    attack("os.symlink('/proc/self/environ', '/home/site/wwwroot/linked/web.config')")

    assert platform.get("attacker").status_code == 200
    assert "environ" not in str(platform.json("site", "show", "attacker")["findings"])


def test_secrets_stand_in_no_process_list_and_no_log(platform: Platform, make_site: Make) -> None:
    make_site("discreet", {"web.config": web_config(), "app.py": HELLO})
    platform.homeport("settings", "set", "discreet", "DATABASE_PASSWORD=correct-horse-battery")
    eventually(lambda: platform.get("discreet").text == "hello")
    with platform.scm("discreet") as scm:
        scm.get("/api/environment").raise_for_status()
    password = platform.json("site", "show", "discreet")["publishing"]["password"]

    lines = "\n".join(line for line in _all_command_lines())
    logs = "".join(path.read_text(errors="replace") for path in (platform.data / "logs").glob("*.log"))

    for secret in ("correct-horse-battery", password):
        assert secret not in lines
        assert secret not in logs


def _all_command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines


def test_a_link_in_the_place_of_its_temporary_folder_leads_nowhere(
    platform: Platform, attack: Callable[[str], str], victim: str
) -> None:
    """Bubblewrap follows links in what it binds, so the folder above must not be the site's."""
    home = platform.data / f"sites/{victim}/home"

    assert attack("os.rename('/local/Temp', '/local/Elsewhere')").startswith("refused")
    assert attack(f"os.symlink({str(home)!r}, '/local/Other')").startswith("refused")


def test_links_above_its_content_lead_neither_nginx_nor_the_agent_to_another_site(
    platform: Platform, attack: Callable[[str], str], victim: str
) -> None:
    home = platform.data / f"sites/{victim}/home"
    static = '<configuration><system.webServer><handlers><remove name="PythonHandler"/></handlers></system.webServer></configuration>'
    platform.write("attacker", {"static/web.config": static, "static/own.txt": "own"})
    platform.write(victim, {"static/web.config": static, "static/secret.txt": "of the victim"})
    eventually(lambda: platform.get("attacker", "/static/own.txt").text == "own")

    attack("os.rename('/home/site', '/home/aside')")
    attack(f"os.symlink({str(home / 'site')!r}, '/home/site')")

    answer = platform.get("attacker", "/static/secret.txt")
    assert answer.status_code in (403, 404)
    assert "victim" not in answer.text
    attack("os.unlink('/home/site')")
    attack("os.rename('/home/aside', '/home/site')")


def test_uploads_that_race_with_a_folder_becoming_a_link_reach_no_other_site(
    platform: Platform, attack: Callable[[str], str], victim: str
) -> None:
    def names(folder: Path) -> set[str]:
        return {path.name for path in folder.iterdir()} - {"__pycache__"}

    content = platform.data / f"sites/{victim}/home/site/wwwroot"
    before = names(content)
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("planted.txt", "planted")

    attack(f"subprocess.Popen([sys.executable, '-c', {SWAPPER!r}, {str(content)!r}])")
    answers = []
    with platform.scm("attacker") as scm:
        for _ in range(40):
            answers += [
                scm.put("/api/vfs/site/swapped/secret.txt", content=b"planted", headers={"If-Match": "*"}),
                scm.get("/api/vfs/site/swapped/secret.txt"),
                scm.put("/api/zip/site/swapped/", content=package.getvalue()),
                scm.delete("/api/vfs/site/swapped/?recursive=true"),
            ]
            with suppress(httpx.RemoteProtocolError):  # a package whose folder goes meanwhile is cut off
                answers.append(scm.get("/api/zip/site/swapped/"))
        scm.put("/api/vfs/site/enough", content=b"").raise_for_status()

    assert names(content) == before
    assert (content / "secret.txt").read_text() == "of the victim"
    assert not any(b"of the victim" in answer.content for answer in answers)
    written = [answer for answer in answers if answer.request.method == "PUT" and answer.is_success]
    assert written, "no upload ever met the folder"
