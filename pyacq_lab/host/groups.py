"""The nodegroups of one manager on this host."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pyacq_lab.errors import ConfigurationError, LifecycleError, ProcessDied, UnknownName
from pyacq_lab.kernel.endings import Ending
from pyacq_lab.kernel.launcher import Launcher, LaunchRequest
from pyacq_lab.kernel.process import KernelProcess
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.remote import Reachable, Spawned
from pyacq_lab.model.roles import Clock
from pyacq_lab.model.status import GroupStatus, PostMortem
from pyacq_lab.wire.logcodec import LogOrigin
from pyacq_lab.wire.messages import Spawn

log = logging.getLogger(__name__)

_FORMER = 8
"""Ended processes whose names are taken anew and whose last words are kept all the same."""

Notify = Callable[[str, Any], None]
"""Tells the manager something: topic and value."""


@dataclass(eq=False)
class Group:
    """One nodegroup: what was asked for and what became of it."""

    name: str
    token: str
    spawned: asyncio.Future[Spawned]
    process: KernelProcess | None = None
    state: str = "starting"
    started_ns: int = 0
    ending: Ending | None = None
    post_mortem: PostMortem | None = None
    lines: int = 0
    why: str = ""

    def status(self, measure: bool = True) -> GroupStatus:
        """Snapshot of the process; to ``measure`` what its tree uses takes some milliseconds."""
        process = self.process
        alive = measure and process is not None and self.state in ("starting", "running")
        return GroupStatus(
            name=self.name,
            pid=0 if process is None else process.pid,
            state=self.state,
            started_ns=self.started_ns,
            usage=process.usage() if process is not None and alive else GroupStatus(name="").usage,
            ending="" if self.post_mortem is None else self.post_mortem.description,
        )


class Groups:
    """Starts, watches and ends the nodegroups of one application. Lives in the host's event loop.

    Parameters
    ----------
    launcher : Launcher
        Starts processes.
    bootstrap : callable
        Gives what a nodegroup must be told, from the request.
    clock : Clock
        The host's clock.
    host : str
        The host's name.
    notify : callable
        Tells the manager: ``group_state`` (`GroupStatus`), ``post_mortem`` (`PostMortem`).
    tell : callable
        Tells the manager a log record.
    """

    def __init__(
        self,
        launcher: Launcher,
        bootstrap: Callable[[Spawn], dict[str, Any]],
        clock: Clock,
        host: str,
        notify: Notify,
        tell: Callable[[LogRecord], None],
    ) -> None:
        self._tell_record = tell
        self._notify = notify
        self._launcher = launcher
        self._bootstrap = bootstrap
        self._clock = clock
        self._host = host
        self._groups: dict[str, Group] = {}
        self._former: list[Group] = []  # their names are others' by now
        self._closed = False

    def find(self, name: str) -> Group:
        """Group of a name. Raises UnknownName."""
        try:
            return self._groups[name]
        except KeyError:
            known = ", ".join(self._groups) or "none"
            raise UnknownName(f"host {self._host!r} has no nodegroup {name!r} (it has: {known})") from None

    async def spawn(self, request: Spawn, interface: str) -> Spawned:
        """Start a nodegroup; the same request again gives the same answer.

        Raises
        ------
        ConfigurationError
            The name is taken by another request.
        ProcessDied
            It ended before it was ready; the message holds its last words.
        """
        if self._closed:
            raise ProcessDied(f"host {self._host!r} is closing")
        there = self._groups.get(request.name)
        if there is not None and there.token == request.token:
            return await asyncio.shield(there.spawned)
        if there is not None and there.state in ("starting", "running"):
            raise ConfigurationError(f"host {self._host!r} already has a nodegroup {request.name!r}")
        group = Group(request.name, request.token, asyncio.get_running_loop().create_future())
        group.spawned.add_done_callback(lambda f: f.cancelled() or f.exception())  # heard by whoever waits
        if there is not None and there.process is not None:
            self._former.append(there)  # its manager may still ask for its last words
            while len(self._former) > _FORMER and (process := self._former.pop(0).process) is not None:
                process.forget_words()
        self._groups[request.name] = group
        try:
            spawned = await self._start(group, request, interface)
        except Exception as error:
            group.state = "died"  # its name is free again
            if group.process is not None:
                await group.process.shutdown(0.0)
            group.spawned.set_exception(error)
            raise
        group.spawned.set_result(spawned)
        return spawned

    async def _start(self, group: Group, request: Spawn, interface: str) -> Spawned:
        launch = LaunchRequest(
            name=request.name,
            bootstrap=self._bootstrap(request),
            ip=interface,
            python=request.python,
            cwd=request.cwd,
            env=request.env,
        )
        if request.cwd is not None and not Path(request.cwd).is_dir():
            raise ConfigurationError(f"cwd={request.cwd!r} is no folder on host {self._host!r}")
        group.started_ns = self._clock.now_ns()
        group.process = process = await self._launcher.launch(
            launch,
            on_output=lambda stream, line: self._said(group, stream, line),
            on_exit=lambda ending: self._ended(group, ending),
        )
        there = msgspec.convert(process.report, Reachable)
        group.state = "running"
        self._notify("group_state", group.status(measure=False))
        return Spawned(group.name, process.pid, there.endpoint, there.public_key, there.log_endpoint)

    async def stop(self, name: str, grace: float) -> GroupStatus:
        """End a nodegroup and its process tree; harmless where it has ended already."""
        group = self.find(name)
        if group.process is None and not group.spawned.done():  # on its way: it is ended when it is there
            await asyncio.wait([group.spawned])  # the launcher gives a start so much time and no more
        if group.process is not None and group.ending is None:
            group.state = "ended"
            await group.process.shutdown(grace)
        return group.status()

    def running(self, name: str) -> KernelProcess:
        """Process of a nodegroup. Raises UnknownName, or LifecycleError where it has none (any more)."""
        group = self.find(name)
        if group.process is None or group.ending is not None:
            ending = "is only starting" if group.ending is None else f"has ended: {group.ending.description}"
            raise LifecycleError(f"nodegroup {name!r} of host {self._host!r} {ending}")
        return group.process

    async def attach(self, name: str) -> Spawned:
        """Where a nodegroup can be reached, as `spawn` said. Raises as `running` does."""
        self.running(name)
        return await asyncio.shield(self.find(name).spawned)

    @property
    def living(self) -> list[str]:
        """Names of those that have not ended."""
        return [name for name, group in self._groups.items() if group.ending is None]

    async def close(self, grace: float = 3.0, why: str = "") -> None:
        """End all nodegroups; ``why`` says what for, where their manager has not asked for it."""
        self._closed = True
        names = self.living
        for name in names if why else []:
            group = self._groups[name]
            group.why = why
            self._tell(group, logging.ERROR, f"nodegroup {name} ends, because {why}")
        await asyncio.gather(*(self.stop(n, grace) for n in names))

    def unheard(self) -> Iterator[bytes]:
        """Batches of what the ended processes had said and nobody has heard; after `close`."""
        for group in (*self._former, *self._groups.values()):
            if group.process is not None:
                yield from group.process.unheard(self._origin(group.name, group.process.pid))
                group.process.forget_words()

    def last_words(self, name: str, pid: int, since: int) -> bytes | None:
        """Batch of what an ended process had said; see `LastWords`. Raises as `find`, or LifecycleError."""
        for group in (self.find(name), *self._former):
            if group.name == name and group.process is not None and group.process.pid == pid:
                return group.process.last_words(since, self._origin(name, pid))
        return None

    def _origin(self, name: str, pid: int) -> LogOrigin:
        return LogOrigin(host=self._host, process=name, pid=pid)

    def statuses(self) -> tuple[GroupStatus, ...]:
        """Snapshot of every nodegroup."""
        return tuple(g.status() for g in self._groups.values())

    def _said(self, group: Group, stream: str, line: str) -> None:
        """Forward a line that a process printed by descriptor, or with its last breath."""
        level = logging.WARNING if stream == "stderr" else logging.INFO
        self._tell(group, level, line, stream=stream)

    def _ended(self, group: Group, ending: Ending) -> None:
        group.ending = ending
        group.post_mortem = PostMortem(
            name=group.name,
            pid=0 if group.process is None else group.process.pid,
            time_ns=self._clock.now_ns(),
            description=f"ended, because {group.why}" if group.why else ending.description,
            exit_code=ending.exit_code,
            signal=ending.signal,
            expected=ending.expected and not group.why,
            output=ending.output,
        )
        self._notify("post_mortem", group.post_mortem)
        if group.state != "ended":
            group.state = "died"
            self._tell(
                group,
                logging.CRITICAL,
                f"nodegroup {group.name} died: {ending.description}",
                traceback="\n".join(ending.output),
            )
        self._notify("group_state", group.status(measure=False))

    def _tell(self, group: Group, level: int, message: str, stream: str = "log", traceback: str = "") -> None:
        record = LogRecord(
            time_ns=self._clock.now_ns(),
            mono_ns=time.monotonic_ns(),
            seq=group.lines,
            host=self._host,
            process=group.name,
            pid=0 if group.process is None else group.process.pid,
            stream=stream,
            logger="pyacq_lab.host" if stream == "log" else "",
            level=level,
            message=message,
            traceback=traceback,
            channel="host",
        )
        group.lines += 1
        self._tell_record(record)
