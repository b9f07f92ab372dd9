"""A process that logs as fast as it can: ``python -m tests.benchmarks.logsender HOW WHERE COUNT``.

``HOW`` is ``ours``, with the log server's public key for ``WHERE``, or ``socket``, with the port of a
receiver. It says where it can be reached, begins at a line on its stdin, and ends with its figures.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import mmap
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from pyacq_lab.transport.capture import LogCapture
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin
from pyacq_lab.transport.logship import LogShipper
from pyacq_lab.transport.logsocket import open_log_socket
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.wire.spool import SIZE, SpoolWriter

QUEUE = 20_000
log = logging.getLogger("bench.sender")


def ours(server_key: str, stack: ExitStack) -> Callable[[], None]:
    """Log as a nodegroup does; the result waits while the queue is more than half full."""
    reactor, keys = Reactor(), KeyPair.generate()
    socket, endpoint = open_log_socket(reactor, keys, lambda key: key == server_key, "127.0.0.1")
    origin = LogOrigin(host="bench", process=f"sender{os.getpid()}")
    spool = SpoolWriter(memoryview(mmap.mmap(-1, SIZE)))
    shipper = LogShipper(socket, origin, SystemClock(), spool=spool)
    capture = LogCapture(shipper)
    capture.install(logging.INFO)
    stack.callback(reactor.close)
    stack.callback(capture.uninstall)
    stack.callback(shipper.close, 60.0)
    print(endpoint, keys.public, flush=True)

    def have_room() -> None:
        while shipper.waiting > QUEUE // 2:
            time.sleep(0.01)  # half a queue lasts for longer

    return have_room


def plain(port: str, stack: ExitStack) -> Callable[[], None]:
    """Log with Python's own SocketHandler, which waits by itself."""
    handler = logging.handlers.SocketHandler("127.0.0.1", int(port))
    handler.createSocket()
    if handler.sock is None:
        raise RuntimeError("the receiver does not answer")
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.INFO)
    stack.callback(handler.close)
    print("ready", flush=True)
    return lambda: None


def main() -> None:
    """Say what is to be said, at once or with pauses."""
    how, where, count, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    with ExitStack() as stack:
        have_room = {"ours": ours, "socket": plain}[how](where, stack)
        sys.stdin.readline()
        calling, before = 0.0, time.process_time()
        for i in range(0, count, 100):
            have_room()
            begun = time.thread_time()
            for j in range(i, min(i + 100, count)):
                log.info("record number %d of channel %s", j, "left")
                if pause:
                    time.sleep(pause)
            calling += time.thread_time() - begun
        have_room()
        # What is on its way when a process ends comes by its host, and there is none here.
        sys.stdin.readline()
    print(json.dumps({"calling": calling / count, "all": (time.process_time() - before) / count}), flush=True)


if __name__ == "__main__":
    main()
