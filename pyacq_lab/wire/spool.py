"""The last words of a process, in memory that outlives it: layout of the spool.

A spool is a block of shared memory into which a process writes each record before it goes on, and which
its host reads once the process has ended. It is a ring of segments. A segment holds encoded records, one
behind the other, with consecutive numbers; its state is one word that says how many of them are whole. The
word is stored last, in one piece: whenever the process is killed, every record is there or it is not.

::

    words 0..3      magic, number of segments, bytes of a segment, state of the unfinished lines
    2 words each    number of a segment's first record; bytes used << 32 | records
    2 slots         unfinished lines; the state says which of both counts, and its length
    segments
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pyacq_lab.errors import ConfigurationError, ProtocolError
from pyacq_lab.wire.logcodec import Words

_MAGIC = 0x7079616371_000001
_HEADER = 4096
_SLOT = 16_384
_DATA = _HEADER + 2 * _SLOT
_MAX_SEGMENTS = 128
_LOW = 0xFFFF_FFFF

N_SEGMENTS = 8
SEGMENT = 1 << 20
SIZE = _DATA + N_SEGMENTS * SEGMENT
"""Bytes of a spool: some 50,000 records of usual length, or 7 MB of long ones, at least."""


class Unfinished(msgspec.Struct, frozen=True, array_like=True):
    """Lines that were flushed before their end, when ``stop`` records had been said."""

    stop: int
    words: list[Words]


_encode = msgspec.msgpack.Encoder().encode
_unfinished = msgspec.msgpack.Decoder(Unfinished)
_words = msgspec.msgpack.Decoder(list[Words])
_raws = msgspec.msgpack.Decoder(list[msgspec.Raw])


class SpoolWriter:
    """Writes a process's own spool. One thread at a time.

    Parameters
    ----------
    memory : memoryview
        Writable bytes, zero at first, shared with the host.
    n_segments, segment : int
        How many, and the bytes of each; a record must fit into one.
    """

    def __init__(self, memory: memoryview, n_segments: int = N_SEGMENTS, segment: int = SEGMENT) -> None:
        if not 2 <= n_segments <= _MAX_SEGMENTS or len(memory) < _DATA + n_segments * segment:
            raise ConfigurationError(
                f"{n_segments} segments of {segment} bytes do not fit into {len(memory)} bytes"
            )
        self._memory = memory
        self._head = memory[:_HEADER].cast("Q")
        self._n_segments = n_segments
        self._segment = segment
        self._current = 0
        self._at = _DATA
        self._end = 0  # none is begun: the first record begins one
        self._used = self._count = 0
        self._slot = 0
        self._head[1], self._head[2] = n_segments, segment
        self._head[0] = _MAGIC

    def write(self, seq: int, words: bytes) -> None:
        """Keep a record; its number follows on the one before."""
        size = len(words)
        end = self._at + size
        if end > self._end:
            if not self._begin_segment(seq, size):
                return
            end = self._at + size
        self._memory[self._at : end] = words
        self._at = end
        self._used += size
        self._count += 1
        self._head[5 + 2 * self._current] = self._used << 32 | self._count

    def write_unfinished(self, stop: int, words: list[Words]) -> None:
        """Keep lines that have no end yet, instead of those that were kept before."""
        data = _encode(Unfinished(stop, words)) if words else b""
        if len(data) > _SLOT:
            return  # rather the ones before than half of these
        self._slot = 1 - self._slot
        begin = _HEADER + self._slot * _SLOT
        self._memory[begin : begin + len(data)] = data
        self._head[3] = self._slot << 32 | len(data)

    def release(self) -> None:
        """Let go of the memory: it is somebody else's from now on, as in a fork of this process."""
        self._head.release()
        self._memory.release()

    def _begin_segment(self, seq: int, size: int) -> bool:
        if size > self._segment:
            self._end = 0  # numbers in a segment have no holes: the next record begins another
            return False
        self._current = (self._current + 1) % self._n_segments
        self._head[5 + 2 * self._current] = 0
        self._head[4 + 2 * self._current] = seq
        self._at = _DATA + self._current * self._segment
        self._end = self._at + self._segment
        self._used = self._count = 0
        return True


class SpoolContent:
    """What the spool of an ended process holds.

    Parameters
    ----------
    read : callable
        ``read(begin, size)`` gives bytes of the spool. Asked for what is used and for no more: the rest
        need not take memory.

    Attributes
    ----------
    stop : int
        Number behind the last record; 0 where the process has said nothing.

    Raises
    ------
    ProtocolError
        It is no spool, or a damaged one.
    """

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._runs: list[tuple[int, list[msgspec.Raw]]] = []
        self.stop = 0
        data = read(0, _HEADER)
        if len(data) < _HEADER:
            raise ProtocolError(f"{len(data)} bytes came as a spool")
        head = memoryview(data).cast("Q")
        if head[0] == 0:
            return  # the process did not come to write
        if head[0] != _MAGIC or not 2 <= head[1] <= _MAX_SEGMENTS:
            raise ProtocolError("what came as a spool is none of this version")
        try:
            self._read(read, head)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProtocolError(f"a damaged spool: {error}") from None

    def _read(self, read: Callable[[int, int], bytes], head: memoryview) -> None:
        for i in range(head[1]):
            first, state = head[4 + 2 * i], head[5 + 2 * i]
            count, begin = state & _LOW, _DATA + i * head[2]
            if count:
                # Records that follow on each other are a list, once its head is put before them.
                run = b"\xdd" + count.to_bytes(4, "big") + read(begin, state >> 32)
                self._runs.append((first, _raws.decode(run)))
        self._runs.sort(key=lambda run: run[0])
        if self._runs:
            first, words = self._runs[-1]
            self.stop = first + len(words)
        begin = _HEADER + (head[3] >> 32) * _SLOT
        kept = read(begin, head[3] & _LOW)
        if kept and (left := self._left_open(_unfinished.decode(kept))):
            self._runs.append((self.stop, [msgspec.Raw(_encode(words)) for words in left]))
            self.stop += len(left)

    def _left_open(self, unfinished: Unfinished) -> list[Words]:
        """Lines without an end that did not get one before the process ended."""
        since = [w for _, run in self.after(unfinished.stop) for w in _decode(run)]
        done = {(words.stream, words.thread) for words in since}
        return [words for words in unfinished.words if (words.stream, words.thread) not in done]

    def after(self, seq: int) -> list[tuple[int, list[msgspec.Raw]]]:
        """Records with numbers from ``seq`` on: runs of consecutive ones, each with its first number."""
        found: list[tuple[int, list[msgspec.Raw]]] = []
        for first, run in self._runs:
            skip = max(0, seq - first)
            if skip < len(run):
                found.append((first + skip, run[skip:]))
        return found


def _decode(run: list[msgspec.Raw]) -> list[Words]:
    return _words.decode(_encode(run))
