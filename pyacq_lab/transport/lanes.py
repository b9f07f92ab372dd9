"""Jobs of one lane run one after the other, those of different lanes side by side."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

log = logging.getLogger(__name__)

_THREADS = 1000  # as many lanes may be blocked at once; threads are made when needed and used again
_NESTED = 100  # calls of one chain that may be open in a lane: each keeps a thread, here and over there


class Job(Protocol):
    """Something to run in a lane.

    Attributes
    ----------
    lane : str
        Jobs of the same lane keep their order.
    chain : str
        Names the call that this job is part of. A job whose own lane waits for it, because a call came
        back to where it began, runs at once; empty where that cannot be.
    """

    lane: str
    chain: str

    def run(self) -> None:
        """Do it; reports its own errors."""
        ...

    def cancel(self) -> None:
        """Called instead where the lanes are closed first; must not wait."""
        ...

    def refuse(self, error: Exception) -> None:
        """Called instead where it cannot be run; must not wait."""
        ...


class _Lane:
    __slots__ = ("chain", "nested", "waiting")

    def __init__(self, chain: str) -> None:
        self.chain = chain
        self.nested = 0
        self.waiting: deque[Job] | None = None  # most jobs find their lane empty and leave it so


class Lanes:
    """Who runs what, in which order. Any thread.

    Parameters
    ----------
    name : str
        Prefix of the threads' names.
    """

    def __init__(self, name: str) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
        self._closed = False

    def enter(self, job: Job) -> bool:
        """Take a job in.

        Returns
        -------
        bool
            True where the caller must now have it run, by `work` or `work_elsewhere`; False where it runs
            when its turn comes.
        """
        cancelled = too_deep = False
        with self._lock:
            if self._closed:
                cancelled = True
            else:
                lane = self._lanes.get(job.lane)
                if lane is None:
                    self._lanes[job.lane] = _Lane(job.chain)
                    return True
                if not job.chain or job.chain != lane.chain:
                    if lane.waiting is None:
                        lane.waiting = deque()
                    lane.waiting.append(job)
                    return False
                too_deep = lane.nested >= _NESTED
                lane.nested += not too_deep
        if cancelled:
            job.cancel()
        elif too_deep:
            job.refuse(
                RecursionError(f"calls have come back to {job.lane} {_NESTED} times, each within the last")
            )
        else:
            self._pool.submit(self._run_nested, job)
        return False

    def work(self, job: Job) -> None:
        """Run a job that `enter` gave back, then what has queued up behind it."""
        following: Job | None = job
        while following is not None:
            self._run(following)
            following = self._next(following.lane)

    def work_elsewhere(self, job: Job) -> None:
        """`work` in another thread."""
        try:
            self._pool.submit(self.work, job)
        except RuntimeError:  # closed since
            job.cancel()

    def close(self) -> None:
        """Take no more jobs; those that wait are cancelled, those that run go on; idempotent."""
        with self._lock:
            self._closed = True
            waiting = [job for lane in self._lanes.values() for job in lane.waiting or ()]
            for lane in self._lanes.values():
                lane.waiting = None
        for job in waiting:
            job.cancel()
        self._pool.shutdown(wait=False)

    def _next(self, name: str) -> Job | None:
        with self._lock:
            lane = self._lanes[name]
            if not lane.waiting:
                del self._lanes[name]
                return None
            job = lane.waiting.popleft()
            lane.chain, lane.nested = job.chain, 0
            return job

    def _run_nested(self, job: Job) -> None:
        self._run(job)
        with self._lock:
            lane = self._lanes.get(job.lane)  # the call that it came back to is still open, unless given up
            if lane is not None and lane.chain == job.chain:
                lane.nested -= 1

    @staticmethod
    def _run(job: Job) -> None:
        try:
            job.run()
        except Exception:
            log.exception("a job of lane %s failed", job.lane)
