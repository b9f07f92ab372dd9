"""EDF and BDF files (European Data Format, https://www.edfplus.info), read by pyedflib."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from pyacq_lab.devices.recordings import EventTrack, Recording, Track, Tracks
from pyacq_lab.model.events import Event
from pyacq_lab.model.optional import import_optional

NS_PER_S = 1_000_000_000


def load_edf(file: Path) -> Tracks:
    """Load a file as a whole: signals of the same rate and units are one stream, annotations are events.

    Samples stay as they are in the file, int16 of EDF and int32 of BDF, with the scale and offset of each
    channel.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    pyedflib = import_optional("pyedflib", f"replay of a {file.suffix} file", "pyedflib", "edf")
    with closing(pyedflib.EdfReader(str(file))) as reader:
        heads: list[dict[str, Any]] = reader.getSignalHeaders()
        groups: dict[tuple[float, str], list[int]] = {}
        for channel, head in enumerate(heads):
            groups.setdefault((float(head["sample_frequency"]), head["dimension"].strip()), []).append(
                channel
            )
        dtype = np.dtype("<i2" if file.suffix.lower() == ".edf" else "<i4")
        tracks: dict[str, Track] = {}
        for (rate, units), channels in groups.items():
            data = np.stack([reader.readSignal(c, digital=True) for c in channels], axis=1).astype(dtype)
            scales = [_scale_of(heads[c]) for c in channels]
            tracks[f"{rate:g} Hz {units}".strip().replace(".", ",").replace("/", " per ")] = Recording(
                data,
                rate,
                units=units,
                scale=tuple(scale for scale, _ in scales),
                offset=tuple(offset for _, offset in scales),
                channel_names=tuple(heads[c]["label"].strip() for c in channels),
            )
        onsets, durations, labels = reader.readAnnotations()
    rate = max((rate for rate, _ in groups), default=1.0)
    events = [
        Event(
            time_ns=round(float(onset) * NS_PER_S),
            index=round(float(onset) * rate),
            duration=round(max(0.0, float(duration)) * rate),
            label=str(label),
        )
        for onset, duration, label in zip(onsets, durations, labels, strict=True)
    ]
    if len(tracks) == 1:
        tracks = {"out": next(iter(tracks.values()))}
    if events:
        tracks["events"] = EventTrack(tuple(sorted(events, key=lambda e: e.time_ns)), rate)
    return tracks


def _scale_of(head: dict[str, Any]) -> tuple[float, float]:
    """Scale and offset of a channel, from the ranges in its header."""
    low, high = head["digital_min"], head["digital_max"]
    scale = (head["physical_max"] - head["physical_min"]) / (high - low)
    return scale, head["physical_max"] - scale * high
