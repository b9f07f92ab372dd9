"""HDF5 files that `Run.export` wrote, to be replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.recordings import (
    NS_PER_S,
    Recording,
    Track,
    Tracks,
    chosen_segments,
    event_track,
)
from pyacq_lab.model.events import event_dtype, events_in
from pyacq_lab.model.names import port_name
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export.hdf5 import FORMAT, VERSION


class H5Rows:
    """Rows of a dataset, read when they are asked for.

    Parameters
    ----------
    owner : Any
        What holds the file open.
    dataset : h5py.Dataset
        Samples, time first.
    is_column : bool
        Whether a dataset of one dimension is one channel, with an axis of its own.
    """

    def __init__(self, owner: Any, dataset: Any, *, is_column: bool = False) -> None:
        self._owner = owner
        self._dataset = dataset
        self._is_column = is_column and len(dataset.shape) == 1
        self.dtype: np.dtype[Any] = dataset.dtype
        self.shape: tuple[int, ...] = (*dataset.shape, 1) if self._is_column else tuple(dataset.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        found = self._dataset[rows]
        return found[:, np.newaxis] if self._is_column else found


def load_hdf5(file: Path, segment: int | None) -> Tracks:
    """Load all streams of a file; their samples stay on disk.

    Parameters
    ----------
    file : Path
        The file.
    segment : int or None
        Which start of the streams, where there are several.
    """
    h5py = import_optional("h5py", f"replay of a {file.suffix} file", "h5py", "hdf5")
    opened = h5py.File(file, "r")
    found = opened.attrs.get("format"), opened.attrs.get("version")
    if found != (FORMAT, VERSION):
        raise ValueError(
            f"its format is {found[0]!r}, version {found[1]}: wanted {FORMAT!r}, version {VERSION}, "
            "as Run.export writes it"
        )
    durations = {unquote(name): _durations(group) for name, group in opened["streams"].items()}
    chosen = chosen_segments(durations, segment)
    groups = {
        unquote(name): group[str(chosen[unquote(name)])]
        for name, group in opened["streams"].items()
        if unquote(name) in chosen
    }
    begin = min((float(g["samples"].attrs["first_time"]) for g in groups.values()), default=0.0)
    begin_ns = int(opened.attrs["started_ns"]) + round(begin * NS_PER_S)
    tracks: dict[str, Track] = {}
    for name, group in groups.items():
        tracks[port_name(name, taken=tracks)] = _track(opened, name, group, begin, begin_ns)
    return tracks


def _durations(group: Any) -> dict[int, float]:
    numbers = sorted(int(number) for number in group)
    return {i: len(group[str(i)]["samples"]) / _rate(group[str(i)]) for i in numbers}


def _rate(group: Any) -> float:
    return float(group["samples"].attrs["sample_rate"])


def _track(opened: Any, name: str, group: Any, begin: float, begin_ns: int) -> Track:
    samples = group["samples"]
    facts = samples.attrs
    start = int(facts["start"])
    gaps = [(int(a) - start, int(b) - start) for a, b, _ in group["gaps"][()]]
    if facts["streamtype"] == "event" and samples.dtype.names == event_dtype().names:
        edges = [0, *(i for gap in gaps for i in gap), len(samples)]
        rows = np.concatenate([samples[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)])
        return event_track(name, events_in(rows), begin_ns, _rate(group))
    names = tuple(group["channel_names"].asstr()[()]) if "channel_names" in group else ()
    spec = StreamSpec.of(
        samples.dtype,
        streamtype=facts["streamtype"],
        shape=(-1, *samples.shape[1:]),
        sample_rate=_rate(group),
        units=facts["units"],
        channel_names=() if names == tuple(map(str, range(len(names)))) else names,
        scale=group["scale"][()].tolist(),
        offset=group["offset"][()].tolist(),
        group_delay=float(facts["group_delay"]),
    )
    return Recording(
        H5Rows(opened, samples),
        spec.sample_rate,
        units=spec.units,
        channel_names=spec.channel_names,
        delay_ns=round((float(facts["first_time"]) - begin) * NS_PER_S),
        gaps=tuple(gaps),
        stream=spec,
    )
