"""Recorded signals as arrays of xarray, read when they are asked for. Only this module imports xarray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray
from xarray.backends import BackendArray
from xarray.core import indexing
from xarray.indexes import RangeIndex

if TYPE_CHECKING:
    from pyacq_lab.recording.run import Run
    from pyacq_lab.recording.signal import Signal


def signal_array(signal: Signal) -> xarray.DataArray:
    """Make a lazy array of a signal; see `Signal.to_xarray`."""
    samples = _Samples(signal)
    n_axes = len(samples.shape) - 1
    dims = ["time", "channel"] if n_axes == 1 else ["time", *(f"axis{i}" for i in range(1, n_axes + 1))]
    coords: dict[Any, Any] = {"channel": list(signal.channel_names)} if n_axes == 1 else {}
    attrs = {"units": signal.units, "sample_rate": signal.sample_rate, "start": signal.start}
    array = xarray.DataArray(
        xarray.Variable(dims, indexing.LazilyIndexedArray(samples)), coords, name=signal.name, attrs=attrs
    )
    if signal.has_even_times:  # not even the times are in memory: they are reckoned
        index = _TimeIndex.of(signal)
        return array.assign_coords(xarray.Coordinates.from_xindex(index))
    return array.assign_coords(time=signal.times)


def run_tree(run: Run) -> xarray.DataTree:
    """Make a tree of lazy arrays of all streams; see `Run.to_xarray`."""
    nodes: dict[str, xarray.Dataset] = {}
    for name in run.streams:
        segments = run.segments(name)
        for number, signal in enumerate(segments):
            place = name.replace("/", "_") + (f"/{number}" if len(segments) > 1 else "")
            nodes[place] = xarray.Dataset({"samples": signal_array(signal)})
    nodes["/"] = xarray.Dataset(attrs={"started": run.started.isoformat(), "path": str(run.path)})
    return xarray.DataTree.from_dict(nodes)


class _Samples(BackendArray):
    """Samples in units, NaN in gaps, as xarray asks for them."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self.shape = (len(signal), *signal.spec.sample_shape)
        self.dtype = signal[signal.start : signal.start].dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._take)

    def _take(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        rows, *others = key
        first = self._signal.start
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self._signal))
            data = self._signal[first + start : first + max(start, stop)][::step]
            return data[(slice(None), *others)]
        return self._signal[first + rows : first + rows + 1][(0, *others)]


class _TimeIndex(RangeIndex):
    """Evenly spaced times, of which ``sel(time=slice(1, 2))`` takes those from 1 s up to 2 s."""

    @classmethod
    def of(cls, signal: Signal) -> _TimeIndex:
        first = signal.first_time
        stop = first + len(signal) / signal.sample_rate
        made = RangeIndex.linspace(first, stop, len(signal), endpoint=False, dim="time")
        return cls(made.transform)

    def isel(self, indexers: Mapping[Any, Any]) -> Any:
        found = super().isel(indexers)
        return _TimeIndex(found.transform) if isinstance(found, RangeIndex) else found

    def sel(
        self, labels: dict[Any, Any], method: str | None = None, tolerance: Any = None
    ) -> indexing.IndexSelResult:
        label = labels[self.dim]
        if isinstance(label, slice) and label.step is None:
            # As everywhere here, and unlike with other indices of xarray, the stop is not one of them.
            edges = [self.start if label.start is None else label.start]
            edges.append(self.stop if label.stop is None else label.stop)
            positions = (np.array(edges) - self.start) / self.step
            a, b = (int(n) for n in np.clip(np.ceil(positions - 1e-6), 0, self.size))
            return indexing.IndexSelResult({self.dim: slice(a, max(a, b))})
        return super().sel(labels, method, tolerance)
