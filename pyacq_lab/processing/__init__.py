"""Transforms of samples, as plain classes that know neither threads nor sockets."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyacq_lab.processing.aligner import StreamAligner
    from pyacq_lab.processing.analog_trigger import AnalogTrigger
    from pyacq_lab.processing.channel_select import ChannelSelect
    from pyacq_lab.processing.converter import StreamConverter
    from pyacq_lab.processing.digital_trigger import DigitalTrigger
    from pyacq_lab.processing.envelope import Envelope
    from pyacq_lab.processing.epochs import EpochAccumulator
    from pyacq_lab.processing.filtfilt import OverlapFiltfilt
    from pyacq_lab.processing.fir import FirFilter
    from pyacq_lab.processing.mean import MovingMean
    from pyacq_lab.processing.reference import Reference
    from pyacq_lab.processing.resample import Resample
    from pyacq_lab.processing.rescale import Rescale
    from pyacq_lab.processing.resizer import ChunkResizer
    from pyacq_lab.processing.sos import SosFilter
    from pyacq_lab.processing.spectrum import Spectrum
    from pyacq_lab.processing.splitter import ChannelSplitter
    from pyacq_lab.processing.timefrequency import TimeFrequency

__all__ = [
    "AnalogTrigger",
    "ChannelSelect",
    "ChannelSplitter",
    "ChunkResizer",
    "DigitalTrigger",
    "Envelope",
    "EpochAccumulator",
    "FirFilter",
    "MovingMean",
    "OverlapFiltfilt",
    "Reference",
    "Resample",
    "Rescale",
    "SosFilter",
    "Spectrum",
    "StreamAligner",
    "StreamConverter",
    "TimeFrequency",
]

_MODULES = {
    "AnalogTrigger": "analog_trigger",
    "ChannelSelect": "channel_select",
    "ChannelSplitter": "splitter",
    "ChunkResizer": "resizer",
    "DigitalTrigger": "digital_trigger",
    "Envelope": "envelope",
    "EpochAccumulator": "epochs",
    "FirFilter": "fir",
    "MovingMean": "mean",
    "OverlapFiltfilt": "filtfilt",
    "Reference": "reference",
    "Resample": "resample",
    "Rescale": "rescale",
    "SosFilter": "sos",
    "Spectrum": "spectrum",
    "StreamAligner": "aligner",
    "StreamConverter": "converter",
    "TimeFrequency": "timefrequency",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
