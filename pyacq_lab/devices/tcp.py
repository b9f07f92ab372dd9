"""Connections to instruments that speak over TCP."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable


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

    def message(self, head_nbytes: int, size_of: Callable[[bytes], int], timeout: float) -> bytes | None:
        """Wait for a whole message, for ``timeout`` seconds at most; None where it has not come.

        Parameters
        ----------
        head_nbytes : int
            Bytes from which the message's size can be told.
        size_of : callable
            Tells it, the head's bytes included.
        timeout : float
            How long to wait, s.

        Raises
        ------
        ConnectionError
            The instrument, or the way to it, is gone.
        """
        deadline = time.monotonic() + timeout
        if not self._fill(head_nbytes, timeout):
            return None
        nbytes = size_of(bytes(self._buffer[:head_nbytes]))
        if not self._fill(nbytes, deadline - time.monotonic()):
            return None
        whole = bytes(self._buffer[:nbytes])
        del self._buffer[:nbytes]
        return whole

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def _fill(self, n_bytes: int, timeout: float) -> bool:
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
