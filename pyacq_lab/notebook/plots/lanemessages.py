"""What a page's menus and gestures do to the settings of a panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots.displayfilter import FilterSettings
from pyacq_lab.notebook.plots.panelsettings import PanelSettings
from pyacq_lab.viewing.lanes import LaneSettings


def changed(settings: PanelSettings, spec: StreamSpec, message: Mapping[str, Any]) -> PanelSettings | None:
    """Settings after a page's message; None where it is none about them.

    Parameters
    ----------
    settings : PanelSettings
        As they are.
    spec : StreamSpec
        Of the panel's stream.
    message : mapping
        ``kind`` and what belongs to it; ``channels`` are columns, all of those drawn unless given.

    Raises
    ------
    ConfigurationError
        A value is out of range.
    """
    lanes, kind = settings.lanes, message.get("kind")
    columns = message.get("channels")
    names = spec.names
    channels = [names[int(c)] for c in (lanes.shown(spec) if columns is None else columns)]
    match kind:
        case "show":
            lanes = lanes.with_shown(channels, bool(message["on"]))
        case "solo":
            lanes = lanes.with_solo(channels, bool(message["on"]))
        case "invert":
            lanes = lanes.with_inverted(channels, bool(message["on"]))
        case "gain":
            lanes = lanes.with_gain(channels, float(message["factor"]))
        case "shift":
            lanes = lanes.with_shift(channels, float(message["lanes"]))
        case "move":
            for channel in channels[:1]:
                lanes = lanes.with_moved(spec, channel, int(message["by"]))
        case "arrange":
            lanes = LaneSettings()
        case "filter":
            values = {name: message[name] for name in ("average", "low", "high") if name in message}
            made = FilterSettings.checked(**(settings.filter.model_dump() | values))
            return settings.model_copy(update={"filter": made})
        case "median":
            return settings.model_copy(update={"median": bool(message["on"])})
        case _:
            return None
    return settings.model_copy(update={"lanes": lanes})
