"""Files through the SCM site's `/api/vfs`, beside an nginx that stores and serves them itself on the same disk."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.machine import cpu_nanoseconds, used_nanoseconds
from bench.measures.files import PlainNginx
from bench.measures.meter import Measurable
from bench.processes import StartError, clean_environment
from bench.samples import Direction, TransferSample
from bench.stacks.homeport import Platform
from bench.stacks.scm import ScmSite, scm_process

MEGABYTE = 1_000_000
NAME = "transfer.bin"
_DAV = """\
        dav_methods PUT;
        client_max_body_size 0;
        client_body_buffer_size 2m;
        client_body_temp_path {folder}/arriving;
"""


def measure_transfers(
    platform: Platform, scm: ScmSite, *, site: str, rounds: int, megabytes: int
) -> Iterator[TransferSample]:
    """Yield, for each round and direction, the SCM site and plain nginx, one right after the other. Raises `StartError`."""
    folder = platform.data.with_suffix(".transfers")
    (folder / "content").mkdir(parents=True, exist_ok=True)
    source = folder / "source.bin"
    _write(source, size=megabytes * MEGABYTE)
    stored = {True: platform.content(site).parent / NAME, False: folder / "content" / NAME}
    plain = PlainNginx(
        folder=folder,
        content=folder / "content",
        core=platform.workshop.cores.server,
        more=_DAV.format(folder=folder),
    )
    try:
        with plain:
            own_url = f"http://{scm.host}:{scm.port}/api/vfs/site/{NAME}"
            plain_url = f"http://127.0.0.1:{plain.port}/{NAME}"
            core = platform.workshop.cores.client
            signed_in = [
                "-H",
                f"Authorization: {scm.authorization}",
                "--connect-to",
                f"::127.0.0.1:{scm.port}",
            ]
            for number in range(-1, rounds):  # the first round only warms caches
                platform.workshop.say(f"files through the SCM site: round {number + 1} of {rounds}")
                for direction in Direction:
                    words = ["-T", str(source)] if direction is Direction.UPLOAD else []
                    process = scm_process(platform)
                    if direction is Direction.UPLOAD:
                        for path in stored.values():
                            path.unlink(missing_ok=True)
                    _forget_peak(process)
                    resident = _status(process, "VmRSS")
                    own, own_cpu = _transfer(platform, [*signed_in, *words, own_url], core=core)
                    growth = _status(process, "VmHWM") - resident
                    peer, peer_cpu = _transfer(plain, [*words, plain_url], core=core)
                    for path in stored.values():
                        if path.stat().st_size != source.stat().st_size:
                            raise StartError(f"{path} has {path.stat().st_size} bytes after an upload")
                    if number >= 0:
                        yield TransferSample(
                            direction=direction,
                            round=number,
                            size_bytes=source.stat().st_size,
                            seconds=own,
                            peer_seconds=peer,
                            cpu_seconds=own_cpu,
                            peer_cpu_seconds=peer_cpu,
                            growth_bytes=growth,
                        )
    finally:
        for path in (source, *stored.values()):
            path.unlink(missing_ok=True)


def _write(path: Path, *, size: int) -> None:
    piece = os.urandom(MEGABYTE)
    with path.open("wb") as file:
        for _ in range(size // MEGABYTE):
            file.write(piece)
    subprocess.run(["sync", str(path)], check=True)


def _transfer(stack: Measurable, words: Sequence[str], *, core: int) -> tuple[float, float]:
    """Run curl and give its seconds and the stack's CPU seconds. Raises `StartError` unless the answer is a good one."""
    line = ["taskset", "-c", str(core), "curl", "-q", "--silent", "--show-error", "-o", "/dev/null"]
    before = _clocks(stack)
    done = subprocess.run(
        [*line, "-w", "%{http_code} %{time_total}", *words],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    after = _clocks(stack)
    found = re.fullmatch(r"(20[014]) ([\d.]+)", done.stdout)
    if found is None:
        raise StartError(f"curl says {done.stdout} {done.stderr.strip()} of {words[-1]}")
    return float(found[2]), used_nanoseconds(before, after) / 1e9


def _clocks(stack: Measurable) -> dict[int, int]:
    members = stack.members()
    return dict(cpu_nanoseconds([*members.front, *members.site, *members.platform]))


def _forget_peak(pid: int) -> None:
    """Have the kernel take the process's memory of now as its peak."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise StartError(f"the kernel does not tell {name} of process {pid}")
