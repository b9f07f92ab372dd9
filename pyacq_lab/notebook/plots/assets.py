"""The page's side of the plot: plain ES modules in ``static``, joined into the one that anywidget takes."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_STATIC = Path(__file__).parent / "static"
_SHARED = ("axes.js", "view.js")
_MODULES = {
    "oscilloscope.js": (
        "frames.js",
        "painter.js",
        "controls.js",
        "channels.js",
        "cursors.js",
        "gestures.js",
    ),
    "viewer.js": ("controls.js", "plotpane.js", "panes.js"),
}
_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)


@cache
def esm(main: str) -> str:
    """One ES module made of a view's and those that it needs.

    Each may use what those before it export, so imports between them go.
    """
    names = [*_SHARED, *_MODULES[main], main]
    sources = [(_STATIC / name).read_text(encoding="utf-8") for name in names]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)


@cache
def css() -> str:
    """The style sheet."""
    return (_STATIC / "oscilloscope.css").read_text(encoding="utf-8")
