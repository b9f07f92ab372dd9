"""What the log server is measured against: the receiver of Python's logging cookbook."""

from __future__ import annotations

import logging
import pickle
import socketserver
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class CookbookReceiver(socketserver.ThreadingTCPServer):
    """Receives pickled records of `logging.handlers.SocketHandler`, a thread for each sender.

    Parameters
    ----------
    path : Path or None
        Where a logger of its own writes them, as in the cookbook; None keeps the newest 100,000 in memory
        and does no more with them.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64  # a SocketHandler that cannot connect at once throws records away

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._logger = None if path is None else _file_logger(path)
        self.kept: deque[logging.LogRecord] = deque(maxlen=100_000)
        self.latencies: list[float] = []
        self.counts: dict[int, int] = {}

    def close_file(self) -> None:
        """Close the file, if there is one."""
        for handler in [] if self._logger is None else list(self._logger.handlers):
            handler.close()
            logging.getLogger("cookbook").removeHandler(handler)

    @property
    def count(self) -> int:
        """Records that have come."""
        return sum(list(self.counts.values()))

    def take(self, record: logging.LogRecord) -> None:
        """Take one record; the sender's thread."""
        if self._logger is None:
            self.kept.append(record)
        else:
            self._logger.handle(record)
        me = threading.get_ident()
        self.counts[me] = self.counts.get(me, 0) + 1
        if len(self.latencies) < 10_000:
            self.latencies.append(time.time() - record.created)


def _file_logger(path: Path) -> logging.Logger:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(relativeCreated)5d %(name)-15s %(levelname)-8s %(message)s"))
    logger = logging.getLogger("cookbook")
    logger.propagate = False
    logger.handlers[:] = [handler]
    return logger


class _Handler(socketserver.StreamRequestHandler):
    """As in the cookbook, but for reading whole: that one gives up where a length comes in two pieces."""

    def handle(self) -> None:
        server: Any = self.server
        while True:
            chunk = self.rfile.read(4)
            if len(chunk) < 4:
                return
            chunk = self.rfile.read(struct.unpack(">L", chunk)[0])
            server.take(logging.makeLogRecord(pickle.loads(chunk)))


@contextmanager
def cookbook_receiver(path: Path | None) -> Iterator[CookbookReceiver]:
    """A receiver that serves."""
    with CookbookReceiver(path) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
            receiver.close_file()
