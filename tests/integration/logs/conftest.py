import subprocess
import sys
import threading
import time
from functools import cached_property
from pathlib import Path

import pytest

from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin
from pyacq_lab.transport.reactor import Reactor


class Talker:
    """A process that says things; see talker.py."""

    def __init__(self, server_keys, name, task, n=0, size=0):
        script = Path(__file__).with_name("talker.py")
        command = [sys.executable, str(script), server_keys.public, name, task, str(n), str(size)]
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @cached_property
    def reachable(self):
        """Its endpoint and key; read when they are wanted, so that several start at once."""
        return self._read_line().split()

    @property
    def endpoint(self):
        return self.reachable[0]

    @property
    def key(self):
        return self.reachable[1]

    def line(self):
        """What it writes next, after where it can be reached."""
        return self.reachable and self._read_line()

    def _read_line(self):
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"the talker ended: {self.process.stderr.read()}")
        return line

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def finish(self):
        """What it wrote to stdout and stderr until its end."""
        out, err = self.process.communicate(timeout=60)
        return out, err


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before)


@pytest.fixture
def reactor():
    reactor = Reactor("test-reactor")
    yield reactor
    reactor.close()  # hangs where a socket was left open


@pytest.fixture
def keys():
    return KeyPair.generate()


@pytest.fixture
def server(reactor, keys):
    server = LogServer(reactor, keys, SystemClock(), LogOrigin(host="lab", process="manager"))
    yield server
    server.close()


@pytest.fixture
def patient_server(reactor, keys):
    """A server for which nothing is late, however busy the machine is."""
    origin = LogOrigin(host="lab", process="manager")
    server = LogServer(reactor, keys, SystemClock(), origin, watermark=5)
    yield server
    server.close()


@pytest.fixture
def talker(keys):
    talkers = []

    def start(*args, **kwargs):
        talkers.append(Talker(keys, *args, **kwargs))
        return talkers[-1]

    yield start
    for talker in talkers:
        talker.process.kill()
        talker.process.communicate()


def until(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout} s in vain")
        time.sleep(0.01)
    return value


@pytest.fixture(name="until")
def _until():
    return until
