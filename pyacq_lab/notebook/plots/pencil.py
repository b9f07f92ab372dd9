"""Text and lines in pictures that are drawn without a browser. Places are CSS pixels."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from PIL import ImageDraw, ImageFont

RATIO = 2
"""Pixels of the picture per CSS pixel."""

INK = (34, 39, 46)
FAINT = (110, 118, 129)
GRID = (232, 235, 239)
BASE = (212, 217, 223)
FRAME = (190, 196, 204)
GAP = (214, 69, 65)
MARK = (138, 90, 0)


@cache
def sized_font(size: int) -> ImageFont.FreeTypeFont:
    """The first of some common fonts that this machine has, in CSS pixels."""
    for name in ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "Helvetica.ttc"):
        try:
            return ImageFont.truetype(name, size * RATIO)
        except OSError:
            continue  # this machine does not have it
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size * RATIO))


def _legible(text: str, font: ImageFont.FreeTypeFont) -> str:
    """Text that a font can write: Pillow's own, the last resort, knows little beyond ASCII."""
    if font.getname()[0] != "Aileron":
        return text
    for sign, plain in {
        "\N{MICRO SIGN}": "u",
        "\N{GREEK SMALL LETTER MU}": "u",
        "\N{GREEK CAPITAL LETTER OMEGA}": "Ohm",
        "\N{OHM SIGN}": "Ohm",
        "\N{MINUS SIGN}": "-",
    }.items():
        text = text.replace(sign, plain)
    return text


def write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, font: Any, fill: Any, anchor: str
) -> None:
    """Write a line of text, anchored as Pillow says it."""
    draw.text((at[0] * RATIO, at[1] * RATIO), _legible(text, font), font=font, fill=fill, anchor=anchor)


def stroke(draw: ImageDraw.ImageDraw, ends: tuple[float, float, float, float], fill: Any) -> None:
    """Draw a straight line, a CSS pixel wide."""
    draw.line([round(v * RATIO) for v in ends], fill=fill, width=RATIO)
