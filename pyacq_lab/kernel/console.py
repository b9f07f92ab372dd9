"""Jupyter's terminal console, attached to the encrypted kernel of a nodegroup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

from pyacq_lab.errors import ConfigurationError

_LEAVE = {"exit", "exit()", "quit", "quit()"}


def run_console(connection_file: Path, options: Sequence[str] = ()) -> None:
    """Run the console until its user leaves; the kernel goes on. In the main thread.

    `jupyter console --existing` leaves the encryption keys in the connection file unread (jupyter_client
    8.10) and waits in vain; this is the same program with a client that reads them.

    Parameters
    ----------
    connection_file : Path
        As `NodeGroupHandle.kernel_connection_file` gives it.
    options : sequence of str
        Options of ``jupyter console``.

    Raises
    ------
    ConfigurationError
        There is no such file, or jupyter-console is not installed.
    """
    if not connection_file.is_file():
        raise ConfigurationError(
            f"there is no file {connection_file}: wanted what kernel_connection_file() of a nodegroup gives, "
            "while that nodegroup lives"
        )
    try:
        from jupyter_console.app import ZMQTerminalIPythonApp  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ConfigurationError(
            "jupyter-console is not installed: pip install 'pyacq_lab[console]'"
        ) from None

    class Console(ZMQTerminalIPythonApp):  # pyright: ignore[reportUntypedBaseClass]
        """Jupyter's console with a client that reads the keys, and can interrupt."""

        kernel_client_class = _KeyedClient

        def init_shell(self) -> None:
            """Make a shell in which ``exit`` leaves the console; over there it would end the nodegroup."""
            super().init_shell()
            run_there = self.shell.run_cell

            def run_cell(cell: str, store_history: bool = True) -> None:
                if cell.strip() in _LEAVE:
                    self.shell.ask_exit()
                else:
                    run_there(cell, store_history)

            self.shell.run_cell = run_cell

        def handle_sigint(self, *_: Any) -> None:
            """Interrupt the cell that runs over there; upstream does so only for kernels it has started."""
            if not self.shell._executing:  # noqa: SLF001  upstream asks the same
                raise KeyboardInterrupt
            client = self.kernel_client
            client.control_channel.send(client.session.msg("interrupt_request", {}))

    Console.launch_instance(["--existing", str(connection_file), *options])


class _KeyedClient(BlockingKernelClient):
    """A client that takes the keys from its connection file, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.load_connection_file()
