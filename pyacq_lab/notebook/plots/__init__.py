"""Live plots."""

from pyacq_lab.notebook.plots.feed import Feed, FeedHandle
from pyacq_lab.notebook.plots.oscilloscope import Oscilloscope

__all__ = ["Feed", "FeedHandle", "Oscilloscope"]
