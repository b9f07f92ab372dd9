"""Bins as bytes, on their way from a viewer's thread to the page that paints them.

A frame is a 24-byte header and a body, little-endian throughout:

====== ======== ==========================================================================
offset type     meaning
====== ======== ==========================================================================
0      uint8    version of this layout, now 1
1      uint8    1: forget what came before (`RESET`); 0: goes on from the frame before
2      uint16   number of the panel, from the top
4      uint32   revision of the lanes' scaling with which the values were encoded
8      float64  index of the first bin on the display axis (exact up to 2**53)
16     uint32   number of channels
20     uint32   number of bins
24     int16    values ``[channel][bin][min, max]``, `FULL_LANE` for a lane's upper edge
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
FULL_LANE = 4095
_MOST = 32767


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Bins of one panel, encoded.

    Attributes
    ----------
    panel, revision, start : int
        As in the header.
    reset : bool
        Forget what came before.
    values : ndarray of int16, shape (n_channels, n_bins, 2)
        Least and greatest, in lane units.
    flags : ndarray of uint8, shape (n_bins,)
        As in `pyacq_lab.viewing.bins.Bins`.
    """

    panel: int
    revision: int
    start: int
    reset: bool
    values: npt.NDArray[np.int16]
    flags: npt.NDArray[np.uint8]

    def to_bytes(self) -> bytes:
        """Header and body."""
        n_channels, n_bins, _ = self.values.shape
        header = HEADER.pack(
            VERSION, RESET if self.reset else 0, self.panel, self.revision, self.start, n_channels, n_bins
        )
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
        wanted = HEADER.size + 2 * n_values + n_bins + n_bins % 2
        if len(data) != wanted:
            raise ProtocolError(f"a frame of {len(data)} bytes: its header asks for {wanted}")
        values = np.frombuffer(data, "<i2", n_values, HEADER.size).reshape(n_channels, n_bins, 2)
        flags = np.frombuffer(data, np.uint8, n_bins, HEADER.size + 2 * n_values)
        return cls(panel, revision, int(start), bool(kind & RESET), values, flags)


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
