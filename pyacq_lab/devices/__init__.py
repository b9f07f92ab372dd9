"""Sources of samples, and outputs to the world: plain classes that know neither threads nor zmq."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyacq_lab.devices.arrays import ArraySource
    from pyacq_lab.devices.brainvision import BrainVisionRDA
    from pyacq_lab.devices.generator import SignalGenerator
    from pyacq_lab.devices.lslinlet import LSLInlet
    from pyacq_lab.devices.lsloutlet import LSLOutlet
    from pyacq_lab.devices.replay import Replay
    from pyacq_lab.devices.system import SystemMonitor

__all__ = [
    "ArraySource",
    "BrainVisionRDA",
    "LSLInlet",
    "LSLOutlet",
    "Replay",
    "SignalGenerator",
    "SystemMonitor",
]

_MODULES = {
    "ArraySource": "arrays",
    "BrainVisionRDA": "brainvision",
    "LSLInlet": "lslinlet",
    "LSLOutlet": "lsloutlet",
    "Replay": "replay",
    "SignalGenerator": "generator",
    "SystemMonitor": "system",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
