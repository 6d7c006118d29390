"""kill -9 of each part: the platform comes back by itself or at the next `up`, with no orphan and nothing lost."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from acceptance.running import Platform, descendants, eventually, running_platform
from acceptance.sites import HELLO, web_config


@pytest.fixture(scope="module")
def killable() -> Iterator[Platform]:
    with running_platform() as platform:
        platform.homeport("site", "create", "survivor")
        platform.homeport("extension", "add", "survivor", "python3117x64")
        platform.write("survivor", {"web.config": web_config(), "app.py": HELLO})
        eventually(lambda: platform.get("survivor").text == "hello")
        yield platform


def serves(platform: Platform) -> bool:
    try:
        return platform.get("survivor").text == "hello"
    except httpx.HTTPError:
        return False


def test_a_killed_worker_is_replaced(killable: Platform) -> None:
    (worker,) = killable.workers()

    os.kill(worker, signal.SIGKILL)

    eventually(lambda: serves(killable))
    assert worker not in killable.workers()


def test_a_killed_scm_app_is_started_again(killable: Platform) -> None:
    with killable.scm("survivor") as scm:
        scm.get("/api/environment").raise_for_status()
        app = killable.pids("homeport.scm")[-1]

        os.kill(app, signal.SIGKILL)

        eventually(lambda: scm.get("/api/environment").status_code == 200)


def test_the_control_plane_can_be_killed_without_a_failed_request(killable: Platform) -> None:
    statuses: set[int] = set()
    stop = threading.Event()

    def visit() -> None:
        with killable.client("survivor.localhost") as client:
            while not stop.is_set():
                statuses.add(client.get("/").status_code)

    visitor = threading.Thread(target=visit)
    visitor.start()
    control = killable.pid("homeport.control")
    os.kill(control, signal.SIGKILL)
    eventually(lambda: killable.pids("homeport.control") not in ([], [control]))
    eventually(lambda: killable.homeport("site", "list", check=False).returncode == 0)
    stop.set()
    visitor.join()

    assert statuses == {200}
    assert [site["name"] for site in killable.json("site", "list")] == ["survivor"]


def test_a_killed_agent_comes_back_and_serves_from_what_it_remembers(killable: Platform) -> None:
    agent = killable.pid("homeport.node")

    os.kill(agent, signal.SIGKILL)

    eventually(lambda: killable.pids("homeport.node") not in ([], [agent]))
    eventually(lambda: serves(killable))
    assert len(killable.workers()) == 1


def test_a_killed_nginx_comes_back_and_leaves_no_worker_behind(killable: Platform) -> None:
    master = killable.pid("nginx: master")
    workers = killable.pids("nginx: worker")

    os.kill(master, signal.SIGKILL)

    eventually(lambda: serves(killable))
    assert not set(workers) & set(killable.pids("nginx: worker"))


def test_configuration_changes_take_effect_after_nginx_was_killed(killable: Platform) -> None:
    os.kill(killable.pid("nginx: master"), signal.SIGKILL)
    eventually(lambda: serves(killable))

    killable.homeport("site", "create", "afterwards")

    assert killable.get("afterwards").status_code == 200
    killable.homeport("site", "delete", "afterwards", "--yes")


def test_a_killed_platform_leaves_no_process_and_starts_again_whole(tmp_path: Path) -> None:
    data = tmp_path / "data"
    tmp_path.chmod(0o711)
    with running_platform(data) as first:
        first.homeport("site", "create", "survivor")
        first.homeport("extension", "add", "survivor", "python3117x64")
        first.write("survivor", {"web.config": web_config(), "app.py": HELLO})
        eventually(lambda: serves(first))
        password = first.json("site", "show", "survivor")["publishing"]["password"]
        family = descendants(first.process.pid)

        first.process.kill()

        eventually(lambda: not [pid for pid in family if _runs(pid)])
    assert not _mounted(data)

    with running_platform(data) as second:
        eventually(lambda: serves(second))
        assert second.json("site", "show", "survivor")["publishing"]["password"] == password


def test_sigterm_stops_everything_within_ten_seconds_and_leaves_nothing(tmp_path: Path) -> None:
    with running_platform() as platform:
        platform.homeport("site", "create", "brief")
        platform.homeport("extension", "add", "brief", "python3117x64")
        platform.write("brief", {"web.config": web_config(), "app.py": HELLO})
        eventually(lambda: platform.get("brief").text == "hello")
        family = descendants(platform.process.pid)

        platform.process.send_signal(signal.SIGTERM)
        code = platform.process.wait(timeout=10)

        assert code == 0
        assert not [pid for pid in family if _runs(pid)]
        assert not (platform.data / "run.json").exists()


def test_a_second_platform_on_the_same_data_is_refused(killable: Platform) -> None:
    done = subprocess.run(
        ["homeport", "up", "--data", str(killable.data), "--http", "0", "--https", "0"],
        env={**os.environ, "PATH": f"{Path(os.sys.executable).parent}:{os.environ['PATH']}"},  # type: ignore[attr-defined]
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "already runs" in done.stderr


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def _mounted(data: Path) -> bool:
    return str(data) in Path("/proc/mounts").read_text()


def test_with_nohup_it_outlives_its_terminal_and_its_processes_can_still_be_hung_up() -> None:
    with running_platform(before=("nohup",)) as platform:
        os.kill(platform.process.pid, signal.SIGHUP)
        platform.homeport("site", "create", "lasting")

        assert platform.get("lasting").status_code == 200
        assert ignored(platform.process.pid) & HANG_UP == 0
        assert not [line for pid, line in descendants(platform.process.pid).items() if ignored(pid) & HANG_UP]


HANG_UP = 1 << (signal.SIGHUP - 1)


def ignored(pid: int) -> int:
    """Return the signals that a process ignores, a bit each."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("SigIgn:")).split()[1], 16)
