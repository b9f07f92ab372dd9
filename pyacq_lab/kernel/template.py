"""Program of the template: a warm, single-threaded process that forks nodegroups on demand.

It has imported what every nodegroup needs, and gives birth in milliseconds to children that share its
memory. It runs no thread, no event loop and no ZeroMQ context, for none of these survives a fork.

It talks to its host over an inherited socket pair (``SOCK_SEQPACKET``: one JSON message per packet):

=================================== ==========================================================
``["fork", ticket]`` + 3 fds        in: fork a child with these as its stdin, stdout, stderr
``["reap", pid]``                   in: the host has seen the end of this child; free its pid
``["ready", troubles]``             out, once: preloaded, with one line for each thing that failed
``["born", ticket, pid]``           out
``["unborn", ticket, why]``         out: the fork failed
``["ended", pid, code, signal]``    out, at once
=================================== ==========================================================

The end of the socket is the end of the host, and of the template.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Iterable

from pyacq_lab.kernel import child
from pyacq_lab.kernel.spawned import exit_status


def preload(names: Iterable[str]) -> list[str]:
    """Import modules, and call what is named ``module:function``; one line of words for each that fails.

    The nodegroups that need it will say it in full.
    """
    troubles: list[str] = []
    for name in names:
        module, _, function = name.partition(":")
        try:
            found = importlib.import_module(module)
            if function:
                getattr(found, function)()
        except Exception as error:
            troubles.append(f"{name}: {type(error).__name__}: {error}")
    return troubles


class Template:
    """The template's loop; runs until its host is gone."""

    def __init__(self, host: socket.socket) -> None:
        self._host = host
        self._poll = select.poll()
        self._poll.register(host, select.POLLIN)
        self._pidfds: dict[int, int] = {}  # file descriptor -> process id

    def run(self) -> None:
        """Serve until the host is gone."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._pidfds:
                    self._report_end(fd)
                elif not self._serve():
                    return

    def _serve(self) -> bool:
        packet, fds, _, _ = socket.recv_fds(self._host, 4096, 3)
        if not packet:
            return False
        match json.loads(packet):
            case ["fork", ticket]:
                self._fork(ticket, fds)
            case ["reap", pid]:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
            case other:
                raise ValueError(f"the host said {other!r}")
        return True

    def _fork(self, ticket: int, fds: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._say("unborn", ticket, str(error))
            return
        if pid == 0:
            self._become_child(fds)
        for fd in fds:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._pidfds[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        self._say("born", ticket, pid)

    def _become_child(self, fds: list[int]) -> None:
        """Leave the template behind; never returns."""
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for fd, target in zip(fds, (0, 1, 2), strict=True):
                os.dup2(fd, target)
            for fd in (*fds, *self._pidfds):
                os.close(fd)
            self._host.close()
            gc.enable()
            if "numpy.random" in sys.modules:
                sys.modules["numpy.random"].seed()  # or every child would draw the same numbers
            child.main()
        finally:
            os._exit(70)  # not reached: child.main() never returns

    def _report_end(self, pidfd: int) -> None:
        pid = self._pidfds.pop(pidfd)
        self._poll.unregister(pidfd)
        # WNOWAIT: the process id stays taken until the host has cleared up after the child.
        status = exit_status(os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT))
        os.close(pidfd)
        self._say("ended", pid, status.exit_code, status.signal)

    def _say(self, *message: object) -> None:
        self._host.send(json.dumps(message).encode())


def main() -> None:
    """Run as ``python -m pyacq_lab.kernel.template FD NAME...``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the host's terminal is the host's business
    fd, *names = sys.argv[1:]
    host = socket.socket(fileno=int(fd))
    host.set_inheritable(False)
    troubles = preload(names)
    # From Python 3.12 a fork beside any thread warns; OpenBLAS's workers stop at fork and start again.
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
    gc.collect()
    gc.disable()  # a collection would touch, and so copy, the pages that children share
    gc.freeze()
    try:
        host.send(json.dumps(["ready", troubles]).encode())
        Template(host).run()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the host has gone in the middle of a word


if __name__ == "__main__":
    main()
