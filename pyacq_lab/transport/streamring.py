"""The ring buffer of one output, with the log of its chunks, in memory that other processes may read.

One producer writes, any number of readers look, and nobody ever waits for another. Before it overwrites
anything, the producer says which entries of the log are no longer whole (`Word.FIRST`); after it has
written, it says how far it has come (`Word.SERIAL`). So a reader that has copied or used the samples of an
entry looks at the first of these words afterwards: if the entry is still counted as whole, what was read
is what was written (the reading side of a seqlock; H.-J. Boehm, "Can seqlocks get along with programming
language memory models?", MSPC 2012).
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ProtocolError, SamplesGone
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.ringlayout import (
    ENTRY,
    ENTRY_WORDS,
    EPOCH_WORDS,
    MAGIC,
    N_EPOCHS,
    READER_WORDS,
    ReaderWord,
    RingLayout,
    Word,
)

_gate = threading.Lock()


def fence() -> None:
    """Let nothing that memory was told before it be seen after what it is told then, and the reverse.

    Twice a lock: its release keeps back what came before it, and the next acquisition what comes after.
    """
    with _gate:
        pass
    with _gate:
        pass


def joined(views: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Copy of segments as one array. Left to itself numpy would give it the machine's own byte order."""
    return np.concatenate(views, dtype=views[0].dtype)


class Entry(msgspec.Struct, frozen=True):
    """One chunk in the log.

    Attributes
    ----------
    serial : int
        Its number.
    position : int
        Samples written before it, in all epochs.
    epoch, start, count : int
        Which samples it holds.
    time_ns, uncertainty_ns : int
        Time of the first one.
    lost : int
        Samples lost right before it, before they reached the stream.
    reason : str
        Why.
    """

    serial: int
    position: int
    epoch: int
    start: int
    count: int
    time_ns: int
    uncertainty_ns: int
    lost: int
    reason: str

    @property
    def stop(self) -> int:
        """Absolute index after its last sample."""
        return self.start + self.count

    def without(self, count: int, sample_rate: float) -> Entry:
        """All but its first ``count`` samples."""
        return msgspec.structs.replace(
            self,
            position=self.position + count,
            start=self.start + count,
            count=self.count - count,
            time_ns=self.time_ns + round(count / sample_rate * 1e9),
        )


