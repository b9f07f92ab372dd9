"""What a cell gives back, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunResult:
    """What became of a piece of code that ran in a kernel.

    Attributes
    ----------
    status : str
        ``"ok"``, ``"error"``, ``"aborted"``, or ``"unknown"``: it has ended over there, and the reply
        was lost on the way.
    outputs : tuple of dict
        All outputs in order, as nbformat has them (``output_type`` is ``stream``, ``display_data``,
        ``execute_result`` or ``error``), and the two that change earlier ones:
        ``update_display_data`` and ``clear_output``.
    execution_count : int or None
        The number of the cell over there.
    error : tuple of str or None
        Name, value and traceback of the exception, where there was one.
    complete : bool
        False where outputs may be missing, for the end of them was not heard.
    """

    status: str
    outputs: tuple[dict[str, Any], ...] = ()
    execution_count: int | None = None
    error: tuple[str, str, str] | None = None
    complete: bool = True

    @property
    def ok(self) -> bool:
        """Whether the code ran to its end."""
        return self.status == "ok"


_FIELDS = {
    "stream": ("name", "text"),
    "display_data": ("data", "metadata", "transient"),
    "update_display_data": ("data", "metadata", "transient"),
    "execute_result": ("data", "metadata", "execution_count"),
    "error": ("ename", "evalue", "traceback"),
    "clear_output": ("wait",),
}


def as_output(msg_type: str, content: dict[str, Any]) -> dict[str, Any] | None:
    """Turn an iopub message into an output; None where it is not one."""
    fields = _FIELDS.get(msg_type)
    if fields is None:
        return None
    return {"output_type": msg_type, **{name: content[name] for name in fields if name in content}}
