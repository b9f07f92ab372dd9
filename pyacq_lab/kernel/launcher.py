"""Launches nodegroups: real Jupyter kernels, forked from a warm template or in fresh interpreters."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from pyacq_lab.errors import CallTimeout, ConfigurationError, LifecycleError, ProcessDied
from pyacq_lab.kernel.nursery import Nursery
from pyacq_lab.kernel.pipes import Pipes
from pyacq_lab.kernel.process import KernelProcess, OnExit, OnOutput
from pyacq_lab.kernel.provisioner import GroupKernelManager, GroupProvisioner, GroupSpecs
from pyacq_lab.kernel.spawned import Child, Spawned, has_pidfd
from pyacq_lab.kernel.tree import MARK
from pyacq_lab.transport.spool import Spool

logger = logging.getLogger(__name__)

_FRESH = ("PYTHON", "LD_", "DYLD_", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "MALLOC_")
"""Beginnings of variables that are read when an interpreter or a library starts: a fork is too late."""


@dataclass(frozen=True)
class LaunchRequest:
    """What to launch.

    Attributes
    ----------
    name : str
        The nodegroup's name.
    bootstrap : dict
        JSON-plain values for its program. Travels through a pipe: it may hold secrets.
    ip : str
        Address of this machine at which the kernel listens.
    python : str or None
        Path of another interpreter, which has this package; never forked from the template.
    cwd : str or None
        Its working folder; None: the host's.
    env : dict of str
        Environment variables on top of the host's.
    """

    name: str
    bootstrap: dict[str, Any] = field(default_factory=dict)
    ip: str = "127.0.0.1"
    python: str | None = None
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)


class Launcher:
    """Launches nodegroups on this machine and ends all that it launched.

    Everything is called in one event loop's thread.

    Parameters
    ----------
    runtime_dir : Path
        Folder of connection files; made with mode 0700.
    program : str
        What every process runs, as ``"module:function"``; see `pyacq_lab.kernel.child.Launched`.
    preload : sequence of str
        What the template imports or calls beside ipykernel; see `pyacq_lab.kernel.template.preload`.
    use_template : bool
        False: always start fresh interpreters. Where the system cannot fork well (Windows, macOS,
        Linux before 5.3) this is so in any case.
    start_timeout : float
        Seconds within which a nodegroup must have reported that it is ready.
    """

    def __init__(
        self,
        runtime_dir: Path,
        *,
        program: str = "pyacq_lab.nodegroup.program:main",
        preload: Sequence[str] = ("pyacq_lab.nodegroup.program", "numpy"),
        use_template: bool = True,
        start_timeout: float = 60.0,
    ) -> None:
        self._runtime_dir = runtime_dir
        self._program = program
        can_fork = sys.platform.startswith("linux") and has_pidfd()
        self._nursery = Nursery(preload) if use_template and can_fork else None
        self._start_timeout = start_timeout
        # One ZeroMQ context, and its threads, for the control sockets of all kernels.
        self._context = AsyncKernelManager().context
        self._processes: set[KernelProcess] = set()
        self._closed = False

    @property
    def template_pid(self) -> int | None:
        """Process id of the template; None where there is none (at present)."""
        return self._nursery.pid if self._nursery is not None else None

    async def start(self) -> None:
        """Begin to warm the template; returns at once."""
        self._runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._runtime_dir.chmod(0o700)
        if self._nursery is not None:
            await self._nursery.start()

    async def launch(self, request: LaunchRequest, *, on_output: OnOutput, on_exit: OnExit) -> KernelProcess:
        """Launch a nodegroup; returns when it has reported that it is ready.

        Parameters
        ----------
        request : LaunchRequest
            What to launch.
        on_output : callable
            Called as ``on_output(stream, line)`` for each line that the process writes to its standard
            streams by descriptor: from compiled code, from subprocesses, or with its last breath.
        on_exit : callable
            Called once with the `Ending` of a launched process, however it ended.

        Raises
        ------
        ProcessDied
            The process ended while it was starting; the message holds its last words.
        CallTimeout
            It was not ready in time, and was killed.
        ConfigurationError
            There is no such interpreter or folder, or the bootstrap is not plain data.
        LifecycleError
            This launcher is closed.
        """
        if self._closed:
            raise LifecycleError(f"cannot launch nodegroup {request.name!r}: the launcher is closed")
        _check(request)
        mark = uuid.uuid4().hex
        request = replace(request, env={**request.env, MARK: mark})
        manager = self._manager(request)
        spool = self._spool(request.name)
        try:
            spill = self._runtime_dir.resolve() / f"unheard-{uuid.uuid4().hex}"
            first_line = self._first_line(request, manager.connection_file, spool, spill)
            pipes = Pipes()
        except BaseException:
            if spool is not None:
                spool.close()
            raise
        process = KernelProcess(request.name, manager, pipes, on_output, on_exit, spool, spill, mark)
        provisioner = GroupProvisioner(parent=manager, kernel_spec=manager.kernel_spec)
        provisioner.bearer = partial(self._bear, request, first_line, pipes, process)
        manager.provisioner = provisioner
        self._processes.add(process)
        try:
            env = {**os.environ, **request.env}
            async with asyncio.timeout(self._start_timeout):
                await manager.start_kernel(env=env, cwd=request.cwd)
            process.report = provisioner.report
        except BaseException as error:
            await self._clear_up(process, pipes, manager, error)
            raise
        process.announce_exit()
        return process

    async def close(self, grace: float = 3.0) -> None:
        """End everything that was launched, all at once and politely, and the template.

        Parameters
        ----------
        grace : float
            Seconds that the processes have to close their nodes; 0 kills them.
        """
        self._closed = True
        await asyncio.gather(*(p.shutdown(grace) for p in self._processes if p.pid))
        if self._nursery is not None:
            await self._nursery.close()
        self._context.destroy(linger=0)

    def _manager(self, request: LaunchRequest) -> GroupKernelManager:
        file = self._runtime_dir.resolve() / f"kernel-{uuid.uuid4().hex}.json"
        command = [request.python or sys.executable, "-P", "-m", "pyacq_lab.kernel.child"]
        return GroupKernelManager(
            connection_file=str(file),
            ip=request.ip,
            transport_encryption="required",
            cache_ports=False,
            context=self._context,
            kernel_spec_manager=GroupSpecs(command),
            log=logger,
        )

    async def _bear(
        self,
        request: LaunchRequest,
        first_line: bytes,
        pipes: Pipes,
        process: KernelProcess,
        command: list[str],
        env: Mapping[str, str],
        cwd: str | None,
    ) -> Child:
        child = await self._fork(request, pipes)
        if self._closed:
            raise LifecycleError(f"cannot launch nodegroup {request.name!r}: the launcher is closed")
        child = child or Spawned(command, pipes.theirs, env, cwd)
        pipes.close_theirs()
        seen_out = await process.adopt(child)
        seen_out.add_done_callback(lambda _: self._processes.discard(process))
        pipes.write_request(first_line)
        return child

    def _spool(self, name: str) -> Spool | None:
        try:
            return Spool(self._runtime_dir)
        except OSError as error:
            logger.warning("nodegroup %s starts without a spool, its last words may be lost: %s", name, error)
            return None

    def _first_line(
        self, request: LaunchRequest, connection_file: str, spool: Spool | None, spill: Path
    ) -> bytes:
        plain = {
            "name": request.name,
            "program": self._program,
            "connection_file": connection_file,
            "bootstrap": request.bootstrap,
            "cwd": request.cwd,
            "env": request.env,
            "spool": "" if spool is None else spool.path,
            "spill": str(spill),
        }
        try:
            return json.dumps(plain).encode() + b"\n"
        except TypeError as error:
            raise ConfigurationError(
                f"the bootstrap of nodegroup {request.name!r} is not plain data: {error}; "
                "pass only what JSON can hold"
            ) from None

    async def _fork(self, request: LaunchRequest, pipes: Pipes) -> Child | None:
        fresh = request.python is not None or any(key.startswith(_FRESH) for key in request.env)
        if self._nursery is None or fresh:
            return None
        try:
            return await self._nursery.fork(pipes.theirs, self._start_timeout / 2)
        except ProcessDied as error:
            logger.warning("nodegroup %s gets a fresh interpreter: %s", request.name, error)
            return None

    async def _clear_up(
        self, process: KernelProcess, pipes: Pipes, manager: GroupKernelManager, error: BaseException
    ) -> None:
        """Leave nothing of a launch that failed, and say why it did."""
        self._processes.discard(process)
        process.forget_words()
        if not process.pid:
            pipes.close()
            await manager.cleanup_resources()
            return
        died = isinstance(error, ProcessDied)
        process.kill()
        ending = await process.ended()
        last_words = "\n".join(ending.output[-20:]) or "(it wrote nothing)"
        if died:
            raise ProcessDied(
                f"nodegroup {process.name!r} {ending.description} while it was starting; "
                f"its last words:\n{last_words}"
            ) from None
        if isinstance(error, TimeoutError):
            raise CallTimeout(
                f"nodegroup {process.name!r} was not ready within {self._start_timeout:g} s and was "
                f"killed; its last words:\n{last_words}"
            ) from None


def _check(request: LaunchRequest) -> None:
    if request.cwd is not None and not Path(request.cwd).is_dir():
        raise ConfigurationError(f"cwd={request.cwd!r}: no such folder on this machine")
    if request.python is not None and not os.access(request.python, os.X_OK):
        raise ConfigurationError(
            f"python={request.python!r}: wanted the path of an interpreter on this machine"
        )
