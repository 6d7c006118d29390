"""The connection to the FTP process of a site, for one session."""

import asyncio
import socket
from pathlib import Path

from homeport.ftp.commands import DATA, SAY, SESSION
from homeport.model.errors import Unavailable

_CHUNK = 65536


class SiteChannel:
    """Passes commands on, hands data connections over, and gives the replies."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    async def begin(self, client: str, user: str) -> None:
        """Say who is there; the reply is that of PASS."""
        await self.send(f"{SESSION} {client} {user}")

    async def send(self, line: str | bytes) -> None:
        """Send one command. Raises `OSError`."""
        data = line.encode() if isinstance(line, str) else line
        await asyncio.get_running_loop().sock_sendall(self._socket, data + b"\r\n")

    async def say(self, reply: str) -> None:
        """Have a reply given after all replies to the commands before."""
        await self.send(f"{SAY} {reply}")

    async def hand_over(self, data: socket.socket, reply: str) -> None:
        """Give the site's process its end of a data connection, then have the reply given; closes our copy."""
        line = f"{DATA} {reply}\r\n".encode()
        with data:
            while True:
                try:
                    sent = socket.send_fds(self._socket, [line], [data.fileno()])
                    break
                except BlockingIOError:
                    await _writable(self._socket)
        await asyncio.get_running_loop().sock_sendall(self._socket, line[sent:])

    async def replies(self) -> bytes:
        """Return what the site's process has replied, nothing at the end. Raises `OSError`."""
        return await asyncio.get_running_loop().sock_recv(self._socket, _CHUNK)

    def close(self) -> None:
        """End the session."""
        self._socket.close()


async def connect(sites: Path, site: str) -> SiteChannel:
    """Connect to a site's FTP process, which is started by that. Raises `Unavailable`."""
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(connected, str(sites / f"{site}.sock"))
    except OSError as error:
        connected.close()
        raise Unavailable(f"The FTP process of '{site}' cannot be reached.") from error
    return SiteChannel(connected)


async def _writable(connection: socket.socket) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(connection)
