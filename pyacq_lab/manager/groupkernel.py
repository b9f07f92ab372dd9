"""The part of a nodegroup's handle that has to do with its Jupyter kernel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyacq_lab.errors import ConfigurationError, LifecycleError, ProcessDied
from pyacq_lab.kernel.client import KernelClient, RunResult
from pyacq_lab.manager.connectionfile import ConnectionFile
from pyacq_lab.wire.messages import InterruptGroup, KernelConnection

if TYPE_CHECKING:
    from pyacq_lab.manager.hosts import HostHandle


class GroupKernel:
    """Runs code in a nodegroup's kernel; other Jupyter clients may attach to it. See `NodeGroupHandle`."""

    host: HostHandle
    name: str
    ending: str

    def __init__(self) -> None:
        self._at_work: set[KernelClient] = set()
        self._connection_file: ConnectionFile | None = None
        self._file_lock = threading.Lock()

    @property
    def where(self) -> str:
        """Its place, as ``host/nodegroup``."""
        return f"{self.host.name}/{self.name}"

    def check_alive(self) -> None:
        """Raise LifecycleError where its process is gone."""
        if self.ending:
            raise LifecycleError(f"{self.where} has ended: {self.ending}")

    def run(
        self,
        code: str,
        on_output: Callable[[dict[str, Any]], None] | None = None,
        *,
        _timeout: float | None = None,
    ) -> RunResult:
        """Run code in its kernel's main thread and wait for it.

        Nodes and the control lane go on meanwhile. ``nodegroup`` and ``nodes`` are known to the code.

        Parameters
        ----------
        code : str
            What a cell could hold.
        on_output : callable, optional
            Takes each output, as in a notebook file, as it comes.
        _timeout : float, optional
            Seconds to wait; as long as it takes unless given, for a cell may take its time.

        Raises
        ------
        CallTimeout
            The code has not ended in time; it still runs: see `interrupt`.
        """
        if not isinstance(code, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"run wants code as text; {code!r} came")
        client = KernelClient(self.kernel_connection())
        self._at_work.add(client)
        try:
            if self.ending:
                client.tell_died(self.ending)
            return client.run(code, on_output=on_output, timeout=_timeout)
        finally:
            self._at_work.discard(client)
            client.close()

    def kernel_connection(self) -> dict[str, Any]:
        """Jupyter connection information of its kernel, keys included: whoever has it can run code there."""
        info = self.host.client.call(KernelConnection(self.name))
        if info is None:
            raise ProcessDied(f"{self.where} has no kernel: {self.ending}")
        return {**info, "ip": self.host.reachable_ip(info["ip"])}

    def kernel_connection_file(self) -> Path:
        """File by which other Jupyter clients attach to its kernel: ``pyacq-lab console FILE``.

        It lies in Jupyter's runtime folder of the manager's machine, can be read by this user only, and is
        removed when the nodegroup ends or is let go of. Whoever reads it can run code over there.

        Returns
        -------
        Path
            The same one at each call.

        Raises
        ------
        LifecycleError
            The nodegroup has ended.
        """
        info = self.kernel_connection()
        with self._file_lock:
            if self._connection_file is None:
                self._connection_file = ConnectionFile(self.name, info)
            file = self._connection_file
        if self.ending:  # meanwhile: nobody else will remove it
            self._remove_connection_file()
            self.check_alive()
        return file.path

    def _remove_connection_file(self) -> None:
        with self._file_lock:
            file, self._connection_file = self._connection_file, None
        if file is not None:
            file.remove()

    def interrupt(self) -> None:
        """Interrupt the cell that runs in its kernel; nodes go on."""
        self.host.client.call(InterruptGroup(self.name))

    def _tell_kernel_ended(self) -> None:
        """Let code that runs there fail, and have nobody attach any more."""
        for client in list(self._at_work):
            client.tell_died(f"{self.where} has ended: {self.ending}")
        self._remove_connection_file()
