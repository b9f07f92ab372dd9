"""XDF files (Extensible Data Format 1.0, https://github.com/sccn/xdf/wiki/Specifications), written here.

Time stamps are seconds since the run's start, all on the run's own time axis: their clock offsets, of which
readers expect one for each stream, are 0. A gap has samples, NaN: what reads XDF smooths time stamps, and
would join the two sides of a short one. Samples that have a scale, or a gap that their type cannot say, are
written in units as ``double64``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.recording.export.plan import (
    NOTES,
    Part,
    Plan,
    text_of,
    text_of_note,
    timed_events,
    warn_lost_fields,
    warn_untimed,
)

_FILE_HEADER, _STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _BOUNDARY, _STREAM_FOOTER = range(1, 7)
_BOUNDARY_MARK = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")

_FORMATS = {
    "b1": ("int8", "i1"),
    "i1": ("int8", "i1"),
    "u1": ("int16", "<i2"),
    "i2": ("int16", "<i2"),
    "u2": ("int32", "<i4"),
    "i4": ("int32", "<i4"),
    "u4": ("int64", "<i8"),
    "i8": ("int64", "<i8"),
    "f2": ("float32", "<f4"),
    "f4": ("float32", "<f4"),
    "f8": ("double64", "<f8"),
}
"""Channel format and its numpy type for each type of samples; the format has no unsigned ones."""


def write(plan: Plan, path: Path) -> None:
    """Write the file; see `export`."""
    for part in plan.parts:
        if not (part.is_events or (part.is_table and _key(part) in _FORMATS)):
            raise ConfigurationError(
                f"XDF cannot hold {part.signal!r}: leave it out with streams=[...], or export to HDF5"
            )
    with path.open("wb") as file:
        file.write(b"XDF:")
        head = ElementTree.Element("info")
        _put(head, {"version": "1.0", "datetime": plan.run.started.isoformat()})
        _chunk(file, _FILE_HEADER, _xml(head))
        for number, part in enumerate(plan.parts, start=1):
            if not part.is_events:
                warn_untimed(part)
            (_write_events if part.is_events else _write_signal)(file, number, part, plan)
        if plan.notes:
            head = _info(NOTES, "Markers", 1, 0.0, "string", "notes on the run")
            ElementTree.SubElement(head, "desc")
            texts = [(note.time, text_of_note(note)) for note in plan.notes]
            _write_texts(file, len(plan.parts) + 1, head, texts)


def _key(part: Part) -> str:
    """Which of the formats the samples have."""
    signal, dtype = part.signal, part.signal.spec.np_dtype
    if signal.spec.is_scaled or (signal.gaps and dtype.kind != "f"):
        return "f8"
    return f"{dtype.kind}{dtype.itemsize}"


def _write_signal(file: BinaryIO, number: int, part: Part, plan: Plan) -> None:
    signal, spec = part.signal, part.signal.spec
    name, code = _FORMATS[_key(part)]
    read = part.in_units if name == "double64" else signal.raw
    head = _head(part, n_channels=spec.n_channels, rate=spec.sample_rate, form=name)
    channels = ElementTree.SubElement(ElementTree.SubElement(head, "desc"), "channels")
    for label in spec.names:
        channel = ElementTree.SubElement(channels, "channel")
        _put(channel, {"label": label, "unit": spec.units, "type": spec.streamtype})
    _describe(head, part)
    _begin(file, number, head, _time(part, signal.start))
    stamped = np.dtype([("nbytes", "u1"), ("time", "<f8"), ("values", code, (spec.n_channels,))])
    deduced = np.dtype([("nbytes", "u1"), ("values", code, (spec.n_channels,))])
    for start, stop in part.blocks(signal.start, signal.stop):
        values = read(start, stop).reshape(stop - start, spec.n_channels)
        # The time of the others is deduced from the first one's, anew in each chunk: no error adds up.
        first = np.array([(8, _time(part, start), values[0])], stamped)
        others = np.zeros(stop - start - 1, deduced)
        others["values"] = values[1:]
        _samples(file, number, stop - start, first.tobytes() + others.tobytes())
        plan.wrote(stop - start)
    _footer(file, number, _time(part, signal.start), _time(part, signal.stop - 1), len(signal))


def _write_events(file: BinaryIO, number: int, part: Part, plan: Plan) -> None:
    events = timed_events(part)
    warn_lost_fields(part, "XDF", "time and text")
    head = _head(part, n_channels=1, rate=0.0, form="string")
    ElementTree.SubElement(head, "desc")
    _describe(head, part)
    _write_texts(file, number, head, [(part.time_of(event), text_of(event)) for event in events])
    plan.wrote(len(part.signal))


def _write_texts(
    file: BinaryIO, number: int, head: ElementTree.Element, texts: Sequence[tuple[float, str]]
) -> None:
    _begin(file, number, head, texts[0][0] if texts else 0.0)
    if texts:
        rows: list[bytes] = []
        for time, text in texts:
            encoded = text.encode()
            rows.append(struct.pack("<BdBI", 8, time, 4, len(encoded)) + encoded)
        _samples(file, number, len(texts), b"".join(rows))
    times = [time for time, _ in texts] or [0.0]
    _footer(file, number, min(times), max(times), len(texts))


def _time(part: Part, index: int) -> float:
    return float(part.signal.times_between(index, index + 1)[0]) if index < part.signal.stop else 0.0


def _head(part: Part, *, n_channels: int, rate: float, form: str) -> ElementTree.Element:
    kind = "Markers" if part.is_events else part.signal.spec.streamtype
    return _info(part.title, kind, n_channels, rate, form, f"{part.signal.name}, segment {part.number}")


def _info(name: str, kind: str, n_channels: int, rate: float, form: str, source: str) -> ElementTree.Element:
    head = ElementTree.Element("info")
    _put(
        head,
        {
            "name": name,
            "type": kind,
            "channel_count": str(n_channels),
            "nominal_srate": repr(rate),
            "channel_format": form,
            "source_id": source,
            "version": "1.0",
            "created_at": "0.0",
            "hostname": "",
        },
    )
    return head


def _describe(head: ElementTree.Element, part: Part) -> None:
    """Say in the header what XDF has no field for."""
    signal = part.signal
    recording = ElementTree.SubElement(head[-1], "recording")
    facts = {
        "first_index": str(signal.start),
        "epoch": str(signal.epoch),
        "time_uncertainty": repr(signal.uncertainty),
        "group_delay": repr(signal.spec.group_delay),
    }
    _put(recording, facts)
    for gap in signal.gaps:
        facts = {"first_index": str(gap.start), "stop_index": str(gap.stop), "reason": gap.reason}
        _put(ElementTree.SubElement(recording, "gap"), facts)


def _begin(file: BinaryIO, number: int, head: ElementTree.Element, at: float) -> None:
    """Write the header of a stream, and that its clock is the file's."""
    _chunk(file, _STREAM_HEADER, _xml(head), number)
    _chunk(file, _CLOCK_OFFSET, struct.pack("<dd", at, 0.0), number)


def _footer(file: BinaryIO, number: int, first: float, last: float, count: int) -> None:
    foot = ElementTree.Element("info")
    _put(foot, {"first_timestamp": repr(first), "last_timestamp": repr(last), "sample_count": str(count)})
    _chunk(file, _STREAM_FOOTER, _xml(foot), number)


def _samples(file: BinaryIO, number: int, count: int, rows: bytes) -> None:
    _chunk(file, _SAMPLES, struct.pack("<BI", 4, count) + rows, number)
    _chunk(file, _BOUNDARY, _BOUNDARY_MARK)


def _chunk(file: BinaryIO, tag: int, content: bytes, stream: int | None = None) -> None:
    body = struct.pack("<H", tag) + (b"" if stream is None else struct.pack("<I", stream)) + content
    file.write(struct.pack("<BQ", 8, len(body)) + body)


def _put(element: ElementTree.Element, texts: Mapping[str, str]) -> None:
    for key, text in texts.items():
        # Control characters, which a name may have, are no XML.
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
        ElementTree.SubElement(element, key).text = shown


def _xml(element: ElementTree.Element) -> bytes:
    return b'<?xml version="1.0"?>' + ElementTree.tostring(element, encoding="utf-8")
