"""Servers on loopback that play the part of network instruments."""

from __future__ import annotations

import socket
import threading

from pyacq_lab.model.closing import Closing


class LoopbackServer(Closing):
    """A TCP server on a free port of 127.0.0.1, whose clients are sent what a test says.

    Attributes
    ----------
    port : int
        Where it listens.
    greeting : bytes
        What each new client is sent first.
    """

    def __init__(self) -> None:
        self.greeting = b""
        self._is_closing = False
        self._clients: list[socket.socket] = []
        self._lock = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="loopback server", daemon=True)
        self._thread.start()

    @property
    def n_clients(self) -> int:
        """Clients that are connected, as far as is known."""
        return len(self._clients)

    def send(self, data: bytes) -> None:
        """Send to all clients; those that are gone are forgotten."""
        with self._lock:
            for client in list(self._clients):
                try:
                    client.sendall(data)
                except OSError:
                    self._clients.remove(client)
                    client.close()

    def wait_client(self, timeout: float = 10.0) -> None:
        """Wait until a client is connected; TimeoutError."""
        with self._lock:
            if not self._lock.wait_for(lambda: self._clients, timeout):
                raise TimeoutError(f"no client came within {timeout:g} s")

    def disconnect(self) -> None:
        """Close the connections to all clients; new ones may come."""
        with self._lock:
            while self._clients:
                self._clients.pop().close()

    def close(self) -> None:
        """Stop to listen, and close all connections; idempotent."""
        if not self._is_closing:
            self._is_closing = True
            socket.create_connection(("127.0.0.1", self.port)).close()  # so that the thread looks up
            self._thread.join()
            self._listener.close()
        self.disconnect()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._is_closing:
                client.close()
                return
            with self._lock:
                try:
                    client.sendall(self.greeting)
                except OSError:
                    client.close()  # it is gone already
                    continue
                self._clients.append(client)
                self._lock.notify_all()
