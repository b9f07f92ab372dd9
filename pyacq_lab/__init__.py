"""One notebook starts, watches, wires, records and stops acquisition on all the machines of a lab.

>>> import pyacq_lab as pyacq
>>> manager = pyacq.create_manager()  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyacq_lab._version import __version__

if TYPE_CHECKING:
    from pyacq_lab.devices.function import source as source
    from pyacq_lab.errors import PyacqError as PyacqError
    from pyacq_lab.manager.localgroup import LocalNodeGroup as LocalNodeGroup
    from pyacq_lab.model.chunk import Chunk as Chunk
    from pyacq_lab.model.chunk import Gap as Gap
    from pyacq_lab.model.chunk import Reading as Reading
    from pyacq_lab.model.functions import sink as sink
    from pyacq_lab.model.functions import transform as transform
    from pyacq_lab.model.roles import Sink as Sink
    from pyacq_lab.model.roles import Source as Source
    from pyacq_lab.model.roles import Transform as Transform
    from pyacq_lab.model.settings import Settings as Settings
    from pyacq_lab.model.settings import setting as setting
    from pyacq_lab.model.stream import StreamSpec as StreamSpec
    from pyacq_lab.notebook.application import create_manager as create_manager
    from pyacq_lab.notebook.application import current_manager as current_manager
    from pyacq_lab.notebook.magics import load_ipython_extension as load_ipython_extension
    from pyacq_lab.notebook.plots import DigitalOscilloscope as DigitalOscilloscope
    from pyacq_lab.notebook.plots import EventRaster as EventRaster
    from pyacq_lab.notebook.plots import ImageViewer as ImageViewer
    from pyacq_lab.notebook.plots import NumberPanel as NumberPanel
    from pyacq_lab.notebook.plots import Oscilloscope as Oscilloscope
    from pyacq_lab.notebook.plots import PowerSpectrum as PowerSpectrum
    from pyacq_lab.notebook.plots import Spectrogram as Spectrogram
    from pyacq_lab.notebook.plots import TriggeredOscilloscope as TriggeredOscilloscope
    from pyacq_lab.notebook.plots import XYView as XYView
    from pyacq_lab.notebook.waiting import wait_for as wait_for
    from pyacq_lab.recording import open_run as open_run
    from pyacq_lab.transport.inputs import InputStream as InputStream
    from pyacq_lab.transport.outputs import OutputStream as OutputStream

# Looked up when first used: importing the package loads no plots, no kernels and no devices.
_NAMES = {
    "Chunk": "model.chunk",
    "DigitalOscilloscope": "notebook.plots",
    "EventRaster": "notebook.plots",
    "Gap": "model.chunk",
    "ImageViewer": "notebook.plots",
    "InputStream": "transport.inputs",
    "LocalNodeGroup": "manager.localgroup",
    "NumberPanel": "notebook.plots",
    "Oscilloscope": "notebook.plots",
    "OutputStream": "transport.outputs",
    "PowerSpectrum": "notebook.plots",
    "PyacqError": "errors",
    "Reading": "model.chunk",
    "Settings": "model.settings",
    "Sink": "model.roles",
    "Source": "model.roles",
    "Spectrogram": "notebook.plots",
    "StreamSpec": "model.stream",
    "Transform": "model.roles",
    "TriggeredOscilloscope": "notebook.plots",
    "XYView": "notebook.plots",
    "create_manager": "notebook.application",
    "current_manager": "notebook.application",
    "load_ipython_extension": "notebook.magics",
    "open_run": "recording",
    "setting": "model.settings",
    "sink": "model.functions",
    "source": "devices.function",
    "transform": "model.functions",
    "wait_for": "notebook.waiting",
}

__all__ = ["__version__", *sorted(_NAMES)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'pyacq_lab' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pyacq_lab.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
