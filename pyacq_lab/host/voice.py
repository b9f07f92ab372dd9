"""What a host server itself has to say, told to the managers that it concerns."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Unpack

from pyacq_lab.host.application import Application
from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.logs import LogOrigin, Said, hushed, make_words
from pyacq_lab.wire.logcodec import Words, as_record

_BOUND = 10_000
"""Records that wait for the event loop."""

_concerned: ContextVar[str] = ContextVar("_concerned", default="")


@contextlib.contextmanager
def concerning(application: str) -> Iterator[None]:
    """Have what is logged meanwhile, and in tasks that are made meanwhile, told to one manager only."""
    token = _concerned.set(application)
    try:
        yield
    finally:
        _concerned.reset(token)


class HostVoice:
    """Takes the host's own records; see `LogSink`.

    What is said in the course of one manager's requests is for that manager, everything else for all. What
    nobody is there to hear is kept.

    Parameters
    ----------
    host : str
        The host's name.
    clock : Clock
        The host's clock.
    hearers : callable
        Gives the managers that there are; called in the event loop.
    loop : asyncio.AbstractEventLoop
        The host's event loop.
    keep : callable
        Takes what nobody is there to hear; called in the event loop.
    """

    def __init__(
        self,
        host: str,
        clock: Clock,
        hearers: Callable[[], Iterable[Application]],
        loop: asyncio.AbstractEventLoop,
        keep: Callable[[Words], None],
    ) -> None:
        self._origin = LogOrigin(host=host, process="host")
        self._clock = clock
        self._hearers = hearers
        self._loop = loop
        self._keep = keep
        self._queue: deque[tuple[str, Words]] = deque()
        self._lost = 0
        # Re-entrant, because garbage collection inside the locked lines may run code that logs.
        self._lock = threading.RLock()

    def say(self, message: str, **said: Unpack[Said]) -> None:
        """Take one record; never blocks and never raises. Safe from any thread."""
        words = make_words(self._clock, message, said)
        with self._lock:
            waiting = len(self._queue)
            self._queue.append((_concerned.get(), words))
            if waiting >= _BOUND:
                self._queue.popleft()
                self._lost += 1
        if not waiting:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it everybody who listens
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        with self._lock:
            news, lost = list(self._queue), self._lost
            self._queue.clear()
            self._lost = 0
        with hushed():  # telling must not give more to tell
            hearers = list(self._hearers())
            for concerned, words in news:
                if not (hearers and (concerned == "" or any(concerned == a.id for a in hearers))):
                    self._keep(words)
            for application in hearers:
                application.own_records += lost  # the hole in the numbers says so
                for concerned, words in news:
                    if concerned in ("", application.id):
                        application.tell(as_record(words, application.own_records, self._origin))
                        application.own_records += 1
