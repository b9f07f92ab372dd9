"""The two ends of a stream as programs of their own, which are told what to do line by line."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from programs import Script

from pyacq_lab import OutputStream

_ANSWERS = """
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""

_WRITER = """
import json, sys, threading, time
import msgspec
import numpy as np
from pyacq_lab import OutputStream

output = OutputStream("raw")
output.configure(dtype="int64", shape=(-1,), sample_rate=1000.0, **json.loads(sys.argv[1]))

def address():
    return msgspec.to_builtins(output.address)

def write(count, times=1):
    for _ in range(times):
        output.send(np.arange(output.next_index, output.next_index + count))
    return output.next_index

def acknowledge(count):
    'Write for good, and say after each chunk how far it has come.'
    while True:
        print(write(count), flush=True)

class Live(threading.Thread):
    'Writes 1000 samples a second.'

    def __init__(self):
        super().__init__(daemon=True)
        self.stop = threading.Event()

    def run(self):
        begun = time.monotonic()
        while not self.stop.wait(0.01):
            due = int((time.monotonic() - begun) * 1000) - output.next_index
            if due > 0:
                write(due)

    def end(self):
        self.stop.set()
        self.join()
        return output.next_index

live = Live()

def accounts():
    return [msgspec.to_builtins(r) for r in output.readers()]
"""

_READER = """
import json, sys, threading
import msgspec
import numpy as np
from pyacq_lab import Chunk, InputStream

class Reading:
    'Reads in a thread, and counts by itself.'

    def __init__(self, address, pause=0.0, **options):
        self.stream = InputStream(**options).connect(address)
        self.pause, self.received, self.bad, self.gaps = pause, 0, 0, []
        self.place, self.over = None, False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for item in self.stream:
            if self.place is not None and self.place != (item.epoch, item.start):
                self.bad += 1
            self.place = item.epoch, item.stop
            if isinstance(item, Chunk):
                self.received += len(item)
                self.bad += int((item.data != np.arange(item.start, item.stop)).sum())
            else:
                self.gaps.append((item.start, item.stop))
            if self.pause:
                threading.Event().wait(self.pause)
        self.over = True

    def account(self):
        ledger = self.stream.ledger()
        return {
            "received": self.received, "bad": self.bad, "gaps": self.gaps, "place": self.place,
            "over": self.over, "linked": self.stream.linked, "ended": self.stream.ended,
            "ledger": msgspec.to_builtins(ledger), "pending": ledger.pending,
        }

readings = []

def join(address, count=1, **options):
    readings.extend(Reading(address, **options) for _ in range(count))
    return [r.stream.transfermode for r in readings]

def accounts():
    return [r.account() for r in readings]
"""


class End(Script):
    """One end of a stream in a process of its own."""

    code = ""

    def __init__(self, folder: Any, *arguments: str, **more: Any) -> None:
        super().__init__(self.code + _ANSWERS, folder, *arguments, **more)

    def ask(self, code: str) -> Any:
        self.tell(code)
        return json.loads(self.line())

    def accounts(self) -> list[dict[str, Any]]:
        return self.ask("accounts()")


class Writer(End):
    """The producing end: ``write(count, times)``, ``acknowledge(count)``, ``live.start()``."""

    code = _WRITER

    def __init__(self, folder: Any, options: dict[str, Any], **more: Any) -> None:
        super().__init__(folder, json.dumps(options), **more)
        self.address: dict[str, Any] = self.ask("address()")


class Reader(End):
    """Readers of a stream, each in a thread: ``join(address, count, **options)``."""

    code = _READER

    def join(
        self, source: OutputStream | Writer, mode: str = "auto", count: int = 1, **options: Any
    ) -> list[str]:
        """Begin to read; returns how each of this process's readers does."""
        address = source.address if isinstance(source, Writer) else msgspec.to_builtins(source.address)
        said = ", ".join(f"{k}={v!r}" for k, v in (options | {"transfermode": mode}).items())
        return self.ask(f"join({address!r}, {count}, {said})")
