"""Elements of a scene as messages to a page: plain data, and buffers for what is large.

A message has an entry for each element, in order. Arrays are said by the number of their buffer: float32,
little-endian, for lines; one byte for a level or a pixel. Of a `Raster` only the columns travel that the page
lacks.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pyacq_lab.viewing.scene import Axis, Bands, Element, Lines, Picture, Plot, Raster, Tiles

RAW_NBYTES = 16_384
"""Pictures up to this size travel as they are."""

JPEG_QUALITY = 80


class Packer:
    """Turn elements into messages, and remember what a page has of them.

    Parameters
    ----------
    picture_width : int
        Widest picture that is sent, pixels; wider ones are made smaller.
    """

    def __init__(self, picture_width: int = 960) -> None:
        self._picture_width = picture_width
        self._sent: dict[tuple[int, int], tuple[int, int]] = {}

    def forget(self) -> None:
        """Send everything next."""
        self._sent.clear()

    def pack(self, elements: Sequence[Element]) -> tuple[list[dict[str, Any]], list[bytes]]:
        """One entry per element, and the buffers that they name."""
        buffers: list[bytes] = []
        entries: list[dict[str, Any]] = []
        for number, element in enumerate(elements):
            match element:
                case Plot():
                    entries.append(self._plot(number, element, buffers))
                case Picture():
                    entries.append(self._picture(element, buffers))
                case Tiles():
                    tiles = [
                        {"name": t.name, "value": t.value, "units": t.units, "note": t.note, "tone": t.tone}
                        for t in element.tiles
                    ]
                    entries.append({"tiles": tiles})
        return entries, buffers

    def _plot(self, number: int, plot: Plot, buffers: list[bytes]) -> dict[str, Any]:
        return {
            "name": plot.name,
            "note": plot.note,
            "legend": plot.legend,
            "x": _axis(plot.x),
            "y": _axis(plot.y),
            "layers": [self._layer((number, i), layer, buffers) for i, layer in enumerate(plot.layers)],
        }

    def _layer(
        self, key: tuple[int, int], layer: Lines | Bands | Raster, buffers: list[bytes]
    ) -> dict[str, Any]:
        match layer:
            case Bands():
                return {"lefts": list(layer.lefts), "rights": list(layer.rights)}
            case Lines():
                return _lines(layer, buffers)
            case Raster():
                revision, stop = self._sent.get(key, (-1, 0))
                first = layer.stop - len(layer.levels)
                is_new = revision != layer.revision or not first <= stop <= layer.stop
                columns = layer.levels if is_new else layer.levels[stop - first :]
                self._sent[key] = (layer.revision, layer.stop)
                return {
                    "columns": _put(columns, buffers),
                    "n": len(columns),
                    "rows": layer.levels.shape[1],
                    "capacity": layer.capacity,
                    "reset": is_new,
                    "palette": layer.palette,
                }

    def _picture(self, picture: Picture, buffers: list[bytes]) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": picture.name, "note": picture.note, "pixels": None}
        if picture.pixels is not None:
            data, form, width, height = encoded(picture.pixels, self._picture_width)
            buffers.append(data)
            entry |= {"pixels": len(buffers) - 1, "format": form, "width": width, "height": height}
        return entry


def encoded(pixels: npt.NDArray[np.uint8], most: int) -> tuple[bytes, str, int, int]:
    """A picture in as few bytes as serve: raw where it is small, else a JPEG.

    Returns
    -------
    data : bytes
    format : {'raw', 'jpeg'}
        Raw is RGB, row by row.
    width, height : int
    """
    height, width = pixels.shape[:2]
    if 3 * width * height <= RAW_NBYTES:
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=2)
        return np.ascontiguousarray(rgb).tobytes(), "raw", width, height
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if width > most:
        image = image.resize((most, max(1, round(height * most / width))), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "jpeg", quality=JPEG_QUALITY)
    return file.getvalue(), "jpeg", image.width, image.height


def _axis(axis: Axis) -> dict[str, Any]:
    return {"start": axis.start, "stop": axis.stop, "label": axis.label, "ticks": axis.ticks}


def _lines(lines: Lines, buffers: list[bytes]) -> dict[str, Any]:
    is_shared = len(lines.xs) > 1 and all(x is lines.xs[0] for x in lines.xs)
    xs = lines.xs[:1] if is_shared else lines.xs
    return {
        "x": _put(_joined(xs), buffers),
        "y": _put(_joined(lines.ys), buffers),
        "shared": is_shared,
        "lengths": [len(y) for y in lines.ys],
        "colors": list(lines.colors),
        "alphas": list(lines.alphas) or [1.0] * len(lines.ys),
    }


def _joined(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    return np.concatenate(arrays).astype("<f4") if arrays else np.empty(0, "<f4")


def _put(array: npt.NDArray[Any], buffers: list[bytes]) -> int:
    buffers.append(array.tobytes())
    return len(buffers) - 1
