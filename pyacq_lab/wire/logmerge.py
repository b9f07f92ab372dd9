"""Records of several machines, put in order of corrected time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.logcodec import LogOrigin, hole
from pyacq_lab.wire.timeline import Timeline

Source = tuple[str, str, int, str]

FORGET_NS = 60_000_000_000
"""How long the numbers of a source that has ended are still known: its host may have a last word on it."""


class _Heard:
    """How far a source was heard."""

    __slots__ = ("newest_ns", "stop")

    def __init__(self) -> None:
        self.stop = 0
        self.newest_ns = 0


class LogMerger:
    """Sort records behind a short watermark, and show what is missing.

    Each source gives its records in order; sources reach us with different delays, so a record is held
    for `watermark_ns` to let earlier ones of other sources come in. One that comes later still is let
    through at once and marked ``late``: late is better than lost.

    A measured offset is right to within its uncertainty, and it is measured again and again. So it gives
    way to what is certain: a record was said before it came, and of two records of one host the one with
    the earlier stamp was said first, whichever process it is of and whenever it comes; see `Timeline`.
    Time is an argument; not safe from several threads at once.

    Parameters
    ----------
    watermark_ns : int
        How long a record is held, ns.
    """

    def __init__(self, watermark_ns: int = 150_000_000) -> None:
        self.watermark_ns = watermark_ns
        self._offsets: dict[tuple[str, str], int] = {}
        self._timelines: dict[tuple[str, str], Timeline] = {}
        self._heard: dict[Source, _Heard] = {}
        self._ended: dict[Source, int] = {}
        # (corrected time, stamp, order of arrival, record); sorted when they are taken, which costs less than
        # a heap: what comes from one source is in order already.
        self._held: list[tuple[int, int, int, LogRecord]] = []
        self._sorted = True
        self._arrivals = 0
        self._newest_out: int | None = None

    def __len__(self) -> int:
        """Records held."""
        return len(self._held)

    @property
    def n_sources(self) -> int:
        """Sources whose numbers are known."""
        return len(self._heard)

    def set_offset(self, host: str, offset_ns: int, process: str = "") -> None:
        """Correct the records of ``host`` that come from now on by its clock minus ours, ns.

        Where ``process`` is given, only its records, and they by nothing else: it has another clock.
        """
        self._offsets[host, process] = offset_ns

    def add(self, record: LogRecord, now_ns: int) -> None:
        """Take one record in; see `add_all`."""
        self.add_all([record], now_ns)

    def add_all(self, records: Sequence[LogRecord], now_ns: int) -> None:
        """Take records of one source in, in the order of their numbers; what came before is passed over.

        A hole in the numbers of the source becomes a record of its own, right before the next one.
        """
        first, last = records[0], records[-1]
        source: Source = (first.host, first.process, first.pid, first.channel)
        heard = self._heard.get(source)
        if heard is None:
            heard = self._heard[source] = _Heard()
        if first.seq != heard.stop or last.seq != first.seq + len(records) - 1 or last.lost:
            records = self._counted(source, heard, records)
            if not records:
                return
        else:
            heard.stop = last.seq + 1
        stamps = [record.time_ns for record in records]
        earliest, latest = min(stamps), max(stamps)
        heard.newest_ns = max(heard.newest_ns, latest)
        where = (
            (first.host, first.process) if (first.host, first.process) in self._offsets else (first.host, "")
        )
        timeline = self._timelines.get(where)
        if timeline is None:
            timeline = self._timelines[where] = Timeline()
        offset = timeline.follow(earliest, latest, max(self._offsets.get(where, 0), latest - now_ns))
        if offset is None:
            records = [_corrected(r, r.time_ns - timeline.corrected(r.time_ns)) for r in records]
        elif records[0].offset_ns != offset:
            records = [_corrected(r, offset) for r in records]
        arrival = self._arrivals
        self._arrivals += len(records)
        self._held += [(r.time_ns - r.offset_ns, r.time_ns, n, r) for n, r in enumerate(records, arrival)]
        self._sorted = False

    def end(self, host: str, process: str, pid: int, now_ns: int) -> None:
        """Forget the numbers of a process that has ended, a while from now."""
        for source in self._heard:
            if source[:3] == (host, process, pid):
                self._ended[source] = now_ns + FORGET_NS

    def take(self, now_ns: int) -> list[LogRecord]:
        """Records whose time has come, sorted by corrected time but for those marked late."""
        for source in [s for s, due in self._ended.items() if due <= now_ns]:
            del self._ended[source]
            self._heard.pop(source, None)
        self._sort()
        return self._let_out(bisect_left(self._held, (now_ns - self.watermark_ns + 1,)))

    def flush(self) -> list[LogRecord]:
        """All that is held, in order: nothing more will come."""
        self._sort()
        return self._let_out(len(self._held))

    def due_ns(self) -> int | None:
        """When `take` next gives something; None while nothing is held."""
        self._sort()
        return self._held[0][0] + self.watermark_ns if self._held else None

    def _counted(self, source: Source, heard: _Heard, records: Sequence[LogRecord]) -> list[LogRecord]:
        """Those that are new, with a hole before each whose number does not follow on the one before.

        What a host has kept, marked as late, begins where another log server had stopped: nothing is lost
        before it, and its own holes are among its records.
        """
        new: list[LogRecord] = []
        for record in records:
            if record.lost and record.seq < heard.stop < record.seq + record.lost:
                # Holes grow, and what was dropped on one way may have come on another.
                record = _rest(record, heard.stop)
            lost = record.seq - heard.stop
            if lost < 0 and record.time_ns <= heard.newest_ns:
                continue  # it has come another way already
            if lost > 0 and not (record.late and heard.stop == 0):
                new.append(_hole(record, lost, heard.stop > 0))
            elif lost < 0:
                # A lower number later on is a new process with the old one's pid: begin again from there.
                heard.newest_ns = 0
                self._ended.pop(source, None)
            heard.stop = record.seq + (record.lost or 1)
            heard.newest_ns = max(heard.newest_ns, record.time_ns)
            new.append(record)
        return new

    def _sort(self) -> None:
        if not self._sorted:
            self._held.sort()
            self._sorted = True

    def _let_out(self, count: int) -> list[LogRecord]:
        out = self._held[:count]
        del self._held[:count]
        newest = self._newest_out
        if out:
            self._newest_out = out[-1][0] if newest is None else max(newest, out[-1][0])
        if newest is None or not out or out[0][0] >= newest:
            return [held[3] for held in out]
        return [r if at >= newest else msgspec.structs.replace(r, late=True) for at, _, _, r in out]


def _corrected(record: LogRecord, offset_ns: int) -> LogRecord:
    return msgspec.structs.replace(record, offset_ns=offset_ns)


def _hole(after: LogRecord, lost: int, known: bool) -> LogRecord:
    """Say how many records are missing right before ``after``."""
    # Of a source that is heard for the first time, a former log server may have heard the rest.
    what = "lost here" if known else "lost, or heard by another log server, before this one"
    return hole(after.seq - lost, _origin(after), lost, after.time_ns, what)


def _rest(whole: LogRecord, start: int) -> LogRecord:
    """The part of a hole from number ``start`` on."""
    return hole(start, _origin(whole), whole.seq + whole.lost - start, whole.time_ns)


def _origin(record: LogRecord) -> LogOrigin:
    return LogOrigin(host=record.host, process=record.process, pid=record.pid, channel=record.channel)
