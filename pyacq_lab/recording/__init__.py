"""Sinks to disk and the reading of what they wrote."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyacq_lab.recording.recorder import Recorder
    from pyacq_lab.recording.recovery import recover
    from pyacq_lab.recording.run import Run, open_run
    from pyacq_lab.recording.signal import Signal
    from pyacq_lab.recording.verification import verify

__all__ = ["Recorder", "Run", "Signal", "open_run", "recover", "verify"]

_MODULES = {
    "Recorder": "recorder",
    "Run": "run",
    "Signal": "signal",
    "open_run": "run",
    "recover": "recovery",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
