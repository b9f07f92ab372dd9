"""``pyacq-lab runs ...``: a module for each command, with `add_arguments` and `run`."""

from __future__ import annotations

from pyacq_lab.recording.program.commands import add_commands, run

__all__ = ["add_commands", "run"]
