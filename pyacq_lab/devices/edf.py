"""EDF and BDF files (European Data Format, https://www.edfplus.info), read by pyedflib."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyacq_lab.devices.recordings import NS_PER_S, EventTrack, Recording, Track, Tracks
from pyacq_lab.model.events import Event
from pyacq_lab.model.names import port_name
from pyacq_lab.model.optional import import_optional
from pyacq_lab.recording.export.edf_file import is_missing, stream_in


def load_edf(file: Path) -> Tracks:
    """Load a file as a whole: signals of the same rate and units are one stream, annotations are events.

    Samples stay as they are in the file, int16 of EDF and int32 of BDF, with the scale and offset of each
    channel. In a file of ours each stream is one again, with its name and its gaps.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    pyedflib = import_optional("pyedflib", f"replay of a {file.suffix} file", "pyedflib", "edf")
    with closing(pyedflib.EdfReader(str(file))) as reader:
        heads: list[dict[str, Any]] = reader.getSignalHeaders()
        groups: dict[tuple[float, str, str], list[int]] = {}
        for channel, head in enumerate(heads):
            key = float(head["sample_frequency"]), head["dimension"].strip(), stream_in(head["transducer"])
            groups.setdefault(key, []).append(channel)
        notes = [
            Annotation(float(onset), max(0.0, float(duration)), str(text))
            for onset, duration, text in zip(*reader.readAnnotations(), strict=True)
        ]
        dtype = np.dtype("<i2" if file.suffix.lower() == ".edf" else "<i4")
        tracks: dict[str, Track] = {}
        for (rate, units, stream), channels in groups.items():
            data = np.stack([reader.readSignal(c, digital=True) for c in channels], axis=1).astype(dtype)
            scales = [_scale_of(heads[c]) for c in channels]
            whole = Recording(
                data,
                rate,
                units=units,
                scale=tuple(scale for scale, _ in scales),
                offset=tuple(offset for _, offset in scales),
                channel_names=tuple(heads[c]["label"].strip() for c in channels),
            )
            name = stream or f"{rate:g} Hz {units}".strip().replace(".", ",").replace("/", " per ")
            tracks[port_name(name, taken=tracks)] = _without(
                whole, [n for n in notes if is_missing(n.text, stream)]
            )
    rate = max((rate for rate, _, _ in groups), default=1.0)
    events = [
        Event(
            time_ns=round(note.onset * NS_PER_S),
            index=round(note.onset * rate),
            duration=round(note.duration * rate),
            label=note.text,
        )
        for note in notes
        if not any(is_missing(note.text, stream) for _, _, stream in groups)
    ]
    if len(tracks) == 1:
        tracks = {"out": next(iter(tracks.values()))}
    if events:
        tracks["events"] = EventTrack(tuple(sorted(events, key=lambda e: e.time_ns)), rate)
    return tracks


class Annotation(NamedTuple):
    """Text in a file: when, and how long, s."""

    onset: float
    duration: float
    text: str


def _without(whole: Recording, missing: list[Annotation]) -> Recording:
    """Take off the rows that a file of ours has for the sake of the grid only; make gaps of the others."""
    rows = [tuple(round(t * whole.sample_rate) for t in (n.onset, n.onset + n.duration)) for n in missing]
    first, stop = 0, len(whole.data)
    gaps: list[tuple[int, int]] = []
    for start, end in sorted(rows):
        if start <= first:
            first = max(first, end)
        elif end >= stop:
            stop = min(stop, start)
        else:
            gaps.append((start - first, end - first))
    delay_ns = round(first / whole.sample_rate * NS_PER_S)
    return replace(whole, data=whole.data[first:stop], delay_ns=delay_ns, gaps=tuple(gaps))


def _scale_of(head: dict[str, Any]) -> tuple[float, float]:
    """Scale and offset of a channel, from the ranges in its header."""
    low, high = head["digital_min"], head["digital_max"]
    scale = (head["physical_max"] - head["physical_min"]) / (high - low)
    return scale, head["physical_max"] - scale * high
