"""What a process has said and nobody may have heard yet, in memory that outlives it: layout of the spool.

A spool is a block of memory into which a process writes each record before it goes on, and from which it
sends them. Its host shares it, and reads it once the process has ended. It is a ring of segments. A segment
holds encoded records, one behind the other, with consecutive numbers; its state is one word that says how
many of them are whole. The word is stored last, in one piece: whenever the process is killed, every record
is there or it is not.

::

    words 0..7      magic, number of segments, bytes of a segment, state of the unfinished lines,
                    number of the first record that no log server has acknowledged
    2 words each    number of a segment's first record; bytes used << 32 | records
    2 slots         unfinished lines; the state says which of both counts, and its length
    segments
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pyacq_lab.errors import ConfigurationError, ProtocolError
from pyacq_lab.wire.logcodec import Words

_MAGIC = 0x7079616371_000002
_HEADER = 4096
_SLOT = 16_384
_DATA = _HEADER + 2 * _SLOT
_MAX_SEGMENTS = 128
_LOW = 0xFFFF_FFFF
_PAIRS = 8  # word at which those of the segments begin
_HEARD = 4

N_SEGMENTS = 8
SEGMENT = 1 << 20
SIZE = _DATA + N_SEGMENTS * SEGMENT
"""Bytes of a spool: some 50,000 records of usual length, or 7 MB of long ones, at least."""


BLOCK = 64 * 1024
"""Bytes of records that are sent together, about: one that is longer goes alone."""


class Run(NamedTuple):
    """Records ``[first, stop)``, one encoded behind the other."""

    first: int
    stop: int
    data: bytes


class _Block(NamedTuple):
    """Where records ``[first, stop)`` lie."""

    first: int
    stop: int
    begin: int
    end: int


class Unfinished(msgspec.Struct, frozen=True, array_like=True):
    """Lines that were flushed before their end, when ``stop`` records had been said."""

    stop: int
    words: list[Words]


_encode = msgspec.msgpack.Encoder().encode
_unfinished = msgspec.msgpack.Decoder(Unfinished)
_words = msgspec.msgpack.Decoder(list[Words])
_raws = msgspec.msgpack.Decoder(list[msgspec.Raw])


class SpoolWriter:
    """Writes a process's own spool, and reads what has not been heard. One thread at a time.

    Parameters
    ----------
    memory : memoryview
        Writable bytes, zero at first, shared with the host.
    n_segments, segment : int
        How many, and the bytes of each; a record must fit into one.

    Attributes
    ----------
    heard : int
        Number of the first record that no log server has acknowledged.
    lost : int
        Records that made room for newer ones before they were released, or that fitted nowhere.
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
        self._size = n_segments * segment
        self._current = 0
        self._begin = self._at = _DATA
        self._end = 0  # of the block, at most; none is begun: the first record begins one
        self._count = 0
        self._slot = 0
        self._blocks: deque[_Block] = deque()  # closed and not released
        self._block_first = self._block_count = 0  # of the open one: first number; records before it
        self._block_begin = _DATA
        self._held = 0  # bytes and records in closed blocks
        self._n_held = 0
        self.heard = 0
        self.lost = 0
        self._head[1], self._head[2] = n_segments, segment
        self._head[0] = _MAGIC

    @property
    def fullness(self) -> float:
        """Share of the memory that holds records which were not released."""
        return (self._held + self._at - self._block_begin) / self._size

    @property
    def held(self) -> int:
        """Records that were not released."""
        return self._n_held + self._count - self._block_count

    def write(self, seq: int, words: bytes) -> None:
        """Keep a record; its number follows on the one before."""
        end = self._at + len(words)
        if end > self._end:
            if not self._make_room(seq, len(words)):
                return
            end = self._at + len(words)
        self._memory[self._at : end] = words
        self._at = end
        self._count += 1
        self._head[_PAIRS + 1 + 2 * self._current] = (end - self._begin) << 32 | self._count

    def write_unfinished(self, stop: int, words: list[bytes]) -> None:
        """Keep lines that have no end yet, instead of those that were kept before.

        Where there is no room for all, the last ones are kept.
        """
        data = b""
        if words:
            data = _pack(stop, words)
            while len(data) > _SLOT:
                data = _pack(stop, words := words[1:])
        self._slot = 1 - self._slot
        begin = _HEADER + self._slot * _SLOT
        self._memory[begin : begin + len(data)] = data
        self._head[3] = self._slot << 32 | len(data)

    def read(self, seq: int) -> Run | None:
        """Oldest records, about `BLOCK` bytes of them, from the one that holds number ``seq`` on, or later.

        Those that were released are not given again.
        """
        for block in self._blocks:
            if block.stop > seq:
                return self._run(block)
        self._close_block()
        return self._run(self._blocks[-1]) if self._blocks and self._blocks[-1].stop > seq else None

    def release(self, stop: int) -> None:
        """Let go of the records before number ``stop``: they are kept elsewhere."""
        while self._blocks and self._blocks[0].stop <= stop:
            self._forget_block()

    def hear(self, stop: int) -> None:
        """Note that a log server has acknowledged the records before number ``stop``, and release them."""
        if stop > self.heard:
            self.heard = stop
            self._head[_HEARD] = stop
            self.release(stop)

    def let_go(self) -> None:
        """Let go of the memory: it is somebody else's from now on, as in a fork of this process."""
        self._head.release()
        self._memory.release()

    def _run(self, block: _Block) -> Run:
        return Run(block.first, block.stop, bytes(self._memory[block.begin : block.end]))

    def _make_room(self, seq: int, size: int) -> bool:
        """Close the block and begin one in which a record has room, in the next segment if need be."""
        self._close_block()
        if size > self._segment:
            self._end = 0  # numbers in a segment have no holes: the next record begins another
            self.lost += 1
            return False
        left = self._begin + self._segment - self._at
        if not self._end or size > left:
            self._begin_segment(seq)
            left = self._segment
        self._block_first, self._block_count, self._block_begin = seq, self._count, self._at
        self._end = self._at + min(left, max(size, BLOCK))
        return True

    def _begin_segment(self, seq: int) -> None:
        self._current = (self._current + 1) % self._n_segments
        self._begin = self._at = _DATA + self._current * self._segment
        while self._blocks and 0 <= self._blocks[0].begin - self._begin < self._segment:
            first, stop, *_ = self._blocks[0]
            self.lost += stop - max(first, min(stop, self.heard))
            self._forget_block()
        self._head[_PAIRS + 1 + 2 * self._current] = 0
        self._head[_PAIRS + 2 * self._current] = seq
        self._count = 0

    def _close_block(self) -> None:
        n = self._count - self._block_count
        if n:
            self._blocks.append(_Block(self._block_first, self._block_first + n, self._block_begin, self._at))
            self._held += self._at - self._block_begin
            self._n_held += n
            self._block_first += n
            self._block_count, self._block_begin = self._count, self._at
            if self._end:
                self._end = min(self._begin + self._segment, self._at + BLOCK)

    def _forget_block(self) -> None:
        first, stop, begin, end = self._blocks.popleft()
        self._held -= end - begin
        self._n_held -= stop - first


def _pack(stop: int, words: list[bytes]) -> bytes:
    """Bytes of an `Unfinished` whose lines are encoded already."""
    return b"".join((b"\x92", _encode(stop), b"\xdd", len(words).to_bytes(4, "big"), *words))


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
    heard : int
        Number of the first record that no log server has acknowledged.

    Raises
    ------
    ProtocolError
        It is no spool, or a damaged one.
    """

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._runs: list[tuple[int, list[msgspec.Raw]]] = []
        self.stop = self.heard = 0
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
        self.heard = head[_HEARD]
        for i in range(head[1]):
            first, state = head[_PAIRS + 2 * i], head[_PAIRS + 1 + 2 * i]
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
