"""The producer's side of a ring buffer: `streamring` has the readers' side, and the rules of both."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.ringlayout import (
    ENTRY,
    EPOCH_WORDS,
    MAGIC,
    N_EPOCHS,
    REASON_BYTES,
    RingLayout,
    Word,
)
from pyacq_lab.transport.streamring import StreamRing, fence


class RingWriter(StreamRing):
    """The producer's side of a ring; one thread at a time.

    Parameters
    ----------
    spec : StreamSpec
        What the samples are; the ring holds ``spec.ring_size`` of them.
    memory : buffer, optional
        Memory of zeros that others may map; the process's own unless given.
    """

    def __init__(self, spec: StreamSpec, memory: Any = None) -> None:
        layout = RingLayout.of(spec)
        if memory is None:
            memory = np.zeros(layout.size, np.uint8)
        words = memoryview(memory).cast("B")[: layout.readers_at].cast("q")
        words[Word.N_SAMPLES], words[Word.SAMPLE_NBYTES] = layout.n_samples, layout.sample_nbytes
        words[Word.N_ENTRIES], words[Word.NONCE] = layout.n_entries, secrets.randbits(62)
        words[Word.EPOCH], words[Word.MAGIC] = -1, MAGIC
        super().__init__(memory, spec)
        # What it has told the memory, as it knows it itself: nobody else writes these words.
        self._first = self._serial = self._position = self._stop = 0
        self._epoch = -1

    def begin_epoch(self, first: int = 0, epoch: int | None = None) -> int:
        """Start counting anew, from sample ``first``; returns the new epoch's number: usually the next."""
        self._epoch = self._epoch + 1 if epoch is None else epoch
        self._stop = first
        self._mark_epoch(first)
        self._words[Word.STOP] = first
        self._words[Word.EPOCH] = self._epoch
        return self._epoch

    def set_running(self, running: bool) -> None:
        """Say whether the epoch goes on."""
        self._words[Word.RUNNING] = running

    def set_closed(self) -> None:
        """Say that nothing will come any more."""
        self._words[Word.RUNNING] = False
        self._words[Word.CLOSED] = True

    def want_room(self, wanted: bool) -> None:
        """Say whether the producer waits for its readers."""
        self._words[Word.WANTS_ROOM] = wanted
        fence()

    def forget(self) -> None:
        """Forget all samples."""
        self._first = self._words[Word.FIRST] = self._serial

    def write(
        self,
        data: npt.NDArray[Any],
        time_ns: int = 0,
        uncertainty_ns: int = -1,
        lost: int = 0,
        reason: str = "overrun",
    ) -> None:
        """Append a chunk, after ``lost`` samples that never reached the stream, for this ``reason``.

        A chunk without samples is the place for a loss at the very end. One longer than half the ring is
        written as several, for it could never be read whole.
        """
        count = len(data)
        if not lost and not count:
            return
        most = self.size // 2 or 1
        if count <= most:
            self._append(data, time_ns, uncertainty_ns, lost, reason)
            return
        for at in range(0, count, most):
            when = time_ns + round(at / self.spec.sample_rate * 1e9)
            self._append(data[at : at + most], when, uncertainty_ns, lost, reason)
            lost = 0

    def _append(
        self, data: npt.NDArray[Any], time_ns: int, uncertainty_ns: int, lost: int, reason: str
    ) -> None:
        words, size = self._words, self.size
        count, serial, position = len(data), self._serial, self._position
        # Say what will be gone, before it is.
        oldest, first = position + count - size, max(self._first, serial - self._mask)
        while first < serial and self.position_of(first) < oldest:
            first += 1
        if first != self._first:
            self._first = words[Word.FIRST] = first
            fence()
        at = position % size
        end = at + count
        if end <= size:
            self._array[at:end] = data
        else:
            self._array[at:] = data[: size - at]
            self._array[: end - size] = data[size - at :]
        start = self._stop + lost
        word = reason.encode()[:REASON_BYTES] if lost else b""
        line = self._entries_at + (serial & self._mask) * ENTRY.size
        ENTRY.pack_into(
            self._bytes, line,
            serial, position, self._epoch, start, count, time_ns, uncertainty_ns, lost, len(word), word,
        )  # fmt: skip
        fence()
        self._serial = words[Word.SERIAL] = serial + 1
        # After it: whoever reads the ring of a killed producer is not to wait for what was never finished.
        self._stop = words[Word.STOP] = start + count
        self._position = words[Word.POSITION] = position + count
        self._mark_epoch()
        if lost:
            words[Word.OVERRUNS] += lost

    def _mark_epoch(self, first: int | None = None) -> None:
        at = (self._epoch % N_EPOCHS) * EPOCH_WORDS
        if first is not None:
            self._epochs[at + 3] = -1
            self._epochs[at] = first
        self._epochs[at + 1], self._epochs[at + 2] = self._stop, self._position
        if first is not None:
            self._epochs[at + 3] = self._epoch
