"""Plots of a scene as bokeh figures, with a source for each layer that what comes only fills."""

from __future__ import annotations

from typing import Any

from bokeh import palettes
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, FixedTicker, Image, LinearColorMapper, Range1d
from bokeh.plotting import figure

from pyacq_lab.viewing.scene import PALETTES, Bands, Element, Lines, Picture, Plot, Raster

_LEFT, _RIGHT = 74, 34
_AXIS_HEIGHT = 44


def palette(name: str) -> tuple[str, ...]:
    """The 256 colours of a colour map, from little to much."""
    return tuple(getattr(palettes, f"{name}256"))


def element_item(element: Element) -> dict[str, Any]:
    """Describe an element to the page before there is anything in it."""
    match element:
        case Plot():
            kinds = [type(layer).__name__.lower() for layer in element.layers]
            return {"kind": "plot", "item": json_item(_figure(element)), "layers": kinds}
        case Picture():
            return {"kind": "picture"}
        case _:
            return {"kind": "tiles"}


def palettes_of(items: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Colour maps among which the page may be told to choose; none where nothing needs one."""
    needed = any("raster" in item.get("layers", ()) for item in items)
    return {name: palette(name) for name in PALETTES} if needed else {}


def _figure(plot: Plot) -> figure:
    height = plot.height + (_AXIS_HEIGHT if plot.x.label else 14)
    square: dict[str, Any] = (
        {"sizing_mode": "fixed", "width": round(plot.aspect * plot.height) + _LEFT + _RIGHT}
        if plot.aspect
        else {"sizing_mode": "stretch_width"}
    )
    made = figure(
        height=height,
        x_range=Range1d(start=plot.x.start, end=plot.x.stop),
        y_range=Range1d(start=plot.y.start, end=plot.y.stop),
        x_axis_type="log" if plot.x.is_log else "linear",
        y_axis_type="log" if plot.y.is_log else "linear",
        tools="pan,box_zoom,xwheel_zoom,ywheel_zoom,reset,save",
        active_drag="box_zoom",
        active_scroll=None,
        toolbar_location="right",
        min_border_left=_LEFT + (40 if plot.y.ticks and max(len(t) for _, t in plot.y.ticks) > 8 else 0),
        min_border_right=_RIGHT,
        min_border_top=6,
        min_border_bottom=8,
        **square,
    )
    made.toolbar.logo = None
    made.toolbar.autohide = True
    for axis, description in ((made.xaxis, plot.x), (made.yaxis, plot.y)):
        axis.axis_label = description.label
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "12px"
        if description.ticks:
            axis.ticker = FixedTicker(ticks=[at for at, _ in description.ticks])
            axis.major_label_overrides = dict(description.ticks)
    made.xaxis.visible = bool(plot.x.label)
    for number, layer in enumerate(plot.layers):
        _layer(made, plot, layer, f"layer{number}")
    return made


def _layer(made: figure, plot: Plot, layer: Lines | Bands | Raster, name: str) -> None:
    match layer:
        case Lines():
            source = ColumnDataSource({"xs": [], "ys": [], "color": [], "alpha": []}, name=name)
            made.multi_line(
                "xs", "ys", source=source, line_color="color", line_alpha="alpha", line_width=layer.width,
                line_join="round",
            )  # fmt: skip
        case Bands():
            source = ColumnDataSource({"x0": [], "x1": []}, name=name)
            red = "#d64541"
            made.vstrip(
                "x0", "x1", source=source, line_color=None, fill_color=red, fill_alpha=0.17,
                hatch_pattern="right_diagonal_line", hatch_color=red, hatch_alpha=0.45, hatch_scale=8,
            )  # fmt: skip
        case Raster():
            source = ColumnDataSource({"image": []}, name=name)
            mapper = LinearColorMapper(
                palette=palette(layer.palette), low=1, high=255, low_color="rgba(0, 0, 0, 0)"
            )
            extent = Image(
                image="image",
                x=plot.x.start,
                y=layer.bottom,
                dw=plot.x.stop - plot.x.start,
                dh=layer.top - layer.bottom,
                color_mapper=mapper,
            )
            made.add_glyph(source, extent)
            made.xgrid.visible = made.ygrid.visible = False
