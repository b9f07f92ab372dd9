"""Live plots."""

from pyacq_lab.notebook.plots.feed import Feed, FeedHandle
from pyacq_lab.notebook.plots.oscilloscope import Oscilloscope
from pyacq_lab.notebook.plots.viewers import (
    DigitalOscilloscope,
    EventRaster,
    ImageViewer,
    NumberPanel,
    PowerSpectrum,
    Spectrogram,
    TriggeredOscilloscope,
    XYView,
)

__all__ = [
    "DigitalOscilloscope",
    "EventRaster",
    "Feed",
    "FeedHandle",
    "ImageViewer",
    "NumberPanel",
    "Oscilloscope",
    "PowerSpectrum",
    "Spectrogram",
    "TriggeredOscilloscope",
    "XYView",
]
