"""The launch line of a sandbox, as values, and what it closes, for real."""

import asyncio
import os
from pathlib import Path

import pytest

from homeport.node.processes import Process
from homeport.node.sandbox import Mount, Sandbox, bubblewrap_options, environment_block, launch_line
from homeport.node.sandboxed import start_sandboxed
from homeport.node.seccomp import compile_filter


def sandbox(folder: Path, *, uid: int | None = 60001, **options: object) -> Sandbox:
    return Sandbox(
        hostname="hello",
        uid=uid,
        home=folder / "home",
        local=folder / "local",
        etc=folder / "etc",
        directory="/home",
        **options,  # type: ignore[arg-type]  # the fields under test, by name
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("home", "local/Temp", "etc"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("home", "local", "local/Temp"):
        os.chown(tmp_path / name, 60001, 60001)
    (tmp_path / "etc/passwd").write_text("hello:x:60001:60001::/home:/bin/sh\n")
    for name in ("group", "hosts", "resolv.conf"):
        (tmp_path / "etc" / name).write_text("")
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o711)
    return tmp_path


def run(box: Sandbox, script: str, **environment: str) -> tuple[int, str]:
    """Run a shell script in the sandbox and return its exit code and output."""

    async def main() -> tuple[int, str]:
        read_end, write_end = os.pipe()
        process: Process = start_sandboxed(
            box,
            ("/bin/sh", "-c", script),
            environment={"PATH": "/usr/bin:/bin", **environment},
            seccomp=compile_filter(),
            stdin=os.open(os.devnull, os.O_RDONLY),
            output=write_end,
        )
        os.close(write_end)
        output = await asyncio.to_thread(_read_all, read_end)
        return await process.wait(), output.decode()

    return asyncio.run(main())


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_no_secret_and_no_host_path_stands_in_the_launch_line(tmp_path: Path) -> None:
    line = launch_line(sandbox(tmp_path), ("python",), options_fd=5, environment_fd=6)

    assert not any(str(tmp_path) in argument for argument in line)


def test_a_process_joins_its_cgroup_before_anything_else(tmp_path: Path) -> None:
    line = launch_line(
        sandbox(tmp_path, cgroup_procs=(Path("/sys/a"), Path("/sys/b"))),
        ("x",),
        options_fd=5,
        environment_fd=6,
    )

    assert line[:2] == ("/bin/sh", "-c")
    assert line[4:7] == ("2", "/sys/a", "/sys/b")


def test_without_root_a_user_namespace_takes_the_place_of_setpriv(tmp_path: Path) -> None:
    line = launch_line(sandbox(tmp_path, uid=None), ("x",), options_fd=5, environment_fd=6)

    assert "setpriv" not in line
    assert b"--unshare-user\0" in bubblewrap_options(sandbox(tmp_path, uid=None), seccomp_fd=3)


def test_names_and_values_that_would_break_the_environment_are_left_out() -> None:
    assert environment_block({"A": "1", "B=C": "2", "D": "x\0y", "E:F": "3"}) == b"A=1\0E:F=3\0"


def test_the_program_runs_as_the_site_user_without_capabilities(folder: Path) -> None:
    code, output = run(
        sandbox(folder), "id -u; grep -E 'Cap(Prm|Eff|Bnd|Inh)|NoNew|Seccomp:' /proc/self/status"
    )

    assert code == 0
    assert output.split() == [
        *(
            "60001",
            "CapInh:",
            "0000000000000000",
            "CapPrm:",
            "0000000000000000",
            "CapEff:",
            "0000000000000000",
        ),
        *("CapBnd:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"),
    ]


def test_the_program_gets_its_environment_and_nothing_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM_SECRET", "x")

    _, output = run(sandbox(folder), "env", SETTING="with spaces = and 'quotes'")

    assert "SETTING=with spaces = and 'quotes'\n" in output
    assert "PLATFORM_SECRET" not in output


def test_a_preloaded_library_of_the_site_is_not_obeyed_before_the_program(folder: Path) -> None:
    _, output = run(sandbox(folder), "true", LD_PRELOAD="/home/evil.so")

    assert output.count("evil.so") == 1  # the loader of /bin/sh complains once; setpriv and perl never saw it


def test_shared_memory_is_there_and_private(folder: Path) -> None:
    script = "echo mine >/dev/shm/made && cat /dev/shm/made && stat -c %a /dev/shm"

    assert run(sandbox(folder), script) == (0, "mine\n1777\n")
    assert not Path("/dev/shm/made").exists()  # the machine's own


def test_the_site_sees_only_its_own_processes(folder: Path) -> None:
    _, output = run(sandbox(folder), "ls -d /proc/[0-9]* | wc -l")

    assert int(output) < 8


@pytest.mark.parametrize(
    "attempt",
    [
        "unshare --user true",
        "unshare --net true",
        "mount -t tmpfs none /tmp",
        "touch /usr/x",
        "touch /etc/x",
        "cat /etc/shadow",
        "ls /var/lib",
        "kill -9 1",
        "mknod /home/sda b 8 0",
    ],
)
def test_what_a_site_may_not_do_fails(folder: Path, attempt: str) -> None:
    code, _ = run(sandbox(folder), attempt)

    assert code != 0


def test_a_mount_below_a_private_folder_can_be_reached(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    (private / "python").mkdir()
    (private / "python/file").write_text("here")
    box = sandbox(folder, mounts=(Mount(source=private / "python", target="/very/deep/python"),))

    code, output = run(box, "cat /very/deep/python/file; touch /very/deep/python/x")

    assert output.startswith("here")
    assert code != 0


def test_killing_the_outermost_process_ends_everything_inside(folder: Path) -> None:
    async def main() -> None:
        process = start_sandboxed(
            sandbox(folder),
            ("/bin/sh", "-c", "touch /home/started; sleep 1000 & sleep 1000"),
            environment={"PATH": "/usr/bin:/bin"},
            seccomp=compile_filter(),
            stdin=os.open(os.devnull, os.O_RDONLY),
            output=os.open(os.devnull, os.O_WRONLY),
        )
        async with asyncio.timeout(10):
            while not (folder / "home/started").exists():
                await asyncio.sleep(0.01)
            process.kill()
            await process.wait()
            while _sleepers():
                await asyncio.sleep(0.01)

    def _sleepers() -> list[Path]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if path.stat().st_uid == 60001 and b"sleep\x001000" in (path / "cmdline").read_bytes():
                    found.append(path)
            except OSError:
                continue
        return found

    asyncio.run(main())
