"""One client's session: TLS, sign-in, and then its commands passed on to the site's FTP process."""

import asyncio
import socket

import structlog

from homeport.ftp.commands import FEATURES_REPLY, PASSED_ON, read_command
from homeport.ftp.front.certificate import Certificate, DataContext
from homeport.ftp.front.control_connection import ControlConnection
from homeport.ftp.front.data_connections import DataConnection, listen
from homeport.ftp.front.options import FrontOptions
from homeport.ftp.front.sign_in import SignedIn, SignIn
from homeport.ftp.front.site_channel import SiteChannel, connect
from homeport.model.errors import Unavailable

_log = structlog.get_logger(__name__)
_SIGN_IN_SECONDS = 60.0
_LAST_TRANSFERS_SECONDS = 30.0
_MOST_ATTEMPTS = 3
_MOST_TRANSFERS = 3
_TLS = ("TLS", "TLS-C", "SSL")
_AWAY = "421 The service is not available at the moment; try again shortly."
_FAMILY_NUMBERS = {socket.AF_INET: "1", socket.AF_INET6: "2"}
"""As EPSV names them (RFC 2428)."""


class Session:
    """What one client says and hears."""

    def __init__(
        self, connection: ControlConnection, options: FrontOptions, certificate: Certificate, sign_in: SignIn
    ) -> None:
        self._client = connection
        self._options = options
        self._certificate = certificate
        self._sign_in = sign_in
        self._user: str | None = None
        self._attempts = 0
        self._private_data = False
        self._transfers: dict[asyncio.Task[None], DataConnection] = {}

    async def run(self, *, implicit: bool) -> None:
        """Serve the client until it leaves; `implicit`: TLS comes before the first word.

        Raises `OSError` and `ValueError` for a client that breaks off or does not speak FTP.
        """
        try:
            async with asyncio.timeout(_SIGN_IN_SECONDS):
                if implicit:
                    await self._client.start_tls(self._certificate.context())
                await self._client.reply("220 Homeport")
                signed_in = await self._until_signed_in()
            if signed_in is not None:
                await self._serve(signed_in)
        except Unavailable as error:
            _log.warning("ftp.unavailable", client=self._client.address, reason=error.message)
            await self._client.reply(_AWAY)

    async def _until_signed_in(self) -> SignedIn | None:
        while line := await self._client.line():
            command, argument = read_command(line)
            match command:
                case "PASS":
                    if (found := await self._password(argument)) is not None:
                        return found
                    if self._attempts >= _MOST_ATTEMPTS:
                        await self._client.reply("421 Too many failed attempts.")
                        return None
                case "AUTH":
                    await self._auth(argument)
                case "QUIT":
                    await self._client.reply("221 Goodbye.")
                    return None
                case _:
                    await self._client.reply(await self._before_sign_in(command, argument))
        return None

    async def _before_sign_in(self, command: str, argument: str) -> str:
        match command:
            case "USER":
                return await self._name(argument)
            case "PBSZ" | "PROT":
                return self._protection(command, argument, plain_allowed=True)
            case "FEAT":
                return FEATURES_REPLY
            case "SYST":
                return "215 UNIX Type: L8"
            case "NOOP" | "OPTS":
                return "200 Ok."
        return "530 Sign in with USER and PASS first."

    async def _name(self, user: str) -> str:
        """Take the user's name; without TLS only where the password may follow in plain text."""
        self._user = None
        if not self._client.encrypted and not await self._sign_in.plain_allowed(user):
            return "534 Policy requires TLS: use AUTH TLS, that is explicit FTPS in your client."
        self._user = user
        return "331 Give the password."

    async def _password(self, password: str) -> SignedIn | None:
        user, self._user = self._user, None
        if user is None:
            await self._client.reply("503 Give the user first.")
            return None
        found = await self._sign_in.sign_in(
            user, password, client=self._client.address, encrypted=self._client.encrypted
        )
        if found is None:
            self._attempts += 1
            await self._client.reply("530 User cannot log in.")
        return found

    async def _auth(self, mechanism: str) -> None:
        if self._client.encrypted:
            await self._client.reply("503 The connection is encrypted already.")
        elif mechanism.upper() not in _TLS:
            await self._client.reply("504 Use AUTH TLS.")
        else:
            self._user = None
            await self._client.reply("234 Begin TLS.")
            await self._client.start_tls(self._certificate.context())

    def _protection(self, command: str, argument: str, *, plain_allowed: bool) -> str:
        """Answer PBSZ and PROT (RFC 4217)."""
        if not self._client.encrypted:
            return "503 Use AUTH TLS first."
        if command == "PBSZ":
            return "200 PBSZ=0"
        level = argument.upper()
        if level not in ("C", "P"):
            return "536 Use PROT P." if level in ("S", "E") else "504 Use PROT P."
        if level == "C" and not plain_allowed:
            return "534 Policy requires TLS: use PROT P."
        self._private_data = level == "P"
        return f"200 Data connections are {'private' if self._private_data else 'clear'}."

    async def _serve(self, signed_in: SignedIn) -> None:
        """Pass commands to the site's process and its replies to the client, until either closes."""
        site = await connect(self._options.sites, signed_in.site)
        _log.info("ftp.signed-in", site=signed_in.site, user=signed_in.user, client=self._client.address)
        both: list[asyncio.Task[None]] = []
        try:
            await site.begin(self._client.address, signed_in.user)
            commands = self._commands(site, plain_allowed=signed_in.plain_allowed)
            both = [asyncio.create_task(commands), asyncio.create_task(self._replies(site))]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            ended = await asyncio.gather(*both, return_exceptions=True)
            site.close()
            await self._end_transfers()
        for result in ended:
            if isinstance(result, Exception):
                raise result

    async def _commands(self, site: SiteChannel, *, plain_allowed: bool) -> None:
        while line := await self._client.line():
            command, argument = read_command(line)
            if "\r" in argument or "\0" in argument:
                await site.say("501 The line holds a character that no name can.")
            elif command in PASSED_ON and (command, argument) != ("STAT", ""):
                await site.send(f"{command} {argument}" if argument else command)
            elif command in ("PASV", "EPSV"):
                await self._open_data(site, command, argument.upper(), plain_allowed=plain_allowed)
            elif command:
                await site.say(self._answer(command, argument, plain_allowed=plain_allowed))

    async def _replies(self, site: SiteChannel) -> None:
        while data := await site.replies():
            await self._client.write(data)

    def _answer(self, command: str, argument: str, *, plain_allowed: bool) -> str:
        """Answer what is the front's own business after signing in."""
        match command:
            case "PBSZ" | "PROT":
                return self._protection(command, argument, plain_allowed=plain_allowed)
            case "STAT":
                return "211 Homeport"
            case "USER" | "PASS" | "AUTH" | "REIN":
                return "503 You are signed in; connect again to change that."
            case "PORT" | "EPRT":
                return "502 Active mode is not offered: use passive mode."
        return "502 The command is not offered."

    async def _open_data(
        self, site: SiteChannel, command: str, argument: str, *, plain_allowed: bool
    ) -> None:
        """Open a port for the client, and hand the site's process its end of the way there."""
        if (refusal := self._refusal(command, argument, plain_allowed=plain_allowed)) is not None:
            await site.say(refusal)
            return
        options, client = self._options, self._client
        try:
            listener = listen(
                client.local_address, client.family, options.passive_first, options.passive_last
            )
        except Unavailable as error:
            await site.say(f"425 {error.message}")
            return
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        context = DataContext(self._certificate.context()) if self._private_data else None
        self._end_transfers_before()
        data = DataConnection(listener, ours, client=client.address, context=context)
        transfer = asyncio.create_task(data.run())
        self._transfers[transfer] = data
        transfer.add_done_callback(self._transfers.pop)
        await site.hand_over(theirs, _passive(command, listener.getsockname()))

    def _refusal(self, command: str, argument: str, *, plain_allowed: bool) -> str | None:
        """Return why no data connection is opened, None where it is."""
        if not self._private_data and not plain_allowed:
            return "521 Policy requires TLS on data connections: use PROT P."
        number = _FAMILY_NUMBERS[self._client.family]
        if command == "PASV":
            return None if number == "1" else "522 Use EPSV."
        if argument == "ALL":
            return "200 Only EPSV from here on."
        return None if argument in ("", number) else f"522 Network protocol not supported, use ({number})."

    def _end_transfers_before(self) -> None:
        """Give up ports that no client came to; of other transfers only the newest may still be on their way."""
        connected = [task for task, data in self._transfers.items() if data.connected]
        for task in self._transfers.keys() - set(connected[1 - _MOST_TRANSFERS :]):
            task.cancel()

    async def _end_transfers(self) -> None:
        """Let data that the site's process has given away reach the client."""
        if self._transfers:
            _, left = await asyncio.wait(list(self._transfers), timeout=_LAST_TRANSFERS_SECONDS)
            for task in left:
                task.cancel()


def _passive(command: str, address: tuple[str, int]) -> str:
    host, port = address[:2]
    if command == "EPSV":
        return f"229 Entering extended passive mode (|||{port}|)."
    return f"227 Entering passive mode ({host.replace('.', ',')},{port >> 8},{port & 255})."
