"""Taking connections, no more of them than the machine and each client should have."""

import asyncio
import contextlib
import socket
from collections import Counter

import structlog

from homeport.ftp.front.certificate import Certificate
from homeport.ftp.front.control_connection import ControlConnection
from homeport.ftp.front.options import FrontOptions
from homeport.ftp.front.session import Session
from homeport.ftp.front.sign_in import SignIn

_log = structlog.get_logger(__name__)
_MOST_SESSIONS = 512
_MOST_OF_ONE_ADDRESS = 32
_FULL = b"421 Too many connections; try again shortly.\r\n"
_PAUSE_SECONDS = 1.0


async def serve(options: FrontOptions, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; sessions end with it."""
    sign_in, certificate = SignIn(options.auth_socket), Certificate(options.certificate)
    door = _Door(options, certificate, sign_in)
    listeners = [(descriptor, False) for descriptor in options.explicit]
    listeners += [(descriptor, True) for descriptor in options.implicit]
    accepting = [asyncio.create_task(door.accept(descriptor, implicit)) for descriptor, implicit in listeners]
    await stop.wait()
    for task in (*accepting, *door.sessions):
        task.cancel()
    await asyncio.gather(*accepting, *door.sessions, return_exceptions=True)
    await sign_in.close()


class _Door:
    def __init__(self, options: FrontOptions, certificate: Certificate, sign_in: SignIn) -> None:
        self._options = options
        self._certificate = certificate
        self._sign_in = sign_in
        self._addresses: Counter[str] = Counter()
        self.sessions: set[asyncio.Task[None]] = set()

    async def accept(self, descriptor: int, implicit: bool) -> None:  # noqa: FBT001
        with socket.socket(fileno=descriptor) as listener:
            listener.settimeout(0)
            while True:
                try:
                    accepted, address = await asyncio.get_running_loop().sock_accept(listener)
                except OSError as error:
                    _log.warning("ftp.not-accepted", reason=str(error))
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                self._take(accepted, address[0], implicit=implicit)

    def _take(self, accepted: socket.socket, address: str, *, implicit: bool) -> None:
        if len(self.sessions) >= _MOST_SESSIONS or self._addresses[address] >= _MOST_OF_ONE_ADDRESS:
            with accepted, contextlib.suppress(OSError):
                accepted.settimeout(0)
                accepted.send(_FULL)
            return
        self._addresses[address] += 1
        session = asyncio.create_task(self._session(accepted, address, implicit=implicit))
        self.sessions.add(session)
        session.add_done_callback(self.sessions.discard)

    async def _session(self, accepted: socket.socket, address: str, *, implicit: bool) -> None:
        try:
            with contextlib.closing(accepted):
                await self._serve(ControlConnection(accepted), address, implicit=implicit)
        except OSError as error:  # gone before its first word
            _log.info("ftp.broken-off", client=address, reason=str(error) or type(error).__name__)
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    async def _serve(self, connection: ControlConnection, address: str, *, implicit: bool) -> None:
        session = Session(connection, self._options, self._certificate, self._sign_in)
        try:
            await session.run(implicit=implicit)
        except (OSError, ValueError) as error:
            _log.info("ftp.broken-off", client=address, reason=str(error) or type(error).__name__)
        except Exception:  # noqa: BLE001 — one client must not end the others' sessions
            _log.exception("ftp.failed", client=address)
        finally:
            await connection.close()
