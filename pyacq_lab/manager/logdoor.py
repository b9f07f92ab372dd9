"""The log of a manager, as it is reached from another process."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from pyacq_lab.manager.logformat import LogPrinter
from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.model.logs import LogRecord

_N_PIECE = 2000  # records
_MAX_PIECE = 4_000_000  # bytes, unless one record is larger

encode_records = msgspec.msgpack.Encoder().encode
decode_records = msgspec.msgpack.Decoder(list[LogRecord]).decode

LogPiece = tuple[int, int, bytes]
"""Index of the first record, index after the newest one that there is, and some records from the first on."""


class LogDoor:
    """A log server for another process: hears it, gives it the records in pieces, prints them for it.

    Parameters
    ----------
    server : LogServer
        Whose records they are.
    """

    def __init__(self, server: LogServer) -> None:
        self._server = server
        self._end_printing: Callable[[], None] | None = None

    def log_piece(self, start: int) -> LogPiece:
        """Records in memory from an index on, as many as travel well at a time."""
        store = self._server.store
        n = _N_PIECE
        while True:
            first, records = store.read_from(start, n)
            encoded = encode_records(records)
            if len(encoded) <= _MAX_PIECE or n == 1:
                return first, store.stop, encoded
            n = max(1, n // 8)

    def hear(self, endpoint: str, public_key: str, source: str) -> None:
        """Listen to a process; as `LogServer.connect`."""
        self._server.connect(endpoint, public_key, source)

    def print_log(self, on: bool, colour: bool = False) -> None:
        """Print records on this process's standard error from now on, or no more."""
        if on and self._end_printing is None:
            self._end_printing = self._server.subscribe(LogPrinter(sys.stderr, colour=colour))
        elif not on and self._end_printing is not None:
            self._end_printing()
            self._end_printing = None
