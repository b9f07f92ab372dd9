"""Outputs of a remote kernel, shown as if the cell had run here."""

from __future__ import annotations

import sys
from typing import Any

from IPython.display import clear_output, publish_display_data

from pyacq_lab.errors import RemoteError
from pyacq_lab.kernel.client import RunResult
from pyacq_lab.wire.errors import rebuild_error
from pyacq_lab.wire.messages import ErrorInfo


def show_output(output: dict[str, Any]) -> None:
    """Show one output, in the form that notebook files have, in the cell that runs."""
    match output["output_type"]:
        case "stream":
            stream = sys.stderr if output["name"] == "stderr" else sys.stdout
            stream.write(output["text"])
            stream.flush()
        case "display_data" | "execute_result" | "update_display_data" as kind:
            publish_display_data(
                output["data"],
                output.get("metadata", {}),
                transient=output.get("transient"),
                update=kind == "update_display_data",
            )
        case "clear_output":
            clear_output(output.get("wait", False))
        case _:
            return  # the error itself is raised when the run is over


def remote_error(result: RunResult, where: str) -> RemoteError:
    """Make the exception with which a remote cell ended."""
    name, message, traceback = result.error or ("RuntimeError", f"the cell was {result.status}", "")
    return rebuild_error(ErrorInfo(f"builtins.{name}", message, where, traceback))
