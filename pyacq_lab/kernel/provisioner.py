"""How `jupyter_client` starts, signals and watches a nodegroup's process."""

from __future__ import annotations

import asyncio
import inspect
import json
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from jupyter_core.paths import secure_write

from pyacq_lab.errors import ProcessDied
from pyacq_lab.kernel.child import report_file
from pyacq_lab.kernel.spawned import Child
from pyacq_lab.transport.keys import KeyPair

Bearer = Callable[[list[str], Mapping[str, str], str | None], Awaitable[Child]]
"""Starts a process: ``await bearer(command, env, cwd)``."""

_POLL = 0.002
_start_kernel: Any = inspect.unwrap(AsyncKernelManager._async_start_kernel)  # noqa: SLF001


class GroupSpecs(KernelSpecManager):
    """The one kernelspec there is, built here: nothing is read from the machine's kernelspec folders."""

    def __init__(self, command: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._command = command

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The kernelspec of a nodegroup, whatever the name."""
        return KernelSpec(
            argv=self._command,
            display_name="nodegroup",
            language="python",
            interrupt_mode="signal",
            metadata={"supported_encryption": ["curve"]},
        )


class GroupKernelManager(AsyncKernelManager):
    """A kernel manager whose kernels choose their ports themselves.

    `jupyter_client` picks free ports and hands them to the kernel, and another process may take one in
    between. Here the file names port 0 everywhere, the kernel binds and writes the real ports back.
    """

    async def start_kernel(self, **kwargs: Any) -> None:
        """Start the process and wait for its report; without the 10 ms that upstream sleeps for its tests."""
        await _start_kernel(self, **kwargs)

    def write_connection_file(self, **kwargs: Any) -> None:
        """Write the connection file, mode 0600, without ports."""
        info: dict[str, Any] = {
            **self.get_connection_info(),
            "key": self.session.key.decode(),
            "kernel_name": "nodegroup",
        }
        with secure_write(self.connection_file) as file:
            json.dump(info, file)

    def cleanup_connection_file(self) -> None:
        """Remove the connection file, and the report beside it."""
        Path(self.connection_file).unlink(missing_ok=True)
        report_file(self.connection_file).unlink(missing_ok=True)


class GroupProvisioner(KernelProvisionerBase):
    """Starts the process by what it is given (a fork of the template or a fresh interpreter).

    Called by the kernel manager, in the event loop's thread.

    Attributes
    ----------
    report : dict
        What the process reported when it was ready; see `pyacq_lab.kernel.child.Launched.report`.
    """

    bearer: Bearer
    child: Child | None = None
    report: dict[str, Any]

    @property
    def has_process(self) -> bool:
        """Whether there is a process to be managed."""
        return self.child is not None and not self.child.ended.done()

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Make the keys and the connection file."""
        manager = self.manager
        pair = KeyPair.generate()
        manager.curve_publickey, manager.curve_secretkey = pair.public.encode(), pair.secret.encode()
        manager.write_connection_file()
        return await super().pre_launch(cmd=manager.format_kernel_cmd(), **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the process and wait until it has reported that its ports are bound.

        Raises
        ------
        ProcessDied
            It ended before that.
        """
        self.child = await self.bearer(cmd, kwargs["env"], kwargs.get("cwd"))
        self.report = await self._reported(self.child)
        # The kernel has written the ports that it bound before its program reported.
        self.manager.load_connection_info(json.loads(Path(self.manager.connection_file).read_text()))
        self.connection_info = self.manager.get_connection_info()
        return self.connection_info

    async def _reported(self, child: Child) -> dict[str, Any]:
        path = report_file(self.manager.connection_file)
        while True:
            # Files cannot be waited for without polling; a stat costs a microsecond.
            await asyncio.wait([child.ended], timeout=_POLL)
            if child.ended.done():
                raise ProcessDied("the process ended before it had bound its ports")
            try:
                report = json.loads(path.read_text())
            except FileNotFoundError:
                continue
            path.unlink()
            return report

    async def poll(self) -> int | None:
        """None while the process runs, else what `subprocess` would call its return code."""
        if self.child is None:
            return 0
        return _returncode(self.child) if self.child.ended.done() else None

    async def wait(self) -> int | None:
        """Wait for the end of the process."""
        if self.child is None:
            return 0
        await asyncio.shield(self.child.ended)
        return _returncode(self.child)

    async def send_signal(self, signum: int) -> None:
        """Signal the process alone: an interrupt must not end a recorder's helper processes."""
        if self.child is not None:
            self.child.send_signal(signum)

    async def kill(self, restart: bool = False) -> None:
        """Kill the process; its tree is ended by `pyacq_lab.kernel.process.KernelProcess`."""
        await self.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    async def terminate(self, restart: bool = False) -> None:
        """Ask the process to end."""
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Nothing is left to clean up: the connection file is the kernel manager's."""

    @property
    def manager(self) -> GroupKernelManager:
        """The kernel manager."""
        if not isinstance(self.parent, GroupKernelManager):
            raise TypeError(f"{self.parent!r} came as a provisioner's parent; wanted a GroupKernelManager")
        return self.parent


def _returncode(child: Child) -> int:
    status = child.ended.result()
    if status.exit_code is not None:
        return status.exit_code
    return -getattr(signal.Signals, status.signal, 1) if status.signal else 1
