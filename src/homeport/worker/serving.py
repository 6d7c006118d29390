"""The loop: take a connection with a request, read it, run the application, answer.

In a pool, the connections are kept and belong to all its workers (`homeport.worker.shared`). A worker on its own accepts a
connection for each request and closes it. Either way waiting is "sticky": the kernel wakes the worker that went
to sleep last, whose caches are warm, and the surplus ones stay asleep (data plane §3).
"""

import errno
import io
import os
import select
import socket
import sys
import time
from typing import Any, Callable, Dict, Optional

from homeport.worker import fastcgi
from homeport.worker.body import BodyStream
from homeport.worker.connection import PARAMS_WAIT_SECONDS, ClientGone, Connection, receive
from homeport.worker.environment import Environment
from homeport.worker.fastcgi import ProtocolError
from homeport.worker.heads import Heads
from homeport.worker.incidents import Incidents, error_page
from homeport.worker.plain_params import NO_MORE_PARAMS, PlainParams
from homeport.worker.response import Response
from homeport.worker.shared import ARMED, SharedConnections
from homeport.worker.shared_protocol import FIRST, MOST, is_shared
from homeport.worker.slot import Slot
from homeport.worker.stopping import Stop

Application = Callable[[Dict[str, Any], Callable[..., Any]], Any]

FIRST_RECEIVE = 16384
_NAP_SECONDS = 5.0
"""How long a wait may last before SIGTERM is looked for again, should the application have taken the wake-up pipe."""

_LOOK = socket.MSG_DONTWAIT | socket.MSG_PEEK
"""A request is only looked at until it has been answered: taking it wakes nginx, which hears that it could send more, and
would interrupt the worker for that alone (decision 3)."""
_KEEP_CONN_AT = 10
ENDED, KEPT, GONE = 0, 1, 2
"""What became of a connection: it must be closed, it can take another request, its peer had closed it."""
_NO_BODY = NO_MORE_PARAMS + fastcgi.record(fastcgi.STDIN, 1)
"""How a request without a body ends."""


