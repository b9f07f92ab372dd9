"""A closer look at a part of what a panel has kept: raw samples where there is room for them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.notebook.plots.displayfilter import DisplayFilter, FilterSettings
from pyacq_lab.viewing.bins import Bins, Floats
from pyacq_lab.viewing.lanes import LaneTransform
from pyacq_lab.viewing.past import Past, decimated

_LOOK_BYTES = 400_000
"""Most bytes of a look: as many as the way to the page takes in a second."""

_FILTERED = 4_000_000
"""Most values that are filtered for one look: longer ones are made of the bins that were filtered live."""

Look = tuple[float, int, Floats, npt.NDArray[np.uint8]]
"""Where it begins, in bins of its own before the newest sample; samples in a bin; extremes; flags."""


class Closer:
    """Looks at spans of the past, the latest of those asked for.

    Parameters
    ----------
    past : Past
        Samples.
    settings : FilterSettings
        What is done to them before they are drawn.
    newest : int, optional
        Where on the sample axis the newest bin ends; None: nothing can be looked at, the plot moves.
    bins : Bins, optional
        All bins kept, up to the newest, for what the samples do not reach.
    bin_size : int
        Samples in one of these.
    """

    def __init__(
        self,
        past: Past,
        settings: FilterSettings,
        newest: int | None = None,
        bins: Bins | None = None,
        bin_size: int = 1,
    ) -> None:
        self._past = past
        self._settings = settings
        self._newest = newest
        self._bins = bins
        self._bin_size = bin_size
        self._wanted: tuple[float, float, int] | None = None
        self._is_due = False

    def want(self, start: float, end: float, columns: int) -> None:
        """Ask for a span, s before the newest sample, ``start`` the farther and both below 0, in columns."""
        if end > start and columns > 0 and math.isfinite(end - start):
            self._wanted = (start, end, columns)
            self._is_due = True

    def again(self) -> None:
        """Give the span once more: what was given is stale."""
        self._is_due = self._wanted is not None

    def take(self, transform: LaneTransform) -> Look | None:
        """Give what was asked for, once."""
        if not self._is_due or self._wanted is None or self._newest is None:
            return None
        self._is_due = False
        from_s, to_s, columns = self._wanted
        rate = self._past.spec.sample_rate
        n_bins = max(64, min(columns, _LOOK_BYTES // (4 * transform.n_lanes)))
        start = self._newest + math.floor(from_s * rate) - 1
        stop = min(self._newest, self._newest + math.ceil(to_s * rate) + 2)
        size = max(1, math.ceil((stop - start) / n_bins))
        found = self._of_samples(start // size * size, stop, size) or self._of_bins(start, stop, size)
        if found is None:
            return None
        begin, size, extremes, flags = found
        return begin, size, transform.to_lanes(extremes), flags

    def _of_samples(self, start: int, stop: int, size: int) -> Look | None:
        """Bins of the samples; None where these do not reach as far back as the bins kept."""
        past, newest, n_channels = self._past, self._newest or 0, self._past.spec.n_channels
        bins_start = newest - (len(self._bins) if self._bins else 0) * self._bin_size
        if start < past.start and bins_start < past.start:
            return None
        made = DisplayFilter(past.spec, self._settings)
        if made.settles and (stop - start + made.settles) * n_channels > _FILTERED:
            return None
        items = [made.process(item) for item in past.read(start - made.settles, stop)]
        wanted = [_from(item, start) for item in items if item.stop > start]
        bins = decimated(wanted, size, n_channels, made.spec.np_dtype)
        return None if bins is None else (bins.start - newest / size, size, bins.extremes, bins.flags)

    def _of_bins(self, start: int, stop: int, size: int) -> Look | None:
        """Bins of the bins kept, so many in one as come nearest to the size wanted."""
        if self._bins is None or self._newest is None:
            return None
        n, n_kept = max(1, size // self._bin_size), len(self._bins)
        size = n * self._bin_size
        # Groups are counted back from the newest bin's end.
        last = (self._newest - stop) // size
        low, high = n_kept - ((self._newest - start) // size + 1) * n, n_kept - last * n
        low = max(0, low)
        if high <= low:
            return None
        n_groups = -(-(high - low) // n)
        edges = np.maximum(low, high - n * np.arange(n_groups, 0, -1))
        extremes, flags = self._bins.extremes[:high], self._bins.flags[:high]
        groups = np.empty((n_groups, *extremes.shape[1:]), extremes.dtype)
        groups[..., 0] = np.fmin.reduceat(extremes[..., 0], edges, axis=0)
        groups[..., 1] = np.fmax.reduceat(extremes[..., 1], edges, axis=0)
        return -float(last + n_groups), size, groups, np.maximum.reduceat(flags, edges)


def _from(item: Chunk | Gap, start: int) -> Chunk | Gap:
    """Cut off what lies before a place, which is before the end."""
    if item.start >= start:
        return item
    return Gap(start, item.stop) if isinstance(item, Gap) else Chunk(start, item.data[start - item.start :])
