"""HDF5 files: a run as it is, for whatever reads HDF5.

The tree is that of the run folder::

    /                       attributes: format, version, started, started_ns, host
    /run.json               the run's own description, as text
    /annotations            notes on the run: time, duration (s since its start), text, fields (JSON), time_ns
    /streams/ecg/0/samples  raw samples of the first segment, time first; attributes say rate, units, times
    /streams/ecg/0/channel_names, scale, offset    one for each channel, or one number for all
    /streams/ecg/0/gaps     rows without data: start, stop (absolute indices), reason
    /streams/ecg/0/times    times as they were stamped: index, time_ns, uncertainty_ns

Row ``r`` of ``samples`` is the sample with absolute index ``start + r``, and ``raw * scale + offset`` is in
``units``. Rows in a gap are NaN for floats and 0 for others, as the attribute ``gap_fill`` says; there are
``rows_in_gaps`` of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.optional import import_optional
from pyacq_lab.recording.export.plan import NOTES, Part, Plan
from pyacq_lab.recording.manifest import stream_folder

FORMAT = "pyacq_lab run in HDF5"
VERSION = 1


def write(plan: Plan, path: Path) -> None:
    """Write the file; see `export`."""
    h5py = import_optional("h5py", "export to HDF5", "h5py", "hdf5")
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        file.attrs["started"] = plan.run.started.isoformat()
        file.attrs["started_ns"] = plan.manifest.started_ns
        file.attrs["host"] = plan.manifest.host
        file["run.json"] = msgspec.json.format(msgspec.json.encode(plan.manifest)).decode()
        _write_notes(h5py, file, plan)
        for part in plan.parts:
            _write_part(
                h5py, file.create_group(f"{stream_folder(part.signal.name)}/{part.number}"), part, plan
            )


def _write_notes(h5py: Any, file: Any, plan: Plan) -> None:
    text = h5py.string_dtype()
    fields = [("time", "<f8"), ("duration", "<f8"), ("text", text), ("fields", text), ("time_ns", "<i8")]
    rows = [
        (note.time, note.duration, note.text, msgspec.json.encode(note.fields).decode(), note.time_ns)
        for note in plan.notes
    ]
    file[NOTES] = np.array(rows, np.dtype(fields))


def _write_part(h5py: Any, group: Any, part: Part, plan: Plan) -> None:
    signal, spec = part.signal, part.signal.spec
    try:
        samples = group.create_dataset(
            "samples",
            (len(signal), *spec.sample_shape),
            spec.np_dtype,
            chunks=(chunk_rows(len(signal), spec.sample_nbytes), *spec.sample_shape),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
    except TypeError as error:
        raise ConfigurationError(
            f"HDF5 has no type for samples of {spec.np_dtype}, as {signal.name!r} has them ({error}): "
            "leave the stream out with streams=[...]"
        ) from error
    attributes = {
        "name": signal.name,
        "streamtype": spec.streamtype,
        "units": spec.units,
        "sample_rate": spec.sample_rate,
        "group_delay": spec.group_delay,
        "start": signal.start,
        "epoch": signal.epoch,
        "first_time": part.first_time,
        "is_timed": part.is_timed,
        "rows_in_gaps": sum(map(len, signal.gaps)),
        "gap_fill": "NaN" if spec.np_dtype.kind in "fc" else "0",
        "uncertainty": signal.uncertainty,
    }
    samples.attrs.update(attributes)
    # Not attributes, which HDF5 limits to 64 KiB: a stream may have thousands of channels.
    group["scale"], group["offset"] = np.asarray(spec.scale, np.float64), np.asarray(spec.offset, np.float64)
    if len(spec.sample_shape) <= 1 and not part.is_events:
        group.create_dataset("channel_names", data=list(spec.names), dtype=h5py.string_dtype())
    gaps = [(gap.start, gap.stop, gap.reason) for gap in signal.gaps]
    gap_type = np.dtype([("start", "<i8"), ("stop", "<i8"), ("reason", h5py.string_dtype())])
    group["gaps"] = np.array(gaps, gap_type)
    time_type = np.dtype([("index", "<i8"), ("time_ns", "<i8"), ("uncertainty_ns", "<i8")])
    group["times"] = np.array([tuple(row) for row in signal.sample_times.tolist()], time_type)
    for start, stop in part.blocks(signal.start, signal.stop, samples.chunks[0]):
        samples[start - signal.start : stop - signal.start] = signal.raw(start, stop)
        plan.wrote(stop - start)


def chunk_rows(n_rows: int, sample_nbytes: int) -> int:
    """Rows in 256 KiB: below what HDF5 keeps of a dataset in memory, so that no chunk is packed twice."""
    return max(1, min(n_rows, 2**18 // sample_nbytes))
