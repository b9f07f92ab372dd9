"""What a user chooses of a live plot: kept with the notebook, and given to the next plot."""

from __future__ import annotations

from typing import Literal

from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.notebook.plots.displayfilter import FilterSettings
from pyacq_lab.viewing.lanes import LaneSettings

Mode = Literal["scroll", "scan"]

WINDOWS = (0.01, 600.0)
"""Shortest and longest window, s."""


class PanelSettings(Settings):
    """What is drawn of one stream."""

    lanes: LaneSettings = setting(LaneSettings(), description="which channels, in which order, how high")
    filter: FilterSettings = setting(FilterSettings(), description="processing for display only")
    median: bool = setting(False, description="whether traces are drawn about their median")


class ScopeSettings(Settings):
    """What an oscilloscope shows, and how."""

    window: float = setting(5.0, ge=WINDOWS[0], le=WINDOWS[1], unit="s", description="time shown")
    mode: Mode = setting("scroll", description="traces run to the left, or a scan writes over the oldest")
    panels: tuple[PanelSettings, ...] = setting((), description="for each stream, from the top")
