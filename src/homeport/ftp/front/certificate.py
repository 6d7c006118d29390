"""The TLS side of the front."""

import ssl
from pathlib import Path


class Certificate:
    """The platform's certificate for FTP, read again when it was renewed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is encrypted with: TLS 1.2 and newer. Raises `OSError`."""
        written = self._path.stat().st_mtime_ns
        if self._read is None or self._read[0] != written:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self._path)
            self._read = written, context
        return self._read[1]
