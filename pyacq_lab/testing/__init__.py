"""Fakes that break on demand and contracts for the authors of nodes.

Subclass `SourceContract`, `TransformContract` or `SinkContract` in a test file of your own, say how your
class is made, and pytest runs what every node must pass. `NodeContract` tests the same class as a node, with
its thread and streams.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyacq_lab.testing.clock import ManualClock
    from pyacq_lab.testing.device import SimulatedDevice
    from pyacq_lab.testing.instruments import LoopbackServer
    from pyacq_lab.testing.nodes import NodeContract
    from pyacq_lab.testing.recorder import SimulatedRecorder
    from pyacq_lab.testing.sinks import SinkContract
    from pyacq_lab.testing.sources import SourceContract
    from pyacq_lab.testing.transforms import TransformContract

__all__ = [
    "LoopbackServer",
    "ManualClock",
    "NodeContract",
    "SimulatedDevice",
    "SimulatedRecorder",
    "SinkContract",
    "SourceContract",
    "TransformContract",
]

_MODULES = {
    "LoopbackServer": "instruments",
    "ManualClock": "clock",
    "NodeContract": "nodes",
    "SimulatedDevice": "device",
    "SimulatedRecorder": "recorder",
    "SinkContract": "sinks",
    "SourceContract": "sources",
    "TransformContract": "transforms",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
