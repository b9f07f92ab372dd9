"""Measures the clock of a host, again and again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from pyacq_lab.errors import PyacqError
from pyacq_lab.model.clock import ClockOffset, format_ns
from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.clock import OffsetEstimator, Probe
from pyacq_lab.wire.messages import Ping

log = logging.getLogger(__name__)

PERIOD = 5.0
"""Seconds between two bursts of probes, once the drift is about known."""

_FIRST_PAUSE = 1.0  # doubles up to PERIOD: the drift is found by probes that are some seconds apart
_FIRST_BURST = 8
_BURST = 4
_PATIENCE = 0.05  # s that connecting may take longer for the first burst; one probe is always waited for
_TIMEOUT = 5.0


class ClockWatch:
    """Measures one host's clock against ours over the host's control connection.

    Its thread is the reactor's, which calls `look` every second or so.

    Parameters
    ----------
    client : RpcClient
        The connection.
    clock : Clock
        Ours.
    host : str
        The host's name.
    correct : callable
        Takes the host's clock minus ours, ns, whenever it is known better; must not wait.
    """

    def __init__(self, client: RpcClient, clock: Clock, host: str, correct: Callable[[int], None]) -> None:
        self._client = client
        self._clock = clock
        self._host = host
        self._correct = correct
        self._lock = threading.Lock()  # the first burst is the connecting thread's, `now` is anybody's
        self._estimator = OffsetEstimator()
        self._under_way = False
        self._pause = _FIRST_PAUSE
        self._due = time.monotonic() + self._pause

    def measure(self) -> None:
        """Send the first burst and wait for it; the connecting thread, before anything is asked for.

        Raises
        ------
        PyacqError
            The host does not answer.
        """
        deadline = time.monotonic() + _PATIENCE
        for _ in range(_FIRST_BURST):
            asked = self._clock.now_ns()
            self._take(asked, self._client.call(Ping(), _TIMEOUT))
            if time.monotonic() > deadline:
                break
        self._tell()

    def now(self) -> ClockOffset:
        """What is known at this instant; any thread."""
        with self._lock:
            known = self._estimator.estimate(self._clock.now_ns())
        return msgspec.structs.replace(known or ClockOffset(), host=self._host)

    # --- the reactor's thread

    def look(self) -> None:
        """Carry the offset on, and send a burst where one is due."""
        self._tell()
        if time.monotonic() >= self._due:
            self.probe()

    def probe(self) -> None:
        """Send a burst now, unless one is under way."""
        if self._under_way or not self._client.connected:
            return
        self._under_way = True
        self._due = time.monotonic() + self._pause
        self._pause = min(PERIOD, 2 * self._pause)
        self._ask(_BURST)

    def begin_anew(self) -> None:
        """Forget what was measured, and measure: it is another clock now."""
        with self._lock:
            self._estimator = OffsetEstimator()
        self._pause = _FIRST_PAUSE
        self.probe()

    def _ask(self, left: int) -> None:
        if left == 0:
            self._under_way = False
            self._tell()
            return
        asked = self._clock.now_ns()
        try:
            answer = self._client.request(Ping(), _TIMEOUT)
        except PyacqError:
            self._end_burst()
        else:
            answer.add_done_callback(lambda future: self._on_answer(asked, left, future))

    def _on_answer(self, asked: int, left: int, answer: Future[Any]) -> None:
        if answer.exception() is not None:
            self._end_burst()
            return
        try:
            self._take(asked, answer.result())
        except PyacqError:
            self._end_burst()
            raise
        self._ask(left - 1)

    def _end_burst(self) -> None:
        # A lost connection is told by the host's handle; the next look tries again.
        self._under_way = False
        log.debug("a probe of the clock of host %s was not answered", self._host)

    def _take(self, asked: int, read: int) -> None:
        answered = self._clock.now_ns()
        with self._lock:
            step = self._estimator.add(Probe(asked, read, read, answered))
        if step is None:
            return
        self._pause, self._due = _FIRST_PAUSE, time.monotonic()  # few probes are left: more at the next look
        self._tell()
        log.warning(
            "the clock of host %s has jumped %s by %s against the manager's, as when one of the two machines "
            "was asleep; its log records of the last seconds may stand in the wrong place, and the times of "
            "its samples before and after do not fit together",
            self._host,
            "ahead" if step > 0 else "back",
            format_ns(abs(step)),
        )

    def _tell(self) -> None:
        known = self.now()
        if known.n_probes:
            self._correct(known.offset_ns)
