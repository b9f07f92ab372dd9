"""Where everything lies in the memory of a stream's ring buffer.

::

    words           magic, sizes, and how far the producer has come
    readers         a line of words for each reader of this machine
    epochs          first index, index after the last, samples written up to there, number
    entries         the log of the chunks: a line for each
    samples         the ring itself

All numbers are signed 64-bit words of the machine: nothing but this machine reads them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pyacq_lab.model.stream import StreamSpec

MAGIC = 0x7079616371_02
WORD = 8

N_READERS = 128
READER_WORDS = 8  # a cache line, so that readers do not slow each other

N_EPOCHS = 1024  # a reader that is further behind hears of its losses in the last epochs only
EPOCH_WORDS = 4

ENTRY = struct.Struct("<9q56s")
ENTRY_WORDS = ENTRY.size // WORD
REASON_BYTES = 56
MIN_ENTRIES, MAX_ENTRIES = 64, 16384

PAGE = 4096


class Word:
    """Numbers of the words at the beginning."""

    MAGIC = 0
    NONCE = 1
    N_SAMPLES = 2
    SAMPLE_NBYTES = 3
    N_ENTRIES = 4
    FIRST = 8  # number of the oldest entry whose samples are still whole
    SERIAL = 16  # number after the newest entry; stored last
    POSITION = 17  # samples written in all epochs
    EPOCH = 18
    STOP = 19  # index after the newest sample of the epoch
    RUNNING = 20
    OVERRUNS = 21
    CLOSED = 22
    WANTS_ROOM = 23  # 1 while the producer waits for readers to take something


class ReaderWord:
    """Numbers of the words in a reader's line."""

    ARMED = 0  # 1 while the reader waits, and wants its bell rung
    TAKEN = 1  # position up to which it has dealt with everything


@dataclass(frozen=True, slots=True)
class RingLayout:
    """Offsets and sizes, bytes.

    Attributes
    ----------
    n_samples, sample_nbytes : int
        Size of the ring, and of one sample.
    n_entries : int
        Lines of the log, a power of two.
    """

    n_samples: int
    sample_nbytes: int
    n_entries: int

    @classmethod
    def of(cls, spec: StreamSpec) -> RingLayout:
        """Layout for a stream."""
        n_entries = 1 << (spec.ring_size - 1).bit_length()
        return cls(spec.ring_size, spec.sample_nbytes, min(MAX_ENTRIES, max(MIN_ENTRIES, n_entries)))

    @property
    def readers_at(self) -> int:
        """Where the readers' lines begin."""
        return PAGE

    @property
    def epochs_at(self) -> int:
        """Where the epochs' lines begin."""
        return self.readers_at + N_READERS * READER_WORDS * WORD

    @property
    def entries_at(self) -> int:
        """Where the log begins."""
        return self.epochs_at + N_EPOCHS * EPOCH_WORDS * WORD

    @property
    def samples_at(self) -> int:
        """Where the samples begin: at a page's border, so that they can be mapped by themselves."""
        end = self.entries_at + self.n_entries * ENTRY.size
        return -(-end // PAGE) * PAGE

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.samples_at + self.n_samples * self.sample_nbytes