class _Patience:
    """How long to wait for the next request: `idle_seconds` from the last one, `total_seconds` from now at most."""

    def __init__(self, idle_seconds: float, total_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._last = time.monotonic() + total_seconds
        self.renew()

    def renew(self) -> None:
        """Begin anew: a request has been served."""
        self._until = min(time.monotonic() + self._idle_seconds, self._last)

    def nap(self) -> float:
        """Return the seconds to wait now; none are left when it is not positive."""
        return min(_NAP_SECONDS, self._until - time.monotonic())


class Server:
    """Serves an application from a listening socket, one request at a time."""

    def __init__(
        self,
        listener: socket.socket,
        application: Application,
        *,
        environment: Environment,
        slot: Slot,
        incidents: Incidents,
        stop: Stop,
        shared: Optional[SharedConnections] = None,
    ) -> None:
        self._listener = listener
        self._shared = shared
        self._application = application
        self._environment = environment
        self._slot = slot
        self._incidents = incidents
        self._stop = stop
        self._heads = Heads()
        self._params = PlainParams()
        self._sockets: Dict[int, socket.socket] = {}
        if shared is None:
            self._epoll = select.epoll()
            self._epoll.register(listener.fileno(), select.EPOLLIN | select.EPOLLEXCLUSIVE)
            self._epoll.register(stop.wake_fd, select.EPOLLIN)

    def serve(self, most: int, idle_seconds: Optional[float] = None, total_seconds: float = 0.0) -> None:
        """Serve until SIGTERM or `most` requests; with `idle_seconds` also until nobody came for so long.

        `total_seconds` bounds the latter. Raises OSError when no connection can be accepted any more (out of
        descriptors, say): a new process is the remedy.
        """
        patience = None if idle_seconds is None else _Patience(idle_seconds, total_seconds)
        if self._shared is not None:
            self._serve_shared(self._shared, most, patience)
            return
        accept = self._listener._accept  # type: ignore[attr-defined]  # the descriptor alone: no object to build
        while most > 0:
            try:
                descriptor = accept()[0]
            except BlockingIOError:
                seconds = _NAP_SECONDS if patience is None else patience.nap()
                if seconds <= 0:
                    return
                for ready, _ in self._epoll.poll(seconds, 2):
                    if ready == self._stop.wake_fd:
                        self._stop.drain_wake()
                continue
            except OSError as error:
                if self._stop.requested:
                    return
                if error.errno == errno.ECONNABORTED:
                    continue
                raise
            self._serve_connection(descriptor)
            most -= 1
            if patience is not None:
                patience.renew()

    def _serve_shared(self, shared: SharedConnections, most: int, patience: "Optional[_Patience]") -> None:
        stop, poll = self._stop, shared.poll
        while most > 0 and not stop.requested:
            seconds = _NAP_SECONDS if patience is None else patience.nap()
            if seconds <= 0:
                return
            events = poll(seconds, 1)
            if not events:
                continue
            number = events[0][0]
            if is_shared(number):
                served = self._serve_number(shared, number)
            else:
                served = self._accept_shared(shared)
            if served:
                most -= 1
                if patience is not None:
                    patience.renew()

    def _serve_number(self, shared: SharedConnections, number: int) -> bool:
        """Serve the request that has come on a shared connection; False when there was none."""
        slot = self._slot
        slot.claim(number)
        sock = shared.sockets.get(number)
        outcome = GONE if sock is None else self._serve_guarded(sock, b"")
        # What has ended may be an earlier connection of this number.
        while outcome == GONE:
            if not shared.fetch(number):
                slot.end()
                return False
            outcome = self._serve_guarded(shared.sockets[number], b"")
        if outcome == KEPT:
            shared.arm(number)
        else:
            shared.discard(number)
        slot.end()
        return True

    def _accept_shared(self, shared: SharedConnections) -> bool:
        """Serve a new connection, then share it; False when another worker took it."""
        try:
            descriptor = self._listener._accept()[0]  # type: ignore[attr-defined]
        except OSError as error:
            if self._stop.requested or error.errno in (errno.EAGAIN, errno.ECONNABORTED):
                return False
            raise
        try:
            if self._serve_guarded(self._socket(descriptor), b"") == KEPT:
                shared.keep(descriptor)
        finally:
            self._slot.end()
            os.close(descriptor)
        return True

    def serve_compiled(self, accelerator: Any, most: int) -> None:
        """Serve as `serve` does, by the compiled loop, which comes back to this class for all that is unusual."""
        environment = self._environment
        shared = self._shared
        self._stop.notify = accelerator.stop
        if self._stop.requested:
            return
        try:
            accelerator.serve(
                most=most,
                listener=self._listener.fileno(),
                epoll=self._epoll.fileno() if shared is None else shared.epoll_fd,
                first=FIRST,
                shared=0 if shared is None else MOST,
                armed=0 if shared is None else ARMED,
                fetch=None if shared is None else shared.fetch,
                keep=None if shared is None else shared.keep,
                discard=None if shared is None else shared.discard,
                wake=self._stop.wake_fd,
                descriptor=self._slot.descriptor,
                index=self._slot.index,
                simple=environment.simple,
                application=self._application,
                template=environment.template,
                root=environment.root,
                complete=environment.complete,
                render=self._heads.render,
                statuses=self._heads.statuses,
                kinds=self._heads.kinds,
                slow=self._serve_slowly,
                failed=self._fail_compiled,
                drain_wake=self._stop.drain_wake,
                client_gone=ClientGone,
                bytesio=io.BytesIO,
            )
        except OSError:
            if not self._stop.requested:
                raise

    def close(self) -> None:
        """Forget the descriptors of past connections: by now the application may own their numbers."""
        if self._shared is not None:
            self._shared.close()
        for sock in self._sockets.values():
            sock.detach()
        self._sockets.clear()

    def _serve_slowly(
        self, descriptor: int, data: bytes, requests: int, connection: int
    ) -> "tuple[int, int]":
        """Serve for the compiled loop a connection that it does not understand.

        Returns the requests counted so far, and what became of the connection.
        """
        self._slot.requests = requests
        self._slot.claim(connection)
        outcome = self._serve_guarded(self._socket(descriptor), data)
        # The compiled loop notes the end.
        done = self._slot.requests + self._slot.has_request
        self._slot.has_request = False
        return done, outcome

    def _fail_compiled(
        self, error: BaseException, descriptor: int, method: str, path: str, head_sent: int, ended: int
    ) -> bool:
        """Take over a response whose application failed under the compiled loop; tell whether it went out whole."""
        response = Response(self._heads, self._socket(descriptor), self._slot, 1, method == "HEAD")
        response.head_sent, response.ended = bool(head_sent), bool(ended)
        try:
            self._fail(error, response, method, path)
        except ClientGone:
            return False
        return response.whole

    def _serve_connection(self, descriptor: int) -> None:
        try:
            self._serve_guarded(self._socket(descriptor), b"")
        finally:
            self._slot.end()
            os.close(descriptor)

    def _socket(self, descriptor: int) -> socket.socket:
        """Return an object for the descriptor.

        The number comes back after each close, and so does the object: making one costs more than the whole exchange.
        """
        sock = self._sockets.get(descriptor)
        if sock is None:
            sock = self._sockets[descriptor] = socket.socket(
                socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor
            )
        return sock

    def _serve_guarded(self, sock: socket.socket, data: bytes) -> int:
        """Serve the request that begins with `data`, or with what comes next where that is empty."""
        try:
            taken = bool(data)
            if not data:
                try:
                    data = sock.recv(FIRST_RECEIVE, _LOOK)
                except BlockingIOError:
                    data, taken = receive(sock, FIRST_RECEIVE, PARAMS_WAIT_SECONDS), True
                except ConnectionError:
                    return GONE
            if not data:
                return GONE
            return KEPT if self._serve_data(sock, data, taken=taken) else ENDED
        except (ClientGone, ConnectionError):
            return ENDED
        except ProtocolError as error:
            sys.stderr.write("A FastCGI peer broke the protocol: {}.\n".format(error))
            return ENDED

    def _serve_data(self, sock: socket.socket, data: bytes, *, taken: bool) -> bool:
        """Serve the request whose first bytes are these; tell whether the connection can take another one.

        `taken`: they have left the socket. Raises ClientGone and ProtocolError.
        """
        env = self._environment.template.copy()
        end = self._params.read(data, env)
        if end and data[end:] == _NO_BODY:
            env["wsgi.input"] = io.BytesIO()
            self._environment.complete(env)
            whole = self._run(sock, env, 1, None)
            if not taken:
                sock.recv(len(data), socket.MSG_DONTWAIT)
            return whole and data[_KEEP_CONN_AT] == fastcgi.KEEP_CONN
        if not taken:
            sock.recv(len(data), socket.MSG_DONTWAIT)
        if end:
            request_id = 1
            keep = data[_KEEP_CONN_AT] == fastcgi.KEEP_CONN
            connection = Connection(sock, self._slot, data[end + fastcgi.HEADER_SIZE :])
            connection.resume_body(1)
        else:
            connection = Connection(sock, self._slot, data)
            request = connection.read_request()
            if request is None:
                return False
            keep = connection.keep
            request_id = request.request_id
            env = self._environment.template.copy()
            env.update(request.params)
        env["wsgi.input"] = BodyStream(connection)
        self._environment.complete(env)
        whole = self._run(sock, env, request_id, connection)
        if whole and keep:
            return connection.finish()
        connection.drain()
        return False

    def _run(
        self, sock: socket.socket, env: Dict[str, Any], request_id: int, connection: Optional[Connection]
    ) -> bool:
        """Run the application and answer; tell whether the response went out whole."""
        method = env["REQUEST_METHOD"]
        path = env["URL"]
        slot = self._slot
        slot.begin((method + " " + env["REQUEST_URI"]).encode("latin-1"))
        response = Response(self._heads, sock, slot, request_id, method == "HEAD")
        try:
            result = self._application(env, response.start_response)
            try:
                response.send(result)
            finally:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
        except KeyboardInterrupt:
            raise
        except ClientGone:
            pass
        except BaseException as error:  # noqa: BLE001 - the request boundary: also sys.exit() and cancellations
            self._fail(error, response, method, path)
        finally:
            response.ended = True  # a write() kept beyond its request must not reach another one's connection
        return response.whole

    def _fail(self, error: BaseException, response: Response, method: str, path: str) -> None:
        """Record a failure of the application; answer if nothing has been said yet, else break off."""
        incident = self._incidents.request(error, method, path)
        if not response.head_sent:
            response.send_page("500 Internal Server Error", error_page(incident))
        elif not response.ended:
            response.break_off()
