"""SIGTERM: finish the request in hand, take no other, and end.

The handler puts /dev/null in the place of the listening socket. The loop then needs no flag to look at for each
request: its next attempt to accept fails, whether it is running, about to wait or waiting (data plane §6).
"""

import os
import signal
from typing import Any, Callable


class Terminated(SystemExit):
    """SIGTERM came before the first request: nothing is in hand, so start-up simply ends."""


class Stop:
    """Owns the reaction to SIGTERM of this process; `wake_fd` becomes readable when any signal arrives."""

    def __init__(self, listening_fd: int) -> None:
        self._listening_fd = listening_fd
        self._pid = os.getpid()
        self._starting = True
        self.requested = False
        self.notify: Callable[[], object] = int
        """Called when the signal has come: the compiled loop looks at no Python object before it waits."""
        self.wake_fd, self._wake_write_fd = os.pipe()
        os.set_blocking(self.wake_fd, False)
        os.set_blocking(self._wake_write_fd, False)

    def install(self) -> None:
        """Take SIGTERM over. Children made by fork get the default back: their parents expect it to end them."""
        signal.signal(signal.SIGTERM, self._handle)
        # A signal that comes between "nobody is waiting" and the wait itself would go unnoticed without this.
        signal.set_wakeup_fd(self._wake_write_fd)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave_to_parent)

    def started(self) -> None:
        """Say that from now on a request may be in hand."""
        self._starting = False

    def drain_wake(self) -> None:
        """Empty the pipe behind `wake_fd`."""
        try:
            os.read(self.wake_fd, 512)
        except BlockingIOError:
            return

    def close_listener(self) -> None:
        """Let go of the listening socket; others that share it keep it."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, self._listening_fd, inheritable=False)
        os.close(null)

    def _handle(self, number: int, _frame: Any) -> None:
        if os.getpid() != self._pid:
            # A child of the application on a Python without fork hooks.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.requested = True
        self.notify()
        self.close_listener()
        if self._starting:
            raise Terminated(0)

    def _leave_to_parent(self) -> None:
        if signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
        self.close_listener()
