"""Where an output listens for its readers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.stream import StreamAddress
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Frames, SharedSocket, Wish
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.transport.streamsocket import Protocol, bracketed, check_place, check_safe, serve


class StreamDoor:
    """The socket of an output, its address, and who is let in. Any thread.

    Parameters
    ----------
    context : StreamContext
        Reactor and keys.
    node, port : str
        Whose output it is.
    by_address : bool
        Whether whoever has the address may read: it carries a key for that.
    on_message : callable
        Called in the reactor's thread with each message, the reader's routing id first.

    Attributes
    ----------
    address : StreamAddress or None
        Where it listens; None before it is opened.
    """

    def __init__(
        self,
        context: StreamContext,
        node: str,
        port: str,
        by_address: bool,
        on_message: Callable[[Frames], None],
    ) -> None:
        self.address: StreamAddress | None = None
        self._context = context
        self._node, self._port = node, port
        self._reader_keys = KeyPair.generate() if by_address else None
        self._on_message = on_message
        self._lock = threading.Lock()
        self._socket: SharedSocket | None = None
        self._opened: tuple[Any, ...] = ()
        self._domain = f"stream:{node}.{port}:{id(self)}"

    def open(
        self, protocol: Protocol, interface: str | None, port: int | str, encrypted: bool
    ) -> StreamAddress:
        """Listen, instead of where it listened before; see `OutputStream.serve`."""
        check_place(protocol, interface, port)
        wanted = (protocol, bracketed(interface or self._context.interface), port, encrypted)
        check_safe(protocol, wanted[1], encrypted)
        if self.address is not None and self._opened == wanted:
            return self.address
        # Of a stream that is lent its context somebody knows the address by which others reach the machine.
        if self._reader_keys and wanted[1] in ("0.0.0.0", "[::]", "::", "*"):
            raise ConfigurationError(
                f"interface={interface!r}: give the address by which readers reach this machine"
            )
        keys = self._context.server_keys
        if self.address is not None and self.address.endpoint == f"tcp://{wanted[1]}:{port}":
            self.close()  # nobody else can have taken the place that it holds itself
        raw, endpoint = serve(self._context.reactor.context, keys, self._domain, *wanted)
        self.close()
        with self._lock:
            self._context.reactor.zap.open_domain(self._domain, self._may_read)
            secret = self._reader_keys.secret if self._reader_keys and encrypted else ""
            public = keys.public if encrypted else ""
            self.address = StreamAddress(endpoint, public, self._node, self._port, secret)
            self._opened = wanted
            self._socket = self._context.reactor.add(raw, self._on_message)
            return self.address

    def send(self, frames: list[Any], copy: bool = True) -> bool:
        """Send a reader a message; False where it is gone, or this is closed."""
        socket = self._socket
        return socket is not None and socket.send(frames, copy=copy)

    def lead(self, wish: Wish, deadline: float) -> bool:
        """Receive in the calling thread, as `SharedSocket.lead`; False where it cannot, or this is closed."""
        socket = self._socket
        return socket is not None and socket.lead(wish, deadline)

    def rouse(self) -> None:
        """Make the thread that leads look again whether it is done."""
        if (socket := self._socket) is not None:
            socket.rouse()

    def close(self) -> None:
        """Listen no more; idempotent."""
        with self._lock:
            socket, self._socket = self._socket, None
        if socket is not None:
            socket.close(0.2)
            self._context.reactor.zap.close_domain(self._domain)

    def _may_read(self, key: str) -> bool:
        if self._reader_keys is not None and key == self._reader_keys.public:
            return True
        return self._context.allow(key)
