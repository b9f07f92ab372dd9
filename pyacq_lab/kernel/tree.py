"""A process with all that it started: who is in it, what it uses, ending it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

from pyacq_lab.model.status import Usage

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
MARK = "PYACQ_LAB_NODEGROUP"
"""Environment variable by which a nodegroup and what it starts are known."""

_TRACKER_TIME = 0.5
"""Seconds for which trackers of shared memory are waited for."""


_CHILDREN = Path("/proc/self/task").joinpath(str(os.getpid()), "children").exists()
"""Whether Linux tells the children of a process (``CONFIG_PROC_CHILDREN``)."""


def _descendants(root: psutil.Process) -> list[psutil.Process]:
    """Living descendants of a process, found from parent to child."""
    found: list[psutil.Process] = []
    waiting = [root]
    while waiting:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for thread in Path(f"/proc/{waiting.pop().pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # that thread has just ended
                    for pid in (thread / "children").read_text().split():
                        with contextlib.suppress(*_GONE):
                            found.append(psutil.Process(int(pid)))
                            waiting.append(found[-1])
    return found


class ProcessTree:
    """The process ``pid``, its descendants and its session.

    Those who left the session and whose parents have died are known by their environment, where the process
    was started with ``MARK=mark`` in its own.

    The caller must see to it that ``pid`` is not reaped while it calls: a process id that nobody holds
    may be somebody else's by now.
    """

    def __init__(self, pid: int, mark: str = "") -> None:
        self.pid = pid
        self._mark = mark
        self._known: dict[int, psutil.Process] = {}

    def members(self, *, quickly: bool = False) -> list[psutil.Process]:
        """The process and all its living descendants.

        ``quickly`` takes no look at all processes of the machine, and may miss one while others come and go.
        """
        try:
            root = psutil.Process(self.pid)
            below = _descendants(root) if quickly and _CHILDREN else root.children(recursive=True)
            found = [root, *below]
        except psutil.NoSuchProcess:
            found = []
        # psutil counts CPU time between two questions to the same object: keep the objects. One who is known
        # may be gone, and its number another's: those are not equal.
        before = {p: p for p in self._known.values()}
        self._known = {p.pid: before.get(p, p) for p in found}
        return list(self._known.values())

    def usage(self) -> Usage:
        """What all of it uses; the CPU time since the last question."""
        cpu, rss, n_threads = 0.0, 0, 0
        for process in self.members(quickly=True):
            with contextlib.suppress(*_GONE, psutil.AccessDenied), process.oneshot():
                cpu += process.cpu_percent()
                rss += process.memory_info().rss
                n_threads += process.num_threads()
        return Usage(cpu_percent=cpu, rss=rss, n_threads=n_threads)

    def kill(self, also: Iterable[psutil.Process] = ()) -> None:
        """End the process, its descendants and what is left of its session, at once.

        Parameters
        ----------
        also : iterable of psutil.Process
            Descendants seen earlier, which may have lost their parent meanwhile.
        """
        doomed = {*also, *self.members(), *session(self.pid), *marked(self._mark)}
        trackers = kill_but_trackers(doomed)
        if trackers:
            psutil.wait_procs(trackers, timeout=_TRACKER_TIME)
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for process in {*trackers, *session(self.pid)}:  # also what was started in the meantime
            with contextlib.suppress(*_GONE, psutil.AccessDenied):
                process.kill()


def session(pid: int) -> set[psutil.Process]:
    """Members of the session of a process: it outlives the links from parent to child."""
    found: set[psutil.Process] = set()
    if hasattr(os, "getsid"):
        for member in psutil.pids():
            with contextlib.suppress(ProcessLookupError, PermissionError, *_GONE):
                if os.getsid(member) == pid:
                    found.add(psutil.Process(member))
    return found


def marked(mark: str) -> set[psutil.Process]:
    """Processes, other than this one, whose environment when they were started had ``MARK=mark``."""
    found: set[psutil.Process] = set()
    if mark:
        for pid in psutil.pids():
            with contextlib.suppress(*_GONE, psutil.AccessDenied, OSError):
                process = psutil.Process(pid)
                if pid != os.getpid() and process.environ().get(MARK) == mark:
                    found.add(process)
    return found


def kill_but_trackers(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Kill processes at once, and return those that `multiprocessing` has to release shared memory.

    Such a tracker does its work and ends when the last process that it works for has ended.
    """
    trackers: list[psutil.Process] = []
    for process in processes:
        with contextlib.suppress(*_GONE, psutil.AccessDenied):
            if any("multiprocessing.resource_tracker" in word for word in process.cmdline()):
                trackers.append(process)
            else:
                process.kill()
    return trackers
