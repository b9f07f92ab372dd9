"""Where a reader stands in a stream, so that it can be written down."""

from __future__ import annotations

import msgspec


class StreamPlace(msgspec.Struct, frozen=True):
    """A place in a stream as its producer counts: what a reader in another process may begin at.

    Attributes
    ----------
    nonce : int
        Which producer: another one once it was configured anew or its process restarted, for then it counts
        from the beginning.
    epoch : int
        Number of the epoch, as the producer counts them; -1: before its first one.
    start : int
        Absolute index of the first sample that the reader lacks.
    """

    nonce: int
    epoch: int
    start: int
