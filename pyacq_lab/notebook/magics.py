"""``%pyacq`` and ``%%pyacq``."""

from __future__ import annotations

import difflib
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.display import display

from pyacq_lab.notebook.application import current_manager
from pyacq_lab.notebook.outputs import remote_error, show_output

COMMANDS = ("status", "start", "stop", "logs", "panel", "close", "run")


@magics_class
class PyacqMagics(Magics):
    """The manager of this notebook in a few words."""

    @line_cell_magic
    def pyacq(self, line: str, cell: str | None = None) -> Any:
        """Command the manager of this notebook, or run a cell in a nodegroup.

        ::

            %pyacq            hosts, nodegroups and nodes, as a table
            %pyacq start      start all nodes, sinks first
            %pyacq stop       stop all nodes, sources first
            %pyacq logs       what all processes say
            %pyacq panel      a live panel
            %pyacq close      close the manager and all nodegroups

            %%pyacq run NAME  run this cell in the kernel of nodegroup NAME
        """
        command, *rest = line.split() or ["status"]
        if command not in COMMANDS:
            near = difflib.get_close_matches(command, COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"%pyacq knows {', '.join(COMMANDS)}, not {command!r}{hint}")
        if (cell is not None) != (command == "run"):
            wanted = "%%pyacq run NAME, with the code below it" if command == "run" else f"%pyacq {command}"
            raise UsageError(f"{command!r} goes as {wanted}")
        if len(rest) != (1 if command == "run" else 0):
            raise UsageError(
                f"%pyacq {command} takes {'the name of a nodegroup' if command == 'run' else 'nothing more'}"
            )
        if cell is not None:
            return self._run(rest[0], cell)
        manager = current_manager()
        match command:
            case "start":
                manager.start_all_nodes()
            case "stop":
                manager.stop_all_nodes()
            case "logs":
                display(manager.log_view())
            case "panel":
                display(manager.panel())
            case "close":
                manager.close()
            case _:
                display(manager)
        return None

    @staticmethod
    def _run(name: str, cell: str) -> None:
        group = current_manager().get_nodegroup(name)
        result = group.run(cell, on_output=show_output)
        if not result.ok:
            raise remote_error(result, group.where)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make ``%pyacq`` known; called by ``%load_ext pyacq_lab``."""
    shell.register_magics(PyacqMagics)
