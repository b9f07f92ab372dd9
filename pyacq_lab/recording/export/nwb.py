"""NWB files (Neurodata Without Borders, https://nwb.org), written by pynwb.

Signals are time series in ``acquisition``, with comments in JSON that say what NWB has no field for. Their
channels are tables in the processing module ``channels``, events are tables in ``events``, and gaps are
``invalid_times``, tagged with the series' name. Time 0 is the start of the run.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.optional import import_optional
from pyacq_lab.recording.export.hdf5 import chunk_rows
from pyacq_lab.recording.export.plan import NOTES, Part, Plan, timed_events

_NAMES = str.maketrans({"/": "|", ":": "|"})
"""Names of NWB objects are places in an HDF5 file."""


def write(plan: Plan, path: Path) -> None:
    """Write the file; see `export`."""
    pynwb = import_optional("pynwb", "export to NWB", "pynwb", "nwb")
    for part in plan.parts:
        if not (part.is_events or part.is_table):
            raise ConfigurationError(
                f"{part.signal!r} is neither a signal nor events, and not exported to NWB: "
                "leave it out with streams=[...], or export to HDF5"
            )
    names = _names(plan.parts)
    file = _file(pynwb, plan)
    for part, name in zip(plan.parts, names, strict=True):
        if part.is_events:
            file.add_events_table(_events(pynwb, part, name))
            plan.wrote(len(part.signal))
            continue
        file.add_acquisition(_series(pynwb, part, name))
        if "channels" not in file.processing:
            file.create_processing_module("channels", "channels of the series in acquisition")
        file.processing["channels"].add(_channels(part, name))
        first, start, rate = part.first_time, part.signal.start, part.signal.sample_rate
        for gap in part.signal.gaps:
            file.add_invalid_time_interval(
                start_time=first + (gap.start - start) / rate,
                stop_time=first + (gap.stop - start) / rate,
                tags=[name, gap.reason or "gap"],
            )
    if plan.notes:
        file.add_events_table(_notes(plan, _free(NOTES, names)))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
        for part, name in zip(plan.parts, names, strict=True):
            if not part.is_events:
                _fill(file.acquisition[name].data.dataset, part, plan)


def _file(pynwb: Any, plan: Plan) -> Any:
    """Make a file with what the run knows of itself, and what the user knows of it."""
    fields = {
        "session_description": f"run {plan.run.path.name}, recorded by pyacq_lab on {plan.manifest.host}",
        "identifier": str(uuid.uuid4()),
        "session_start_time": plan.run.started,
        "notes": msgspec.json.format(msgspec.json.encode(plan.manifest)).decode(),
        **plan.metadata,
    }
    try:
        if "subject" in fields:
            fields["subject"] = pynwb.file.Subject(**fields["subject"])
        return pynwb.NWBFile(**fields)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"metadata={dict(plan.metadata)!r}: wanted fields of pynwb.NWBFile, and those of "
            f"pynwb.file.Subject under 'subject' ({error})"
        ) from error


def _names(parts: tuple[Part, ...]) -> list[str]:
    names: list[str] = []
    for part in parts:
        names.append(_free(part.title.translate(_NAMES).strip() or "stream", names))
    return names


def _free(base: str, taken: list[str]) -> str:
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base} ({number})"
    return name


def _series(pynwb: Any, part: Part, name: str) -> Any:
    """Make a series whose data are there as room in the file only, once it is written."""
    spec = part.signal.spec
    dtype = _dtype(part)
    is_raw = _is_raw(part)
    data = pynwb.H5DataIO(
        shape=(len(part.signal), *spec.sample_shape),
        dtype=dtype,
        chunks=(chunk_rows(len(part.signal), spec.n_channels * dtype.itemsize), *spec.sample_shape),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )
    return pynwb.TimeSeries(
        name=name,
        data=data,
        unit=spec.units or "n/a",
        conversion=float(cast("float", spec.scale)) if is_raw else 1.0,
        offset=float(cast("float", spec.offset)) if is_raw else 0.0,
        starting_time=part.first_time,
        rate=spec.sample_rate,
        description=f"{spec.streamtype} {part.signal.name!r}",
        comments=_comments(part),
    )


def _is_raw(part: Part) -> bool:
    """Whether samples are written as recorded, not in units."""
    # A series has one scale for all channels, and only floats can say that there is a gap.
    spec = part.signal.spec
    is_uniform = not isinstance(spec.scale, tuple) and not isinstance(spec.offset, tuple)
    return is_uniform and (spec.np_dtype.kind == "f" or not part.signal.gaps)


def _dtype(part: Part) -> np.dtype[Any]:
    dtype = part.signal.spec.np_dtype if _is_raw(part) else np.dtype(np.float64)
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def _fill(dataset: Any, part: Part, plan: Plan) -> None:
    signal = part.signal
    rows = signal.raw if _is_raw(part) else part.in_units
    for start, stop in part.blocks(signal.start, signal.stop, dataset.chunks[0]):
        dataset[start - signal.start : stop - signal.start] = rows(start, stop).astype(dataset.dtype)
        plan.wrote(stop - start)


def _comments(part: Part) -> str:
    """Facts of a series in JSON, two of them under the names by which Neo sorts series into segments."""
    signal = part.signal
    facts = {
        "block": "default",
        "segment": f"start {part.number}",
        "stream": signal.name,
        "streamtype": signal.spec.streamtype,
        "first_index": signal.start,
        "epoch": signal.epoch,
        "is_timed": part.is_timed,
        "time_uncertainty": signal.uncertainty if part.is_timed else None,
        "group_delay": signal.spec.group_delay,
        "gaps": len(signal.gaps),
    }
    return msgspec.json.encode(facts).decode()


def _channels(part: Part, name: str) -> Any:
    common = import_optional("hdmf.common", "export to NWB", "hdmf", "nwb")
    spec = part.signal.spec
    n = spec.n_channels
    columns = {
        "channel_name": ("name of the channel", list(spec.names)),
        "scale": ("raw sample as it was recorded * scale + offset = value", np.broadcast_to(spec.scale, n)),
        "offset": ("see scale", np.broadcast_to(spec.offset, n)),
    }
    made = [
        common.VectorData(name=key, description=text, data=list(values))
        for key, (text, values) in columns.items()
    ]
    return common.DynamicTable(name=name, description=f"channels of {name}", columns=made)


def _events(pynwb: Any, part: Part, name: str) -> Any:
    event_types = import_optional("pynwb.event", "export of events to NWB", "pynwb>=4", "nwb")
    common = import_optional("hdmf.common", "export to NWB", "hdmf", "nwb")
    spec = part.signal.spec
    events = timed_events(part)
    columns = [
        event_types.TimestampVectorData(
            name="timestamp", description="s since the run's start", data=[part.time_of(e) for e in events]
        ),
        event_types.DurationVectorData(
            name="duration", description="s", data=[e.duration / spec.sample_rate for e in events]
        ),
    ]
    texts = {
        "annotation": ("text of the event", "label"),
        "code": ("number of the event; -1: none", "code"),
        "channel": ("column that it concerns; -1: all", "channel"),
        "index": ("absolute index of the sample that it marks; -1: none", "index"),
    }
    for key, (text, field) in texts.items():
        values = [getattr(event, field) for event in events]
        columns.append(common.VectorData(name=key, description=text, data=values))
    return event_types.EventsTable(
        name=name,
        description=f"events {part.signal.name!r} in samples at {spec.sample_rate!r} Hz, at times as stamped",
        columns=columns,
    )


def _notes(plan: Plan, name: str) -> Any:
    event_types = import_optional("pynwb.event", "export of events to NWB", "pynwb>=4", "nwb")
    common = import_optional("hdmf.common", "export to NWB", "hdmf", "nwb")
    notes = plan.notes
    columns = [
        event_types.TimestampVectorData(
            name="timestamp", description="s since the run's start", data=[note.time for note in notes]
        ),
        event_types.DurationVectorData(
            name="duration", description="s", data=[note.duration for note in notes]
        ),
        common.VectorData(name="annotation", description="what it says", data=[note.text for note in notes]),
        common.VectorData(
            name="more",
            description="what else was given, in JSON",
            data=[msgspec.json.encode(note.fields).decode() for note in notes],
        ),
    ]
    return event_types.EventsTable(name=name, description="notes on the run", columns=columns)


def events_rate(description: str) -> float | None:
    """Rate of the samples that events of ours mark, Hz, from their table's description."""
    found = re.search(r" in samples at (\S+) Hz, at times as stamped$", description)
    return float(found[1]) if found else None
