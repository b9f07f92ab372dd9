"""Several machines in one: network namespaces, joined by virtual cables that can be unplugged.

Every machine has an address of a private range that exists inside its namespace only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import TracebackType
from typing import Self

HOW = "needs Linux, root and iproute2 (apt-get install iproute2), and a kernel that allows network namespaces"


def why_not() -> str:
    """Empty where namespaces can be made here, else why not and how otherwise."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("ip") is None:
        return HOW
    name = f"pyacq-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"{HOW}: {made.stderr.strip()}"
    _ip("netns", "del", name)
    return ""


class Lab:
    """Machines of these names at one switch; removed at the end of the ``with`` block."""

    def __init__(self, *names: str) -> None:
        self._id = f"pyacq-{os.getpid()}-{os.urandom(2).hex()}"
        self._names = names
        self._switch = f"{self._id}-switch"

    def __enter__(self) -> Self:
        try:
            self._add(self._switch)
            _ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "br0", "up")
            for name in self._names:
                self._add_machine(name)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._remove()

    def address(self, name: str) -> str:
        return f"10.77.0.{self._names.index(name) + 1}"

    def prefix(self, name: str) -> list[str]:
        """What to put before a command to run it on that machine."""
        return ["ip", "netns", "exec", f"{self._id}-{name}"]

    def unplug(self, name: str) -> None:
        """Pull the machine's cable at the switch: it is not told, and no packet gets through."""
        _ip("-n", self._switch, "link", "set", f"to-{name}", "down")

    def plug(self, name: str) -> None:
        _ip("-n", self._switch, "link", "set", f"to-{name}", "up")

    def _add(self, namespace: str) -> None:
        _ip("netns", "add", namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")

    def _add_machine(self, name: str) -> None:
        namespace = f"{self._id}-{name}"
        self._add(namespace)
        ends = ["eth0", "netns", namespace, "type", "veth", "peer", "name", f"to-{name}"]
        _ip("-n", self._switch, "link", "add", *ends)
        _ip("-n", self._switch, "link", "set", f"to-{name}", "master", "br0", "up")
        _ip("-n", namespace, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")

    def _remove(self) -> None:
        for name in (*self._names, "switch"):
            subprocess.run(["ip", "netns", "del", f"{self._id}-{name}"], capture_output=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
