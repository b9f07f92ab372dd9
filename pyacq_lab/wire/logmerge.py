"""Records of several machines, put in order of corrected time."""

from __future__ import annotations

from itertools import count

import msgspec

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.logcodec import LogOrigin, hole

Source = tuple[str, str, int, str]


class _Heard:
    """How far a source was heard."""

    __slots__ = ("corrected_ns", "newest_ns", "stamped_ns", "stop")

    def __init__(self) -> None:
        self.stop = 0
        self.newest_ns = 0
        self.stamped_ns = 0  # of the record that came last
        self.corrected_ns = 0


class LogMerger:
    """Sort records behind a short watermark, and show what is missing.

    Each source gives its records in order; sources reach us with different delays, so a record is held
    for `watermark_ns` to let earlier ones of other sources come in. One that comes later still is let
    through at once and marked ``late``: late is better than lost.

    A measured offset is right to within its uncertainty, and it is measured again and again. So it gives
    way to what is certain: a record was said before it came, and records of one source in the order of
    their stamps.
    Time is an argument; not safe from several threads at once.

    Parameters
    ----------
    watermark_ns : int
        How long a record is held, ns.
    """

    def __init__(self, watermark_ns: int = 150_000_000) -> None:
        self.watermark_ns = watermark_ns
        self._offsets: dict[tuple[str, str], int] = {}
        self._heard: dict[Source, _Heard] = {}
        # (corrected time, order of arrival, time of release, record); sorted when they are taken, which costs
        # less than a heap: what comes from one source is in order already.
        self._held: list[tuple[int, int, int, LogRecord]] = []
        self._sorted = True
        self._arrivals = count()
        self._newest_out: int | None = None

    def __len__(self) -> int:
        """Records held."""
        return len(self._held)

    def set_offset(self, host: str, offset_ns: int, process: str = "") -> None:
        """Correct the records of ``host`` that come from now on by its clock minus ours, ns.

        Where ``process`` is given, only its records, and they by nothing else: hosts name themselves, and
        two can have one name.
        """
        self._offsets[host, process] = offset_ns

    def add(self, record: LogRecord, now_ns: int) -> None:
        """Take one record in; one that was taken in before is passed over.

        A hole in the numbers of its source becomes a record of its own, right before this one.
        """
        source: Source = (record.host, record.process, record.pid, record.channel)
        heard = self._heard.get(source)
        if heard is None:
            heard = self._heard[source] = _Heard()
        lost = record.seq - heard.stop
        if lost < 0 and record.time_ns <= heard.newest_ns:
            return  # it has come another way already
        offset = self._offset_of(record, heard, now_ns)
        if offset != record.offset_ns:
            record = msgspec.structs.replace(record, offset_ns=offset)
        heard.stamped_ns, heard.corrected_ns = record.time_ns, record.corrected_ns
        if lost > 0:
            self._hold(_hole(record, lost, heard.stop > 0))
        elif lost < 0:
            # A lower number later on is a new process with the old one's pid: begin again from there.
            heard.newest_ns = 0
        heard.stop = record.seq + (record.lost or 1)
        heard.newest_ns = max(heard.newest_ns, record.time_ns)
        self._hold(record)

    def forget(self, host: str, process: str, pid: int) -> None:
        """Forget the numbers of a process that has ended and whose last records have come in."""
        for source in [s for s in self._heard if s[:3] == (host, process, pid)]:
            del self._heard[source]
        self._offsets.pop((host, process), None)

    def take(self, now_ns: int) -> list[LogRecord]:
        """Records whose time has come, sorted by corrected time but for those marked late."""
        self._sort()
        stop = next((i for i, held in enumerate(self._held) if held[2] > now_ns), len(self._held))
        return self._let_out(stop)

    def flush(self) -> list[LogRecord]:
        """All that is held, in order: nothing more will come."""
        self._sort()
        return self._let_out(len(self._held))

    def due_ns(self) -> int | None:
        """When `take` next gives something; None while nothing is held."""
        self._sort()
        return self._held[0][2] if self._held else None

    def _offset_of(self, record: LogRecord, heard: _Heard, now_ns: int) -> int:
        offset = self._offsets.get((record.host, record.process))
        if offset is None:
            offset = self._offsets.get((record.host, ""), 0)
        corrected = min(record.time_ns - offset, now_ns)
        if 0 < heard.stamped_ns <= record.time_ns:
            corrected = max(corrected, heard.corrected_ns)
        return record.time_ns - corrected

    def _sort(self) -> None:
        if not self._sorted:
            self._held.sort()
            self._sorted = True

    def _hold(self, record: LogRecord) -> None:
        corrected = record.corrected_ns
        release = corrected + self.watermark_ns
        self._held.append((corrected, next(self._arrivals), release, record))
        self._sorted = False

    def _let_out(self, count: int) -> list[LogRecord]:
        out = self._held[:count]
        del self._held[:count]
        newest = self._newest_out
        if out:
            self._newest_out = out[-1][0] if newest is None else max(newest, out[-1][0])
        if newest is None or not out or out[0][0] >= newest:
            return [held[3] for held in out]
        return [r if at >= newest else msgspec.structs.replace(r, late=True) for at, _, _, r in out]


def _hole(after: LogRecord, lost: int, known: bool) -> LogRecord:
    """Say how many records are missing right before ``after``."""
    # Of a source that is heard for the first time, a former log server may have heard the rest.
    what = "lost here" if known else "lost, or heard by another log server, before this one"
    origin = LogOrigin(host=after.host, process=after.process, pid=after.pid, channel=after.channel)
    missing = hole(after.seq - lost, origin, lost, after.time_ns, what)
    return msgspec.structs.replace(missing, offset_ns=after.offset_ns)
