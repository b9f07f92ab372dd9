"""Bins as bytes, on their way from a viewer's thread to the page that paints them.

A frame is a 24-byte header and a body, little-endian throughout:

====== ======== ==========================================================================
offset type     meaning
====== ======== ==========================================================================
0      uint8    version of this layout, now 1
1      uint8    sum of: 1, forget what came before (`RESET`), else it goes on from the frame before;
                2, a closer look at a part (`LOOK`), which replaces the look before
2      uint16   number of the panel, from the top
4      uint32   revision of the lanes' scaling with which the values were encoded
8      float64  index of the first bin on the display axis (exact up to 2**53); of a look, its
                place before the newest bin's end, in bins of its own
16     uint32   number of channels
20     uint32   number of bins
24     float64  only of a look: samples in one of its bins
...    int16    values ``[channel][bin][min, max]``, `FULL_LANE` for a lane's upper edge
...    uint8    flags ``[bin]`` as in `pyacq_lab.viewing.bins`, padded to an even number
====== ======== ==========================================================================

Values saturate at 8 half ranges. A bin without numbers has ``min > max``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ProtocolError
from pyacq_lab.viewing.bins import Floats

HEADER = struct.Struct("<BBHIdII")
VERSION = 1
RESET = 1
LOOK = 2
_BIN_SIZE = struct.Struct("<d")
FULL_LANE = 4095
_MOST = 32767


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Bins of one panel, encoded.

    Attributes
    ----------
    panel, revision, start : int
        As in the header. Of a look, ``start`` is below 0 and need not be whole.
    reset : bool
        Forget what came before.
    values : ndarray of int16, shape (n_channels, n_bins, 2)
        Least and greatest, in lane units.
    flags : ndarray of uint8, shape (n_bins,)
        As in `pyacq_lab.viewing.bins.Bins`.
    bin_size : int
        Of a look, samples in one of its bins; else 0.
    """

    panel: int
    revision: int
    start: float
    reset: bool
    values: npt.NDArray[np.int16]
    flags: npt.NDArray[np.uint8]
    bin_size: int = 0

    def to_bytes(self) -> bytes:
        """Header and body."""
        n_channels, n_bins, _ = self.values.shape
        kind = (RESET if self.reset else 0) | (LOOK if self.bin_size else 0)
        header = HEADER.pack(VERSION, kind, self.panel, self.revision, self.start, n_channels, n_bins)
        if self.bin_size:
            header += _BIN_SIZE.pack(self.bin_size)
        pad = b"\0" if n_bins % 2 else b""
        return b"".join((header, self.values.astype("<i2").tobytes(), self.flags.tobytes(), pad))

    @classmethod
    def from_bytes(cls, data: bytes) -> Frame:
        """Read a frame back.

        Raises
        ------
        ProtocolError
            The bytes are too few, or of another version.
        """
        if len(data) < HEADER.size:
            raise ProtocolError(f"a frame of {len(data)} bytes: wanted at least {HEADER.size}")
        version, kind, panel, revision, start, n_channels, n_bins = HEADER.unpack_from(data)
        if version != VERSION:
            raise ProtocolError(f"a frame of version {version}: this is version {VERSION}")
        n_values = n_channels * n_bins * 2
        begin = HEADER.size + (_BIN_SIZE.size if kind & LOOK else 0)
        wanted = begin + 2 * n_values + n_bins + n_bins % 2
        if len(data) != wanted:
            raise ProtocolError(f"a frame of {len(data)} bytes: its header asks for {wanted}")
        values = np.frombuffer(data, "<i2", n_values, begin).reshape(n_channels, n_bins, 2)
        flags = np.frombuffer(data, np.uint8, n_bins, begin + 2 * n_values)
        bin_size = int(_BIN_SIZE.unpack_from(data, HEADER.size)[0]) if kind & LOOK else 0
        return cls(panel, revision, start, bool(kind & RESET), values, flags, bin_size)


def quantised(lanes: Floats) -> npt.NDArray[np.int16]:
    """Lane values as integers, channels first.

    Parameters
    ----------
    lanes : ndarray, shape (n_bins, n_channels, 2)
        As `pyacq_lab.viewing.display.Scaling.to_lanes` gives them; NaN where there is nothing.

    Returns
    -------
    ndarray of int16, shape (n_channels, n_bins, 2)
    """
    scaled: npt.NDArray[Any] = np.clip(np.rint(lanes * FULL_LANE), -_MOST, _MOST)
    empty = np.isnan(scaled).any(axis=2)
    scaled[empty] = (_MOST, -_MOST)
    return np.ascontiguousarray(scaled.astype(np.int16).transpose(1, 0, 2))
