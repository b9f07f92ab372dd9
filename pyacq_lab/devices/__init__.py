"""Sources of samples, and outputs to the world: plain classes that know neither threads nor zmq."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyacq_lab.devices.arrays import ArraySource
    from pyacq_lab.devices.audioinput import AudioInput
    from pyacq_lab.devices.audiooutput import AudioOutput
    from pyacq_lab.devices.boards import BrainFlowBoard
    from pyacq_lab.devices.brainvision import BrainVisionRDA
    from pyacq_lab.devices.ephyssocket import EphysSocket
    from pyacq_lab.devices.generator import SignalGenerator
    from pyacq_lab.devices.lslinlet import LSLInlet
    from pyacq_lab.devices.lsloutlet import LSLOutlet
    from pyacq_lab.devices.nidaq import NIDAQmxInput
    from pyacq_lab.devices.replay import Replay
    from pyacq_lab.devices.serialport import SerialSource
    from pyacq_lab.devices.system import SystemMonitor
    from pyacq_lab.devices.video import VideoSource

__all__ = [
    "ArraySource",
    "AudioInput",
    "AudioOutput",
    "BrainFlowBoard",
    "BrainVisionRDA",
    "EphysSocket",
    "LSLInlet",
    "LSLOutlet",
    "NIDAQmxInput",
    "Replay",
    "SerialSource",
    "SignalGenerator",
    "SystemMonitor",
    "VideoSource",
]

_MODULES = {
    "ArraySource": "arrays",
    "AudioInput": "audioinput",
    "AudioOutput": "audiooutput",
    "BrainFlowBoard": "boards",
    "BrainVisionRDA": "brainvision",
    "EphysSocket": "ephyssocket",
    "LSLInlet": "lslinlet",
    "LSLOutlet": "lsloutlet",
    "NIDAQmxInput": "nidaq",
    "Replay": "replay",
    "SerialSource": "serialport",
    "SignalGenerator": "generator",
    "SystemMonitor": "system",
    "VideoSource": "video",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
