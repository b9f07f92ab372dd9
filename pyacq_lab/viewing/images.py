"""The arithmetic of a video viewer: the newest frame, its true time, and the frames that never came."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.scene import Control, Element, Picture, Scene


class ImageScene(Scene):
    """The newest frame of a video.

    Parameters
    ----------
    spec : StreamSpec
        Pictures of real numbers, shape (-1, height, width) or (-1, height, width, 3).
    name : str
        Of the stream.
    stretch : bool
        Whether the darkest and the brightest pixel are drawn black and white. Pictures of other numbers than
        uint8 always are.
    """

    def __init__(self, spec: StreamSpec, name: str = "", stretch: bool = False) -> None:
        self._name = name
        self._stretch = stretch
        self.renew(0, spec)

    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Begin anew with another stream."""
        sample = spec.sample_shape
        if (
            not (len(sample) == 2 or (len(sample) == 3 and sample[2] == 3))
            or spec.np_dtype.kind not in "biuf"
        ):
            raise StreamMismatch(
                f"a {spec.streamtype} of {spec.np_dtype}, shape {spec.shape}, is no video: wanted pictures "
                "of shape (-1, height, width) or (-1, height, width, 3)"
            )
        self._spec = spec
        self._pixels: npt.NDArray[Any] | None = None
        self._index, self._time_ns = 0, 0
        self._next: tuple[int, int] | None = None
        self._times: list[int] = []
        self.lost = 0
        self.changed += 1

    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take frames; the last of them is shown."""
        if self._next is not None and item.epoch == self._next[1]:
            begin = item.stop if isinstance(item, Gap) else item.start
            self.lost += max(0, begin - self._next[0])
        elif isinstance(item, Gap):
            self.lost += len(item)
        self._next = (item.stop, item.epoch)
        if isinstance(item, Chunk) and len(item):
            self._pixels = item.data[-1].copy()
            self._index = item.stop - 1
            self._time_ns = item.time_ns and item.time_ns + round(
                1e9 * (len(item) - 1) / self._spec.sample_rate
            )
            self._times = [*self._times[-24:], self._time_ns]
            self.changed += 1

    def elements(self, now_ns: int) -> list[Element]:
        """One picture."""
        return [
            Picture(self._name, None if self._pixels is None else self._bytes(self._pixels), self._note())
        ]

    def controls(self) -> list[Control]:
        """Contrast, where there is a choice."""
        if self._spec.np_dtype != np.uint8:
            return []
        title = "Draw the darkest pixel black and the brightest white"
        return [Control("stretch", "Auto contrast", "toggle", self._stretch, title=title)]

    def set(self, name: str, value: Any) -> None:
        """Set a control; see `controls`."""
        if name != "stretch":
            super().set(name, value)
        self._stretch = bool(value)
        self.changed += 1

    def _bytes(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        if pixels.dtype == np.uint8 and not self._stretch:
            return pixels
        values = pixels.astype(np.float32)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        scaled = (values - low) * (255.0 / (high - low if high > low else 1.0))
        return np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255).astype(np.uint8)

    def _note(self) -> str:
        if self._pixels is None:
            return ""
        parts = [f"frame {self._index:,}"]
        if self._time_ns:
            seconds, ns = divmod(self._time_ns, 1_000_000_000)
            parts.append(time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{ns // 1_000_000:03d}")
        parts.append(f"{self._pixels.shape[1]} \N{MULTIPLICATION SIGN} {self._pixels.shape[0]}")
        known = [t for t in self._times if t]
        if len(known) > 2 and known[-1] > known[0]:
            parts.append(f"{(len(known) - 1) / (known[-1] - known[0]) * 1e9:.1f} frames/s")
        parts.append(f"{self.lost:,} dropped" if self.lost else "none dropped")
        return " \N{MIDDLE DOT} ".join(parts)
