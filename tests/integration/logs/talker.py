"""A process that says things: run with the manager's public key and what to do; answers on stdout."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import warnings

from pyacq_lab.transport.capture import LogCapture
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin, hushed
from pyacq_lab.transport.logship import LogShipper
from pyacq_lab.transport.logsocket import open_log_socket
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.wire.spool import SIZE, SpoolWriter

log = logging.getLogger("talker")


class Tee:
    """What the kernel does with stdout and stderr."""

    def __init__(self, name, stream, shipper):
        self._name, self._stream, self._shipper = name, stream, shipper

    def write(self, text):
        self._shipper.printed(self._name, text)
        return self._stream.write(text)

    def flush(self):
        self._stream.flush()


def everything(n):
    for i in range(n):
        log.info("record %d", i)
    print("printed", "text")
    print("no end", end="")
    warnings.warn("old cable", stacklevel=1)

    def fail():
        raise ValueError("in a thread")

    thread = threading.Thread(target=fail, name="pump")
    thread.start()
    thread.join()

    async def main():
        capture.watch_loop(asyncio.get_running_loop())

        async def fail():
            raise ValueError("in a loop")

        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task
        gc.collect()

    asyncio.run(main())
    raise ValueError("in the main thread")


def burst(n):
    for i in range(n):
        log.info("record %d", i)


def shout(n):
    burst(n)
    with hushed():
        print("said", flush=True)
        sys.stdin.readline()  # until all has arrived
        print("dropped", shipper.dropped, flush=True)


def flood(n):
    for i in range(n):
        shipper.say(str(i))
    log.info("the end")
    with hushed():
        print("dropped", shipper.dropped, flush=True)
    sys.stdin.readline()


def killed(n):
    burst(n)
    while shipper.waiting:
        threading.Event().wait(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


allowed, name, task, n, size = sys.argv[1:]
reactor = Reactor()
keys = KeyPair.generate()
socket, endpoint = open_log_socket(reactor, keys, lambda key: key == allowed, "127.0.0.1")
memory = memoryview(bytearray(SIZE))
spool = SpoolWriter(memory, 2, int(size)) if int(size) else None
shipper = LogShipper(socket, LogOrigin(host="rig", process=name), SystemClock(), spool=spool)
capture = LogCapture(shipper)
capture.install(logging.INFO)
out = sys.stdout
sys.stdout, sys.stderr = Tee("stdout", sys.stdout, shipper), Tee("stderr", sys.stderr, shipper)
with hushed():
    print(endpoint, keys.public, flush=True)
if task == "burst":
    burst(int(n))
    with hushed():
        print("done", shipper.dropped, flush=True)
    sys.stdin.readline()
else:
    sys.stdin.readline()
    try:
        globals()[task](int(n))
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
unsent = shipper.close(timeout=20)
capture.uninstall()
reactor.close()
out.write(f"unsent {unsent} threads {threading.active_count()}\n")
