"""Real processes for system tests: host servers, and scripts that act as a notebook."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import psutil

PACKAGE = Path(__file__).parents[2]
PATIENCE = 30.0

_INVITATION = re.compile(r'manager\.add_host\("(?P<endpoint>[^"]+)", key="(?P<key>[^"]+)"\)')

# A host server whose clock, and that of all that it starts, is wrong from the beginning. A number of ns on
# its standard input makes it jump.
SHIFTED_HOST = """
import asyncio, sys, threading
from pyacq_lab.host.server import HostServer
from pyacq_lab.transport.clock import SystemClock

clock = SystemClock(SystemClock().anchor_ns + int(sys.argv[3]))

def listen():
    for line in sys.stdin:
        clock.anchor_ns += int(line)
        print("jumped", flush=True)

async def serve():
    host = HostServer(sys.argv[1], name=sys.argv[2], clock=clock)
    await host.start()
    print(host.endpoint, host.invitation, flush=True)
    threading.Thread(target=listen, daemon=True).start()
    await host.serve()

asyncio.run(serve())
"""

# Runs in a nodegroup: a child in the nodegroup's session and one that has left it.
SPAWN_CHILDREN = """
import subprocess
children = [subprocess.Popen(["sleep", "600"], start_new_session=new) for new in (False, True)]
print("children", *[c.pid for c in children])
"""


class Program:
    """A process whose standard output is read line by line and whose standard error goes to a file."""

    def __init__(self, command: list[str], folder: Path, prefix: Iterable[str] = (), **env: str) -> None:
        self._errors = folder / f"stderr-{os.urandom(4).hex()}"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*prefix, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": str(PACKAGE), **env},
                start_new_session=True,
            )
        self.said: list[str] = []

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stdout(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def line(self) -> str:
        """Next line of its standard output; its standard error is shown where there is none."""
        line = self.stdout.readline()
        if not line:
            raise AssertionError(f"the program said no more; its standard error:\n{self.errors()}")
        self.said.append(line.rstrip("\n"))
        return self.said[-1]

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def errors(self) -> str:
        return self._errors.read_text()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        return self.process.wait(timeout)

    def close(self) -> None:
        """Kill it where it still runs, and close its pipes."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.stdout):
            if pipe is not None:
                pipe.close()


class Host(Program):
    """A host server as a program of its own."""

    def __init__(self, folder: Path, endpoint: str = "tcp://127.0.0.1:0", *options: str, **more: Any) -> None:
        super().__init__([sys.executable, "-m", "pyacq_lab.host", endpoint, *options], folder, **more)
        match = _INVITATION.fullmatch(self.line())
        assert match, self.said
        self.endpoint, self.invitation = match["endpoint"], match["key"]
        self.key, self.token = self.invitation[:40], self.invitation[40:]


class Script(Program):
    """A Python script that acts as the notebook. It prints what it has to say."""

    def __init__(self, code: str, folder: Path, *arguments: str, **more: Any) -> None:
        super().__init__([sys.executable, "-c", code, *arguments], folder, **more)


def numbers(line: str) -> list[int]:
    """All whole numbers in a line."""
    return [int(n) for n in re.findall(r"\d+", line)]


def children_of(result: Any) -> list[int]:
    """Process ids that `SPAWN_CHILDREN` printed, from what ``nodegroup.run`` gave."""
    return numbers(str(result.stdout if hasattr(result, "stdout") else result))


def all_gone(pids: Iterable[int]) -> bool:
    """Whether none of the processes runs. A dead one that nobody has reaped is gone."""
    return not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    return [pid, *(p.pid for p in psutil.Process(pid).children(recursive=True))]
