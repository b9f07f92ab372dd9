"""The part of a nodegroup's handle that has to do with the end of its process."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Unpack

import msgspec

from pyacq_lab.manager.groupkernel import GroupKernel
from pyacq_lab.manager.lastwords import LastWordsHeard
from pyacq_lab.manager.logfilter import Wanted
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.status import PostMortem
from pyacq_lab.transport.rpc import RpcClient

if TYPE_CHECKING:
    pass

LAST_WORDS = 200
"""Lines in a post-mortem."""


class GroupEnd(GroupKernel):
    """Knows how a nodegroup's process ended, and what it said; see `NodeGroupHandle`."""

    client: RpcClient
    pid: int
    log_source: str

    def __init__(self) -> None:
        super().__init__()
        self._pids: set[int] = set()
        self._end_lock = threading.Lock()
        self._begin_life()

    def _begin_life(self) -> None:
        """Know of a process that nothing has ended so far."""
        self.ending = ""
        self._post_mortem: PostMortem | None = None
        self._last_words: LastWordsHeard | None = None

    def logs(self, limit: int | None = None, **wanted: Unpack[Wanted]) -> LogRecords:
        """Find what this process said, also after its end; keywords as in `Manager.logs`.

        After a `restart` the words of the earlier process are found, too: ``pid`` tells them apart. Those of
        another manager's nodegroup of the same name are not; `Manager.logs` has them.
        """
        logs = self.host.manager.log_server
        return logs.query(limit, pids=frozenset(self._pids), **{**wanted, "process": self.name})

    @property
    def post_mortem(self) -> PostMortem | None:
        """How its process ended, with its last words; None while it runs.

        Where its host is gone, too, it says so; how the process itself ended is not known then.

        The last words are what it printed, then what it wrote by descriptor. What it logged as well is
        found by `logs`.
        """
        found = self._post_mortem
        if found is None:
            return None
        said = self.logs(limit=LAST_WORDS)
        printed = [
            r.message
            for r in said
            if r.pid == found.pid and r.channel == "process" and r.stream in ("stdout", "stderr")
        ]
        return msgspec.structs.replace(found, output=(*printed, *found.output)[-LAST_WORDS:])

    def mark_ended(self, ending: str, post_mortem: PostMortem | None = None) -> None:
        """Note that its process is gone: open calls fail now, later calls at once; any thread."""
        self._post_mortem = post_mortem or self._post_mortem
        with self._end_lock:
            if post_mortem is not None and self._last_words is None:
                self._last_words = self._hear_last_words()
        self.ending = ending
        self.client.fail(f"{self.where} has ended: {ending}")
        self._tell_kernel_ended()

    def mark_gone(self, why: str) -> None:
        """Note that its process is gone and its host cannot tell: the log says so under its name; any thread.

        Does nothing where its end is known.
        """
        manager, host = self.host.manager, self.host
        now_ns = manager.clock.now_ns() + host.clock.offset_ns
        with self._end_lock:
            if self.ending or self._post_mortem is not None:
                return
            self._post_mortem = PostMortem(name=self.name, pid=self.pid, time_ns=now_ns, description=why)
        manager.log_server.add(
            LogRecord(
                time_ns=now_ns,
                host=host.name,
                process=self.name,
                pid=self.pid,
                channel="manager",
                logger="pyacq_lab.manager",
                level=logging.CRITICAL,
                message=f"nodegroup {self.name} {why}",
            )
        )
        self.mark_ended(why)

    def _hear_last_words(self) -> LastWordsHeard:
        client, logs = self.host.client, self.host.manager.log_server
        return LastWordsHeard(client, logs, self.name, self.pid, self.log_source, self.host.name)

    def hear_rest(self) -> None:
        """Ask once more for what its ended process had said, where the connection was lost meanwhile."""
        with self._end_lock:
            if self._last_words is not None and self._last_words.cut_off:
                self._last_words = self._hear_last_words()

    def hear_out(self, timeout: float | None = None) -> bool:
        """Wait for what its ended process had said, as long as its host goes on to tell it.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether all of it has been heard.
        """
        if self._last_words is None:
            return False
        try:
            return self._last_words.all.result(timeout)
        except TimeoutError:
            return False
