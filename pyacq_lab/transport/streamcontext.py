"""What a process lends to the ends of streams in it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.zap import Allow


@dataclass(frozen=True, kw_only=True)
class StreamContext:
    """A process's reactor, keys and address.

    Attributes
    ----------
    reactor : Reactor
        Receives for all streams.
    server_keys, client_keys : KeyPair
        By which outputs prove themselves, and inputs.
    allow : callable
        Says which keys may read the outputs.
    interface : str
        IP address at which the outputs listen.
    """

    reactor: Reactor
    server_keys: KeyPair
    client_keys: KeyPair
    allow: Allow
    interface: str = "127.0.0.1"


class _OwnContext:
    """The context of streams that nobody lends one: made for the first, closed with the last of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context: StreamContext | None = None
        self._users = 0
        self._pid = 0

    def borrow(self) -> StreamContext:
        with self._lock:
            if self._context is None or self._pid != os.getpid():  # a fork has none of the threads
                self._pid, self._users = os.getpid(), 0
                self._context = StreamContext(
                    reactor=Reactor("pyacq-streams"),
                    server_keys=KeyPair.generate(),
                    client_keys=KeyPair.generate(),
                    allow=lambda _: False,
                )
            self._users += 1
            return self._context

    def give_back(self, context: StreamContext) -> None:
        with self._lock:
            if context is not self._context:
                return
            self._users -= 1
            if self._users:
                return
            self._context = None
        context.reactor.close()


_own = _OwnContext()
borrow = _own.borrow
give_back = _own.give_back
