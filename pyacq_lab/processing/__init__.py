"""Transforms of samples, as plain classes that know neither threads nor sockets."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyacq_lab.processing.aligner import StreamAligner
    from pyacq_lab.processing.converter import StreamConverter
    from pyacq_lab.processing.mean import MovingMean
    from pyacq_lab.processing.resizer import ChunkResizer
    from pyacq_lab.processing.sos import SosFilter
    from pyacq_lab.processing.splitter import ChannelSplitter

__all__ = ["ChannelSplitter", "ChunkResizer", "MovingMean", "SosFilter", "StreamAligner", "StreamConverter"]

_MODULES = {
    "ChannelSplitter": "splitter",
    "ChunkResizer": "resizer",
    "MovingMean": "mean",
    "SosFilter": "sos",
    "StreamAligner": "aligner",
    "StreamConverter": "converter",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
