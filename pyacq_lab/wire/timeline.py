"""One host's clock, turned into ours without ever turning two of its instants around."""

from __future__ import annotations

from bisect import bisect_left

STEP_NS = 1_000_000_000
"""Difference of two offsets that only a clock which was set explains: what was before says nothing then."""

_KEPT = 128  # pieces; an offset is carried on once a second


class _Piece:
    """Instants up to ``stop`` and after the piece before: corrected by an offset, to no less than a floor."""

    __slots__ = ("floor", "offset", "start", "stop")

    def __init__(self, start: int, stop: int, offset: int, floor: int | None) -> None:
        self.start, self.stop = start, stop
        self.offset = offset
        self.floor = floor

    def corrected(self, time_ns: int) -> int:
        corrected = time_ns - self.offset
        return corrected if self.floor is None or corrected > self.floor else self.floor


class Timeline:
    """A monotone function of one host's clock, which follows an offset that is measured again and again.

    A new offset counts for instants later than all that were asked for. Where it would turn two around the
    later one stands still until it is right. Two offsets that are further apart than `STEP_NS` begin a new
    timeline. Times are in ns; not safe from several threads at once.
    """

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []

    def follow(self, first_ns: int, last_ns: int, offset_ns: int) -> int | None:
        """Take note that instants between two are asked for, and how far the clock is ahead, as is known now.

        Returns
        -------
        int or None
            The offset of all of them, where they have one. Otherwise see `corrected`.
        """
        piece = self._pieces[-1] if self._pieces else None
        if piece is None or abs(self._piece_of(last_ns).offset - offset_ns) > STEP_NS:
            piece = _Piece(first_ns - 1, last_ns, offset_ns, None)
            self._pieces = [piece]
        elif last_ns > piece.stop:
            if offset_ns != piece.offset:
                piece = _Piece(piece.stop, last_ns, offset_ns, piece.corrected(piece.stop))
                self._pieces.append(piece)
                del self._pieces[:-_KEPT]
            else:
                piece.stop = last_ns
        if first_ns > piece.start and (piece.floor is None or first_ns - piece.offset >= piece.floor):
            return piece.offset
        return None

    def corrected(self, time_ns: int) -> int:
        """An instant that was told of by `follow`, by our clock."""
        piece = self._piece_of(time_ns)
        # What lies before the oldest piece is corrected as it is, whatever came before that.
        return piece.corrected(time_ns) if time_ns > piece.start else time_ns - piece.offset

    def _piece_of(self, time_ns: int) -> _Piece:
        at = bisect_left(self._pieces, time_ns, key=lambda piece: piece.stop)
        return self._pieces[min(at, len(self._pieces) - 1)]
