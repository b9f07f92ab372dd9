"""XDF files (Extensible Data Format, https://github.com/sccn/xdf), as LSL's LabRecorder writes them."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.recordings import NS_PER_S, EventTrack, Recording, Track, Tracks
from pyacq_lab.model.events import Event
from pyacq_lab.model.names import port_name
from pyacq_lab.model.optional import import_optional

logger = logging.getLogger(__name__)


def load_xdf(file: Path) -> Tracks:
    """Load a file as a whole, with clocks brought together and time stamps smoothed as pyxdf does it.

    A stream of a nominal rate is a recording; where its time stamps have breaks, samples are missing. An
    irregular stream of one channel, of text or integers, is a track of events. Other irregular streams are
    left out, with a warning.
    """
    pyxdf = import_optional("pyxdf", f"replay of a {file.suffix} file", "pyxdf", "xdf")
    # Opened here: pyxdf leaves a file open that it does not understand.
    with gzip.open(file, "rb") if file.suffix.lower() == ".xdfz" else file.open("rb") as opened:
        streams: list[Mapping[str, Any]] = pyxdf.load_xdf(opened)[0]
    filled = [s for s in streams if len(s["time_stamps"])]
    begin = min((float(s["time_stamps"][0]) for s in filled), default=0.0)
    rate = max((_rate(s) for s in filled), default=0.0) or 1.0
    tracks: dict[str, Track] = {}
    for stream in filled:
        track = _recording(stream, begin) if _rate(stream) else _events(stream, begin, rate)
        if track is not None:
            name = port_name(stream["info"]["name"][0], taken=tracks)
            tracks[name] = track
    return tracks


def _rate(stream: Mapping[str, Any]) -> float:
    return float(stream["info"]["nominal_srate"][0])


def _recording(stream: Mapping[str, Any], begin: float) -> Recording | None:
    info, stamps = stream["info"], np.asarray(stream["time_stamps"], np.float64)
    values: npt.NDArray[Any] = np.asarray(stream["time_series"])
    if values.dtype.kind not in "iuf":
        logger.warning("stream %r is text at a regular rate: left out of the replay", info["name"][0])
        return None
    rate = _rate(stream)
    # Time stamps are smoothed within segments: a longer step between two says how many samples are missing.
    steps = np.maximum(np.rint(np.diff(stamps) * rate).astype(np.int64), 1)
    rows = np.concatenate([[0], np.cumsum(steps)])
    data: npt.NDArray[Any] = np.zeros((int(rows[-1]) + 1, *values.shape[1:]), values.dtype)
    data[rows] = values
    breaks = np.flatnonzero(steps > 1)
    gaps = tuple((int(rows[i]) + 1, int(rows[i + 1])) for i in breaks)
    channels = _channels(info)
    units = {channel.get("unit", [""])[0] or "" for channel in channels}
    names = tuple(channel.get("label", [""])[0] or str(i) for i, channel in enumerate(channels))
    return Recording(
        data,
        rate,
        units=units.pop() if len(units) == 1 else "",
        channel_names=names if len(names) == values.shape[1] else (),
        delay_ns=round((stamps[0] - begin) * NS_PER_S),
        gaps=gaps,
    )


def _events(stream: Mapping[str, Any], begin: float, rate: float) -> EventTrack | None:
    info, values = stream["info"], stream["time_series"]
    if int(info["channel_count"][0]) != 1 or info["channel_format"][0] in ("float32", "double64"):
        logger.warning("stream %r has no regular rate: left out of the replay", info["name"][0])
        return None
    is_text = info["channel_format"][0] == "string"
    times = [round((float(stamp) - begin) * NS_PER_S) for stamp in stream["time_stamps"]]
    events = [
        Event(time, label=str(row[0])) if is_text else Event(time, code=int(row[0]))
        for time, row in zip(times, values, strict=True)
    ]
    return EventTrack(tuple(sorted(events, key=lambda e: e.time_ns)), rate)


def _channels(info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the stream says of its channels, in the form that pyxdf gives XML: a list at each level."""
    try:
        return list(info["desc"][0]["channels"][0]["channel"])
    except (KeyError, IndexError, TypeError):
        return []  # channels need not be described
