"""One manager as its host sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyacq_lab.host.groups import Groups
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.journal import Journal
from pyacq_lab.wire.logcodec import LogOrigin, encode_hole

BATCH = 500
"""Log records that are told together at most."""

HANG_UP_GRACE = 1.0
"""Seconds after which a manager that closed its connection, and did not come back, is given up."""

Send = Callable[[bytes, str, Any, int], bool]
"""Sends ``(routing_id, topic, value, number)`` to a manager; False where that was not possible now."""


def _now(function: Callable[[], None]) -> None:
    function()


@dataclass(eq=False)
class Application:
    """A manager: its nodegroups, its connection, what it has been told, how long it may be silent.

    Lives in the host's event loop; time is an argument.

    Attributes
    ----------
    id : str
        Made up by the manager.
    key : str
        The client key that it proves.
    routing_id : bytes
        Its present connection.
    lease : float
        Seconds of silence after which it is given up.
    heard : float
        When it last said something, s.
    send : callable
        See `Send`.
    link_timeout : float
        Seconds of silence after which a connection is closed although nobody hung up.
    soon : callable
        Calls a function when the event loop has done what it is at: log records that come together are
        told together.
    own_records : int
        Number of the next record of the host's own, as this manager counts them.
    told, received : int
        Numbers of the last event that was sent, and of the last that it has said to have heard.
    """

    id: str
    key: str
    routing_id: bytes
    lease: float
    heard: float
    send: Send
    link_timeout: float
    soon: Callable[[Callable[[], None]], object] = _now
    journal: Journal = field(default_factory=Journal)
    own_records: int = 0
    told: int = 0
    received: int = 0
    gone_since: float | None = None
    groups: Groups = field(init=False)
    _records: list[LogRecord] = field(default_factory=list)

    def resume(self, routing_id: bytes, heard: int, lease: float, now: float) -> None:
        """Go on over a new connection; what came after event ``heard`` is told again."""
        self.routing_id, self.told, self.lease = routing_id, min(heard, self.journal.stop - 1), lease
        self.gone_since, self.heard = None, now
        self.hear(heard)
        self.tell_news()

    def notify(self, topic: str, value: Any) -> None:
        """Tell something now, or as soon as the manager can be reached."""
        self._tell_records()
        self.journal.append(topic, value)
        self.tell_news()

    def tell(self, record: LogRecord) -> None:
        """Tell a log record soon, together with others."""
        self._records.append(record)
        if len(self._records) >= BATCH:
            self._tell_records()
        elif len(self._records) == 1:
            self.soon(self._tell_records)

    def _tell_records(self) -> None:
        if self._records:
            records, self._records = self._records, []
            self.journal.append("log", records, sum(1 + len(r.message) // 200 for r in records))
            self.tell_news()

    def unheard_records(self) -> list[LogRecord]:
        """Log records that it has not said to have heard."""
        self._tell_records()
        return [r for event in self.journal.after(self.received, "log") for r in event.value]

    def holes(self) -> list[bytes]:
        """Count records that may be missing before `unheard_records`.

        Where some had to make room nobody knows which of them it had heard: all before the first are counted.
        """
        if self.journal.dropped("log") <= self.received:
            return []
        firsts: dict[LogOrigin, LogRecord] = {}
        for record in self.unheard_records():
            origin = LogOrigin(
                host=record.host, process=record.process, pid=record.pid, channel=record.channel
            )
            firsts.setdefault(origin, record)
        return [encode_hole(0, origin, r.seq, r.time_ns) for origin, r in firsts.items() if r.seq]

    def hear(self, heard: int) -> None:
        """Note that it has heard all up to event ``heard``."""
        self.received = max(self.received, min(heard, self.journal.stop - 1))

    def tell_news(self) -> None:
        """Send what has not been sent, as far as the connection takes it now."""
        for event in self.journal.after(self.told):
            if not self.send(self.routing_id, event.topic, event.value, event.seq):
                return
            self.told = event.seq

    def give_up(self, why: str) -> None:
        """Say one last thing: what comes after it belongs to whoever says Hello next."""
        self.notify("given_up", why)
        self.send = lambda *_: False

    def look(self, now: float) -> str:
        """Why the manager is to be given up; empty as long as it is not. Called twice a second."""
        if self.send(self.routing_id, "alive", None, 0):
            self.gone_since = None
            self.tell_news()
        elif self.gone_since is None:
            self.gone_since = now
        if now - self.heard > self.lease:
            return f"was silent for more than its lease of {self.lease:g} s"
        if self.gone_since is None or now - self.gone_since < HANG_UP_GRACE:
            return ""
        # A link that was cut is closed only after a silence; an end that dies or leaves closes it at once.
        hung_up = self.gone_since - self.heard < self.link_timeout
        return "hung up without a goodbye" if hung_up else ""
