"""Sources of samples, as plain classes that know neither threads nor sockets."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyacq_lab.devices.arrays import ArraySource
    from pyacq_lab.devices.generator import SignalGenerator
    from pyacq_lab.devices.replay import Replay
    from pyacq_lab.devices.system import SystemMonitor

__all__ = ["ArraySource", "Replay", "SignalGenerator", "SystemMonitor"]

_MODULES = {
    "ArraySource": "arrays",
    "Replay": "replay",
    "SignalGenerator": "generator",
    "SystemMonitor": "system",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
