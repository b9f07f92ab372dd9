"""Connections to instruments that speak over TCP."""

from __future__ import annotations

import socket
import time


class TcpLink:
    """A connection that is read without waiting for longer than one was told.

    Parameters
    ----------
    host, port : str, int
        Where the instrument is.
    timeout : float
        How long connecting may take, s.
    who : str
        Whose connection it is, for messages.

    Raises
    ------
    ConnectionError
        Nobody answers there.
    """

    def __init__(self, host: str, port: int, timeout: float, who: str) -> None:
        self.where = f"{who} at {host}:{port}"
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise ConnectionError(f"{self.where} does not answer ({error}): is it switched on?") from error
        self._buffer = bytearray()

    def fill(self, n_bytes: int, timeout: float) -> bool:
        """Wait until so many bytes are there, for ``timeout`` seconds at most.

        Raises
        ------
        ConnectionError
            The instrument, or the way to it, is gone.
        """
        deadline = time.monotonic() + timeout
        while len(self._buffer) < n_bytes:
            self._socket.settimeout(max(1e-3, deadline - time.monotonic()))
            try:
                came = self._socket.recv(1 << 18)
            except TimeoutError:
                return False
            except OSError as error:
                raise ConnectionError(f"the connection to {self.where} broke: {error}") from error
            if not came:
                raise ConnectionError(f"{self.where} closed the connection")
            self._buffer += came
        return True

    def peek(self, n_bytes: int) -> bytes:
        """Look at bytes that are there."""
        return bytes(self._buffer[:n_bytes])

    def take(self, n_bytes: int) -> bytes:
        """Take bytes that are there."""
        taken = bytes(self._buffer[:n_bytes])
        del self._buffer[:n_bytes]
        return taken

    def send(self, data: bytes) -> None:
        """Send all of it. Raises ConnectionError as `fill`."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionError(f"the connection to {self.where} broke: {error}") from error

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()
