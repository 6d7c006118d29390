"""Applying configuration to the running nginx: check one site alone, write, reload once a burst, see it live.

A site whose text nginx refuses keeps its last good file, so it can only hurt itself. The master is a child of the
supervisor; the agent knows it by the pid file and signals it.
"""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from homeport.model.errors import Invalid, Unavailable
from homeport.node.layout import NodeLayout
from homeport.node.processes import children

_log = structlog.get_logger(__name__)
_LIVE_SECONDS = 10.0
_POLL_SECONDS = 0.005


class NginxService:
    """The agent's handle on nginx. `main` renders the main configuration for a folder of site files."""

    def __init__(self, layout: NodeLayout, *, main: Callable[[Path], str]) -> None:
        self._layout = layout
        self._main = main
        self._sites = layout.nginx / "sites"
        self._sites.mkdir(parents=True, exist_ok=True)
        self.main_file = layout.nginx / "nginx.conf"
        self.certificates_file = layout.nginx / "certificates.conf"

    def write_main(self) -> None:
        """Write the main file; the supervisor starts nginx with it."""
        self.certificates_file.touch()
        _write(self.main_file, self._main(self._sites))

    async def apply(self, texts: Mapping[str, str | None], *, certificates: str) -> dict[str, str]:
        """Put the sites' texts in force (None removes one) and return nginx's words for those it refused.

        `certificates` is what `render_certificates` wrote for all sites.
        Returns once every new connection meets the new configuration. Raises `Unavailable` when nginx does not
        take it over in time.
        """
        files = {name: self._sites / f"{name}.conf" for name in texts}
        different = {
            name: text
            for name, text in texts.items()
            if text != (files[name].read_text() if files[name].exists() else None)
        }
        problems = await self._refused({name: text for name, text in different.items() if text is not None})
        accepted = {name: text for name, text in different.items() if name not in problems}
        for name, text in accepted.items():
            if text is None:
                files[name].unlink()
            else:
                _write(files[name], text)
        changed = bool(accepted)
        if certificates != self.certificates_file.read_text():
            _write(self.certificates_file, certificates)
            changed = True
        if changed:
            await self.reload()
        return problems

    async def reload(self) -> None:
        """Make nginx read its files again and wait until its old workers take no more connections."""
        master = self._master()
        if master is None:
            return  # The supervisor is starting it: it reads the files as they are now.
        old = set(children(master))
        try:
            os.kill(master, signal.SIGHUP)
        except ProcessLookupError:
            return  # It has just ended, and the supervisor starts another one.
        try:
            await asyncio.wait_for(_replaced(master, old), _LIVE_SECONDS)
        except TimeoutError as error:
            raise Unavailable(
                f"nginx did not take the new configuration over within {_LIVE_SECONDS:g} s; "
                f"see {self._layout.logs / 'nginx.log'}."
            ) from error

    def reopen_logs(self) -> None:
        """Make nginx open its log files anew, by their names."""
        master = self._master()
        if master is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(master, signal.SIGUSR1)

    def processes(self) -> list[int]:
        """Return the pids of the processes that serve; none while nginx does not run."""
        master = self._master()
        return [] if master is None else children(master)

    def _master(self) -> int | None:
        try:
            return int(self._layout.nginx_pid.read_text())
        except (OSError, ValueError):
            return None

    async def _refused(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return nginx's words for the texts that it refuses: all are tried at once, and halved until it is known."""
        try:
            if texts:
                await self._check(texts)
        except Invalid as error:
            if len(texts) == 1:
                return dict.fromkeys(texts, error.message)
            names = list(texts)
            halves = names[: len(names) // 2], names[len(names) // 2 :]
            found = [await self._refused({name: texts[name] for name in half}) for half in halves]
            return found[0] | found[1]
        return {}

    async def _check(self, texts: Mapping[str, str]) -> None:
        with tempfile.TemporaryDirectory(dir=self._layout.nginx, prefix="check-") as folder:
            sites = Path(folder) / "sites"
            sites.mkdir()
            for name, text in texts.items():
                (sites / f"{name}.conf").write_text(text)
            main = Path(folder) / "nginx.conf"
            main.write_text(self._main(sites))
            process = await asyncio.create_subprocess_exec(
                *("nginx", "-t", "-q", "-p", folder, "-c", str(main)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            _, errors = await process.communicate()
        if process.returncode:
            raise Invalid(
                f"nginx refused the configuration of '{', '.join(texts)}': {errors.decode(errors='replace').strip()}"
            )


async def _replaced(master: int, old: set[int]) -> None:
    """Wait until new workers run and each old one is gone or says that it is shutting down (it accepts no more).

    A master that ends meanwhile is followed by one that reads the files as they are now.
    """
    process = Path(f"/proc/{master}")
    while process.exists() and not (set(children(master)) - old and all(map(_leaving, old))):  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)  # nginx tells nobody; its process titles are all there is


def _leaving(pid: int) -> bool:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return title == b"" or b"is shutting down" in title


def _write(path: Path, text: str) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.replace(path)
