"""Files through the SCM site's `/api/vfs`, beside an nginx that stores and serves them itself on the same disk."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import cpu_nanoseconds, used_nanoseconds
from bench.measures.files import PlainNginx
from bench.measures.meter import Measurable
from bench.processes import StartError, clean_environment
from bench.samples import Direction, TransferSample
from bench.stacks.homeport import Platform
from bench.stacks.scm import ScmSite, scm_process

MEGABYTE = 1_000_000
PAIRS = 3
"""A round's pairs: a gigabyte takes less than a second, and what the memory does meanwhile differs by a third."""
NAME = "transfer.bin"
_DAV = """\
        dav_methods PUT;
        client_max_body_size 0;
        client_body_buffer_size 256k;
        client_body_temp_path {folder}/arriving;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two: what curl is told to reach it, and where it stores the file."""

    stack: Measurable
    words: Sequence[str]
    stored: Path


def measure_transfers(
    platform: Platform, scm: ScmSite, *, site: str, rounds: int, megabytes: int
) -> Iterator[TransferSample]:
    """Yield, for each pair and direction, the SCM site and plain nginx, one right after the other. Raises `StartError`."""
    folder = platform.data.with_suffix(".transfers")
    (folder / "content").mkdir(parents=True, exist_ok=True)
    source = folder / "source.bin"
    plain = PlainNginx(
        folder=folder,
        content=folder / "content",
        core=platform.workshop.cores.server,
        more=_DAV.format(folder=folder),
    )
    address = f"http://{scm.host}:{scm.port}/api/vfs/site/{NAME}"
    own = _Side(
        stack=platform,
        words=[
            *("-H", f"Authorization: {scm.authorization}"),
            *("--connect-to", f"::127.0.0.1:{scm.port}", address),
        ],
        stored=platform.content(site).parent / NAME,
    )
    peer = _Side(
        stack=plain, words=[f"http://127.0.0.1:{plain.port}/{NAME}"], stored=folder / "content" / NAME
    )
    try:
        _write(source, size=megabytes * MEGABYTE)
        process = scm_process(platform)
        resident = _status(process, "VmRSS")
        with plain:
            for number in range(-1, rounds * PAIRS):  # the first pair only warms caches
                platform.workshop.say(f"files through the SCM site: pair {number + 1} of {rounds * PAIRS}")
                for direction in Direction:
                    _forget_peak(process)
                    sides = (own, peer) if number % 2 else (peer, own)
                    taken = {
                        side.stored: _transfer(side, direction, source, core=platform.workshop.cores.client)
                        for side in sides
                    }
                    if number < 0:
                        continue
                    yield TransferSample(
                        direction=direction,
                        round=number,
                        size_bytes=source.stat().st_size,
                        seconds=taken[own.stored][0],
                        peer_seconds=taken[peer.stored][0],
                        cpu_seconds=taken[own.stored][1],
                        peer_cpu_seconds=taken[peer.stored][1],
                        growth_bytes=_status(process, "VmHWM") - resident,
                    )
    finally:
        for path in (source, own.stored, peer.stored):
            path.unlink(missing_ok=True)


def _write(path: Path, *, size: int) -> None:
    piece = os.urandom(MEGABYTE)
    with path.open("wb") as file:
        for _ in range(size // MEGABYTE):
            file.write(piece)
    subprocess.run(["sync", str(path)], check=True)


def _transfer(side: _Side, direction: Direction, source: Path, *, core: int) -> tuple[float, float]:
    """Run curl and give its seconds and the stack's CPU seconds. Raises `StartError` unless the answer is a good one."""
    words = [*("taskset", "-c", str(core), "curl", "-q", "--silent", "--show-error", "-o", "/dev/null")]
    words += ["-w", "%{http_code} %{time_total}"]
    if direction is Direction.UPLOAD:
        words += ["-T", str(source)]
        side.stored.unlink(missing_ok=True)
        os.sync()  # neither pays for what the other has left to the disk
    before = _clocks(side.stack)
    done = subprocess.run(
        [*words, *side.words], env=clean_environment(), capture_output=True, text=True, check=False
    )
    after = _clocks(side.stack)
    found = re.fullmatch(r"(20[014]) ([\d.]+)", done.stdout)
    if found is None:
        raise StartError(f"curl says {done.stdout} {done.stderr.strip()} of {side.words[-1]}")
    if side.stored.stat().st_size != source.stat().st_size:
        raise StartError(f"{side.stored} is not as long as what was uploaded")
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
