"""A manager as a program, for a notebook that wants it in a process of its own."""

from __future__ import annotations

import os
import sys

import msgspec

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.logdoor import LogDoor
from pyacq_lab.manager.manager import Manager
from pyacq_lab.manager.server import ManagerServer
from pyacq_lab.transport.keys import KeyPair


class Bootstrap(msgspec.Struct, frozen=True):
    """What the notebook sends over standard input, as one line of JSON. Holds secrets.

    Attributes
    ----------
    application_secret : str
        Secret half of the key pair that the application's processes know each other by.
    client_key : str
        Public key that the notebook proves, and nobody else.
    lease : float
        Seconds for which hosts keep nodegroups without a sign of life from the manager.
    print_logs : bool
        Whether log records are printed on standard error from the first.
    colour : bool
        Whether in colour: standard error leads to a terminal.
    """

    application_secret: str
    client_key: str
    lease: float
    print_logs: bool
    colour: bool


class Report(msgspec.Struct, frozen=True):
    """What the program says on standard output, as one line of JSON. Holds no secrets."""

    endpoint: str
    public_key: str


def main() -> int:
    """Run a manager until standard input ends, or SIGTERM comes. Returns the exit code."""
    line = sys.stdin.buffer.readline()
    if not line:
        return 0  # who started this is gone
    try:
        _run(msgspec.json.decode(line, type=Bootstrap))
    except (PyacqError, msgspec.DecodeError) as error:
        sys.stderr.write(f"pyacq_lab.manager: {error}\n")
        return 1
    return 0


def _run(bootstrap: Bootstrap) -> None:
    keys = KeyPair.from_secret(bootstrap.application_secret)
    with Manager(application_keys=keys, lease=bootstrap.lease) as manager:
        door = LogDoor(manager.log_server)
        door.print_log(bootstrap.print_logs, bootstrap.colour)
        server = ManagerServer(manager, door, bootstrap.client_key)
        try:
            report = Report(server.server.endpoint, server.keys.public)
            sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
            sys.stdout.flush()
            os.dup2(2, 1)  # nobody reads standard output any more
            while sys.stdin.buffer.read(1):
                continue
        finally:
            server.close()
