"""Bins as columns of pixels: the arithmetic of a still picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyacq_lab.viewing.bins import Floats


def column_extremes(lanes: Floats, n_columns: int, stop: int, window_bins: float) -> Floats:
    """Extremes of each column of a picture whose right edge is the end of the newest bin.

    Where bins are narrower than columns, a column takes the extremes of all bins in it and reaches to its
    left neighbour, so that a trace never has holes that the signal has not. Where they are wider, columns lie
    on the straight line between the middles of bins.

    Parameters
    ----------
    lanes : ndarray, shape (n_bins, n_channels, 2)
        The newest bins, lane units; NaN where there is nothing.
    n_columns : int
        Columns of the picture.
    stop : int
        Index after the last bin on the display axis: columns stay with their bins as time goes on.
    window_bins : float
        Bins that the whole picture spans.

    Returns
    -------
    ndarray, shape (n_columns, n_channels, 2)
        NaN in columns without numbers.
    """
    out = np.full((n_columns, lanes.shape[1], 2), np.nan)
    if not len(lanes):
        return out
    per_bin = n_columns / window_bins
    if per_bin > 1:
        return _between(lanes, out, per_bin)
    first = stop - len(lanes)
    right = int(np.ceil(stop * per_bin))
    column = np.floor((first + np.arange(len(lanes))) * per_bin).astype(int) - (right - n_columns)
    joined = _joined(lanes)
    inside = (column >= 0) & (column < n_columns)
    column, joined = column[inside], joined[inside]
    if not len(column):
        return out
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    out[column[starts], :, 0] = np.fmin.reduceat(joined[..., 0], starts, axis=0)
    out[column[starts], :, 1] = np.fmax.reduceat(joined[..., 1], starts, axis=0)
    return out


def _joined(lanes: Floats) -> Floats:
    """Bins stretched so far that each touches the one before it."""
    joined = lanes.copy()
    joined[1:, :, 0] = np.minimum(lanes[1:, :, 0], np.fmin(lanes[:-1, :, 1], np.inf))
    joined[1:, :, 1] = np.maximum(lanes[1:, :, 1], np.fmax(lanes[:-1, :, 0], -np.inf))
    return joined


def _between(lanes: Floats, out: Floats, per_bin: float) -> Floats:
    """Columns on the lines between the middles of bins, each from its left edge to its right edge."""
    newest = len(lanes) - 1
    edges = len(lanes) - (len(out) - np.arange(len(out) + 1)) / per_bin - 0.5
    left = np.floor(edges).astype(int)
    weight = (edges - left)[:, np.newaxis, np.newaxis]
    line = lanes[np.clip(left, 0, newest)] * (1 - weight) + lanes[np.clip(left + 1, 0, newest)] * weight
    line[(edges < 0) | (edges > newest)] = np.nan
    out[..., 0] = np.minimum(line[:-1, :, 0], line[1:, :, 0])
    out[..., 1] = np.maximum(line[:-1, :, 1], line[1:, :, 1])
    # A peak lies at the middle of its bin, seldom at a column's edge; and a bin between gaps has no lines.
    column = np.searchsorted(edges, np.arange(len(lanes)), side="right") - 1
    inside = column >= 0
    column, peaks = column[inside], lanes[inside]
    out[column, :, 0] = np.fmin(out[column, :, 0], peaks[..., 0])
    out[column, :, 1] = np.fmax(out[column, :, 1], peaks[..., 1])
    return out


def flagged_columns(
    flags: npt.NDArray[np.uint8], n_columns: int, stop: int, window_bins: float
) -> npt.NDArray[np.bool_]:
    """Columns that hold a flagged bin, shape (n_columns,); parameters as in `column_extremes`."""
    out = np.zeros(n_columns, bool)
    per_bin = n_columns / window_bins
    right = int(np.ceil(stop * per_bin))
    for index in np.flatnonzero(flags):
        at = stop - len(flags) + int(index)
        first = int(np.floor(at * per_bin)) - right + n_columns
        last = int(np.ceil((at + 1) * per_bin)) - right + n_columns
        out[max(0, first) : max(0, last)] = True
    return out
