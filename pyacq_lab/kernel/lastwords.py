"""What a process had said before its end, and nobody may have heard: kept by its host."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pyacq_lab.errors import ProtocolError
from pyacq_lab.transport.spill import LogSpill
from pyacq_lab.transport.spool import Spool
from pyacq_lab.wire.logcodec import LogOrigin, encode_batch, encode_hole, span_of
from pyacq_lab.wire.spool import SpoolContent

logger = logging.getLogger(__name__)


class LastWordsKept:
    """A process's spool, and what did not fit into it and lies on disk.

    Parameters
    ----------
    name : str
        The process's name.
    spool : Spool or None
        What it shares with the host.
    spill : Path or None
        The folder that it was given.
    """

    def __init__(self, name: str, spool: Spool | None, spill: Path | None) -> None:
        self._name = name
        self._spool = spool
        self._folder = spill
        self._spill: LogSpill | None = None
        self._content: SpoolContent | None = None

    def read(self) -> None:
        """Read what is there. Called once, when the process has ended."""
        spool, self._spool = self._spool, None
        if spool is not None:
            try:
                self._content = spool.content()
            except ProtocolError as error:
                logger.error("the last words of nodegroup %s cannot be read: %s", self._name, error)
            finally:
                spool.close()
        if self._folder is not None and self._folder.is_dir():
            self._spill = LogSpill(self._folder)

    def after(self, seq: int, origin: LogOrigin) -> bytes | None:
        """Batch of the records from number ``seq`` on, a megabyte of them at most.

        Without bytes where there are no more: then all are forgotten. None where nothing was kept.
        """
        if self._content is None and self._spill is None:
            return None
        if self._spill is not None and seq < self._spill.stop:
            _, messages = self._spill.read(self._spill.position_of(seq), 1)
            if messages:
                return messages[0]
        runs = [] if self._content is None else self._content.after(seq)
        if not runs:
            self.forget()
            return b""
        first, words = runs[0]
        return encode_batch(first, origin, words)

    def unheard(self, origin: LogOrigin) -> Iterator[bytes]:
        """All that no log server has acknowledged, with a hole for what was dropped."""
        seq = 0 if self._content is None else self._content.heard
        while message := self.after(seq, origin):
            _, first, stop, _, time_ns = span_of(message)
            if first > seq:
                yield encode_hole(seq, origin, first - seq, time_ns)
            yield message
            seq = stop

    def forget(self) -> None:
        """Give back memory and files. Idempotent."""
        if self._spool is not None:
            self._spool.close()
        self._spool = self._content = None
        if self._spill is not None:
            self._spill.remove()
        self._spill = None