class StreamRing:
    """The ring as its readers see it; `RingWriter` adds what the producer does.

    Any thread, any process. Whatever is looked up here may be overwritten at any moment: `holds` tells
    afterwards whether it was.

    Parameters
    ----------
    memory : buffer
        At least ``RingLayout.of(spec).size`` bytes, writable for its readers' own words.
    spec : StreamSpec
        What the samples are.
    samples : buffer, optional
        The same memory once more, where the part with the samples is to be read only.

    Attributes
    ----------
    dtype : numpy.dtype
    sample_shape : tuple of int
        As in ``spec``.
    size : int
        Samples that the ring can hold.

    Raises
    ------
    ProtocolError
        The memory holds something else.
    """

    def __init__(self, memory: Any, spec: StreamSpec, samples: Any = None) -> None:
        self.spec = spec
        layout = self._layout = RingLayout.of(spec)
        view = memoryview(memory).cast("B")
        if view.nbytes < layout.size:
            raise ProtocolError(f"{view.nbytes} bytes came as a ring buffer; wanted {layout.size}")
        self._bytes = view
        self._words = view[: layout.readers_at].cast("q")
        self._readers = view[layout.readers_at : layout.epochs_at].cast("q")
        self._epochs = view[layout.epochs_at : layout.entries_at].cast("q")
        # Words of the log, to look one of them up without decoding its line.
        self._lines = view[layout.entries_at : layout.entries_at + layout.n_entries * ENTRY.size].cast("q")
        ring = memoryview(memory if samples is None else samples)[layout.samples_at : layout.size]
        self.dtype = spec.np_dtype  # as a spec's properties are worked out at each use
        self.sample_shape = spec.sample_shape
        self.size = layout.n_samples
        self._array: npt.NDArray[Any] = np.frombuffer(ring, self.dtype).reshape(-1, *self.sample_shape)
        self._entries_at, self._mask = layout.entries_at, layout.n_entries - 1
        self._check(layout)

    def _check(self, layout: RingLayout) -> None:
        found = self._words[Word.N_SAMPLES], self._words[Word.SAMPLE_NBYTES], self._words[Word.N_ENTRIES]
        wanted = layout.n_samples, layout.sample_nbytes, layout.n_entries
        if self._words[Word.MAGIC] != MAGIC or found != wanted:
            raise ProtocolError("what came as a ring buffer is none of this stream and version")

    # --- how far the producer has come

    @property
    def nonce(self) -> int:
        """Number by which this ring is told from all others."""
        return self._words[Word.NONCE]

    @property
    def position(self) -> int:
        """Samples written so far, in all epochs."""
        return self._words[Word.POSITION]

    @property
    def first(self) -> int:
        """Number of the oldest entry that is still whole."""
        return self._words[Word.FIRST]

    @property
    def serial(self) -> int:
        """Number after the newest entry."""
        return self._words[Word.SERIAL]

    @property
    def epoch(self) -> int:
        """The present epoch; -1 before the first one."""
        return self._words[Word.EPOCH]

    @property
    def stop(self) -> int:
        """Absolute index after the newest sample of the epoch."""
        return self._words[Word.STOP]

    @property
    def running(self) -> bool:
        """Whether the epoch goes on."""
        return bool(self._words[Word.RUNNING])

    @property
    def closed(self) -> bool:
        """Whether the producer has ended for good."""
        return bool(self._words[Word.CLOSED])

    @property
    def overruns(self) -> int:
        """Samples lost before they reached the stream, in all epochs."""
        return self._words[Word.OVERRUNS]

    @property
    def wants_room(self) -> bool:
        """Whether the producer waits for its readers, and wants to hear from them."""
        return bool(self._words[Word.WANTS_ROOM])

    # --- the log

    def holds(self, serial: int) -> bool:
        """Whether an entry, and so what was read of it so far, is whole."""
        fence()
        return self._words[Word.FIRST] <= serial

    def entry(self, serial: int) -> Entry | None:
        """Look an entry up; None where it is no longer, or not yet, there."""
        if not self._words[Word.FIRST] <= serial < self._words[Word.SERIAL]:
            return None
        at = self._entries_at + (serial & self._mask) * ENTRY.size
        found, position, epoch, start, count, time_ns, uncertainty_ns, lost, length, reason = (
            ENTRY.unpack_from(self._bytes, at)
        )
        if not self.holds(serial) or found != serial:
            return None
        word = reason[:length].decode(errors="replace") if length else ""
        return Entry(serial, position, epoch, start, count, time_ns, uncertainty_ns, lost, word)

    def longer(self, entry: Entry, most: int) -> tuple[int, Entry]:
        """Make one entry of several that follow each other and lie side by side, ``most`` samples at most.

        Returns
        -------
        int
            Number of the entry after them.
        Entry
            All of them, with the number of the oldest: as long as the ring `holds` that, it holds all.
        """
        most = min(most, self.size - entry.position % self.size)  # up to where the ring wraps
        newest = self.newest_before(entry.position + most - 1)
        # Where as many indices as samples lie in between, nothing was lost there.
        level = entry.epoch, entry.start - entry.position
        last = bisect_right(range(newest + 1), level, lo=entry.serial, key=self._lag) - 1
        stop = self._stop_of(last)[1]
        if stop - entry.start > most:
            stop, last = self._start_of(last)[1], last - 1
        # What was looked at may be something else by now.
        if last <= entry.serial or not self.holds(entry.serial):
            return entry.serial + 1, entry
        return last + 1, msgspec.structs.replace(entry, count=stop - entry.start)

    def position_of(self, serial: int) -> int:
        """Samples written before an entry that is in the log."""
        return self._lines[(serial & self._mask) * ENTRY_WORDS + 1]

    def position_at(self, epoch: int, index: int) -> int:
        """Samples written before an index of an epoch.

        Of what the ring has forgotten between that and what it holds, it is not known what was an overrun:
        all of it counts as written.
        """
        entry = self.entry(self.reaching(epoch, index))
        if entry is not None and entry.epoch == epoch:
            gone = max(0, entry.start - entry.lost - index)
            return max(0, entry.position - gone + max(0, index - entry.start))
        for later in range(max(0, epoch), self.epoch + 1):
            if (span := self.span(later)) is not None:
                first, stop, position = span
                return max(0, position - max(0, stop - (index if later == epoch else first)))
        return self.position

    def _start_of(self, serial: int) -> tuple[int, int]:
        at = (serial & self._mask) * ENTRY_WORDS
        return self._lines[at + 2], self._lines[at + 3]

    def _stop_of(self, serial: int) -> tuple[int, int]:
        at = (serial & self._mask) * ENTRY_WORDS
        return self._lines[at + 2], self._lines[at + 3] + self._lines[at + 4]

    def _lag(self, serial: int) -> tuple[int, int]:
        epoch, start = self._start_of(serial)
        return epoch, start - self.position_of(serial)

    def bounds(self) -> tuple[int, int]:
        """Absolute indices of the oldest sample in the present epoch, and after the newest one."""
        entry = self.entry(self.begin_of(self.epoch))
        return (self.stop if entry is None else entry.start), self.stop

    def newest_before(self, position: int) -> int:
        """Number of the newest entry that begins at a position or before it; else of the oldest one."""
        first = self.first
        return max(first, bisect_right(range(self.serial), position, lo=first, key=self.position_of) - 1)

    def begin_of(self, epoch: int) -> int:
        """Number of the first entry of an epoch or of a later one."""
        return bisect_left(range(self.serial), (epoch, -1), lo=self.first, key=lambda s: self._start_of(s))

    def reaching(self, epoch: int, index: int) -> int:
        """Number of the first entry that ends after ``index`` of an epoch, or is of a later epoch."""
        return bisect_right(range(self.serial), (epoch, index), lo=self.first, key=self._stop_of)

    def span(self, epoch: int) -> tuple[int, int, int] | None:
        """First index of an epoch, index after its last, samples written up to there; None if forgotten."""
        at = (epoch % N_EPOCHS) * EPOCH_WORDS
        first, stop, position, found = self._epochs[at : at + EPOCH_WORDS]
        return (first, stop, position) if found == epoch and 0 <= epoch <= self.epoch else None

    # --- samples

    def segments(self, position: int, count: int) -> list[npt.NDArray[Any]]:
        """Views (no copy) of samples that were written together: one array, or two where the ring wraps."""
        if not count:
            return [self._array[:0]]
        at = position % self.size
        end = at + count
        if end <= self.size:
            return [self._array[at:end]]
        return [self._array[at:], self._array[: end - self.size]]

    def locate(self, start: int, stop: int, epoch: int | None = None) -> tuple[int, int]:
        """Find samples by absolute index: number of their first entry, and their position.

        Raises
        ------
        SamplesGone
            They are not, not yet, or no longer there, or there is a gap among them.
        """
        epoch = self.epoch if epoch is None else epoch
        if stop <= start:
            return self.first, 0
        first, last = self.entry(self.reaching(epoch, start)), self.entry(self.reaching(epoch, stop - 1))
        if first is not None and last is not None and first.epoch == last.epoch == epoch:
            position = first.position + start - first.start
            end = last.position + stop - last.start
            if first.start <= start and last.start < stop and end - position == stop - start:
                return first.serial, position
        raise SamplesGone(
            f"samples [{start}, {stop}) of epoch {epoch} asked for; the ring holds {self.describe(epoch)}"
        )

    def describe(self, epoch: int) -> str:
        """Say in words which samples of an epoch there are."""
        runs: list[list[int]] = []
        for serial in range(self.begin_of(epoch), self.serial):
            entry = self.entry(serial)
            if entry is None or not entry.count:
                continue
            if entry.epoch != epoch:
                break
            if runs and runs[-1][1] == entry.start:
                runs[-1][1] = entry.stop
            else:
                runs.append([entry.start, entry.stop])
        return ", ".join(f"[{a}, {b})" for a, b in runs) or "none of them"

    def read(self, start: int, stop: int, epoch: int | None = None) -> npt.NDArray[Any]:
        """Copy of samples ``[start, stop)``, shape (stop - start, ...); raises as `locate`."""
        serial, position = self.locate(start, stop, epoch)
        data = joined(self.segments(position, max(0, stop - start)))
        if len(data) and not self.holds(serial):
            raise SamplesGone(f"samples [{start}, {stop}) were overwritten while they were read")
        return data

    # --- a reader's own words

    def arm(self, slot: int, wanted: bool) -> None:
        """Say whether a reader waits and wants its bell rung."""
        self._readers[slot * READER_WORDS + ReaderWord.ARMED] = wanted

    def disarm(self, slot: int) -> bool:
        """Whether a reader waits; it does no longer."""
        at = slot * READER_WORDS  # and its first word, `ReaderWord.ARMED`
        if not self._readers[at]:
            return False
        self._readers[at] = 0
        return True

    def set_taken(self, slot: int, position: int) -> None:
        """Say up to which position a reader has dealt with everything."""
        self._readers[slot * READER_WORDS + ReaderWord.TAKEN] = position

    def taken(self, slot: int) -> int:
        """Up to which position a reader has dealt with everything."""
        return self._readers[slot * READER_WORDS + ReaderWord.TAKEN]
