// A plot of a scene: a bokeh figure whose sources are filled by what comes.
import { plotViews, setColors } from "./axes.js";

const LINE_COLORS = {
  light: ["#0072b2", "#d55e00", "#00876c", "#a8518a", "#b07c00", "#2e8fd0"],
  dark: ["#5ab4f0", "#ff8a4c", "#2ccb9f", "#e79bc7", "#f0bc42", "#9ad7f7"],
};
const INK_COLORS = { light: "#22272e", dark: "#e6eaee" };
const INK = -1;

/** A buffer of a message as numbers; copied, since it may begin at an odd place. */
function floats(view) {
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function cut(joined, lengths) {
  let at = 0;
  return lengths.map((n) => joined.subarray(at, (at += n)));
}

export class PlotPane {
  static async make(bokeh, description, place) {
    const pane = new PlotPane();
    pane.bokeh = bokeh;
    pane.caption = document.createElement("div");
    pane.caption.className = "pyacq-caption";
    [pane.name, pane.legend, pane.note] = ["name", "legend", "note"].map((part) => {
      const span = document.createElement("span");
      span.className = `pyacq-${part}`;
      pane.caption.append(span);
      return span;
    });
    const figure = document.createElement("div");
    place.append(pane.caption, figure);
    pane.views = await bokeh.embed.embed_item(description.item, figure);
    [pane.plotView] = pane.views.roots.flatMap(plotViews);
    const renderers = pane.plotView.model.renderers;
    pane.layers = description.layers.map((kind, i) => {
      const renderer = renderers.find((each) => each.data_source.name === `layer${i}`);
      return { kind, renderer, source: renderer.data_source };
    });
    pane.dark = false;
    return pane;
  }

  get colors() {
    return LINE_COLORS[this.dark ? "dark" : "light"];
  }

  color(number) {
    return number === INK ? INK_COLORS[this.dark ? "dark" : "light"] : this.colors[number % this.colors.length];
  }

  set(entry, buffers, palettes) {
    this.entry = entry;
    this.name.textContent = entry.name;
    this.note.textContent = entry.note;
    this.setLegend(entry.legend);
    this.setAxis("x", entry.x);
    this.setAxis("y", entry.y);
    entry.layers.forEach((content, i) => {
      const layer = this.layers[i];
      if (layer.kind === "lines") this.setLines(layer, content, buffers);
      if (layer.kind === "bands") layer.source.data = { x0: content.lefts, x1: content.rights };
      if (layer.kind === "raster") this.setRaster(layer, content, buffers, palettes);
    });
  }

  /** Follow an axis where it has changed: a zoom of the user's stays until then. */
  setAxis(axis, { start, stop, label }) {
    const now = `${start},${stop}`;
    if (this[axis] !== now) {
      const range = this.plotView.model[`${axis}_range`];
      range.setv({ start, end: stop, reset_start: start, reset_end: stop });
      this[axis] = now;
    }
    const [described] = axis === "x" ? this.plotView.model.below : this.plotView.model.left;
    if (described.axis_label !== label) described.axis_label = label;
  }

  setLines(layer, content, buffers) {
    const ys = cut(floats(buffers[content.y]), content.lengths);
    const x = floats(buffers[content.x]);
    const xs = content.shared ? content.lengths.map(() => x) : cut(x, content.lengths);
    layer.numbers = content.colors;
    const color = content.colors.map((number) => this.color(number));
    layer.source.data = { xs, ys, color, alpha: content.alphas };
  }

  /** Columns move to the left in an image that is kept here: only new ones have come. */
  setRaster(layer, content, buffers, palettes) {
    const { rows, n, capacity } = content;
    if (layer.levels === undefined || content.reset) layer.levels = new Uint8Array(rows * capacity);
    const view = buffers[content.columns];
    const fresh = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    for (let row = 0; row < rows; row++) {
      const base = row * capacity;
      layer.levels.copyWithin(base, base + n, base + capacity);
      for (let i = 0; i < n; i++) layer.levels[base + capacity - n + i] = fresh[i * rows + row];
    }
    const { ndarray } = this.bokeh.require("core/util/ndarray");
    const mapper = layer.renderer.glyph.color_mapper;
    if (layer.palette !== content.palette && palettes[content.palette]) {
      layer.palette = content.palette;
      mapper.palette = palettes[content.palette];
    }
    layer.source.data = { image: [ndarray(layer.levels, { dtype: "uint8", shape: [rows, capacity] })] };
  }

  setLegend(names) {
    const key = `${names.join()},${this.dark}`;
    if (this.legendKey === key) return;
    this.legendKey = key;
    this.legend.replaceChildren(
      ...names.map((name, i) => {
        const span = document.createElement("span");
        span.textContent = name;
        span.style.color = this.color(i);
        return span;
      }),
    );
  }

  setTheme(dark) {
    this.dark = dark;
    setColors(this.plotView, dark, false);
    if (this.entry === undefined) return;
    this.setLegend(this.entry.legend);
    for (const layer of this.layers) {
      if (layer.numbers) layer.source.data = { ...layer.source.data, color: layer.numbers.map((i) => this.color(i)) };
    }
  }

  close() {
    this.views.clear();
  }
}
