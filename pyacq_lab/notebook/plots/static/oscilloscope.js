// The view of an Oscilloscope: asks the kernel for what it lacks, paints what comes, and says what it has painted.
import { BinRing, decodeFrame } from "./frames.js";
import { Painter, toPixel } from "./painter.js";
import { FrameCanvas, plotViews, setColors, setTicks } from "./axes.js";
import { Controls, PanelCaption } from "./controls.js";
import { LiveView, present } from "./view.js";

const COLORS = {
  light: ["#0072b2", "#d55e00", "#00876c", "#a8518a", "#b07c00", "#2e8fd0"].map(toPixel),
  dark: ["#5ab4f0", "#ff8a4c", "#2ccb9f", "#e79bc7", "#f0bc42", "#9ad7f7"].map(toPixel),
};
const GAP_COLOR = toPixel("#d64541");

class OscilloscopeView extends LiveView {
  static className = "pyacq-oscilloscope";

  async build() {
    this.panels = [];
    this.controls = new Controls((message) => this.send(message));
    this.plots = document.createElement("div");
    this.root.append(this.controls.element, this.plots);
    const [figure] = await this.ask("need_figure", "figure");
    this.controls.title.textContent = figure.title;
    const bokeh = await this.bokeh(figure.bokeh);
    if (this.closed) return;
    for (const item of figure.items) await this.addPanel(bokeh, item);
    this.shareTime();
  }

  async addPanel(bokeh, item) {
    const caption = new PanelCaption();
    const place = document.createElement("div");
    this.plots.append(caption.element, place);
    const views = await bokeh.embed.embed_item(item, place);
    const [plotView] = views.roots.flatMap(plotViews);
    const panel = { caption, plotView, views, ring: null, layout: null };
    panel.canvas = new FrameCanvas(plotView, () => this.paint(panel));
    panel.painter = new Painter(panel.canvas.element);
    this.panels.push(panel);
    this.cleanups.push(() => views.clear());
  }

  /** All panels show the same seconds: moving one moves the others. */
  shareTime() {
    const ranges = this.panels.map((panel) => panel.plotView.model.x_range);
    for (const range of ranges) {
      range.change.connect(() => {
        for (const other of ranges) {
          if (other.start !== range.start || other.end !== range.end) {
            other.setv({ start: range.start, end: range.end });
          }
        }
      });
    }
  }

  setLayout(layout) {
    this.controls.setLayout(layout);
    layout.panels.forEach((next, index) => {
      const panel = this.panels[index];
      const renewed = panel.layout?.window !== layout.window;
      panel.layout = { ...next, window: layout.window };
      panel.caption.setLayout(next);
      setTicks(panel.plotView, next.ticks);
      if (renewed) panel.plotView.model.x_range.setv({ start: -layout.window, end: 0 });
      if (panel.ring?.capacity !== next.capacity) panel.ring = new BinRing(next.n_channels, next.capacity);
    });
  }

  onFrame(content, buffers) {
    for (const buffer of buffers) {
      const frame = decodeFrame(buffer);
      const panel = this.panels[frame.panel];
      if (panel?.layout?.revision !== frame.revision) continue; // encoded for lanes that are not shown yet
      panel.ring.append(frame);
      panel.fresh = true;
    }
    content.status?.forEach((status, index) => this.panels[index].caption.setStatus(status));
  }

  draw() {
    for (const panel of this.panels) {
      if (panel.fresh) this.paint(panel);
      panel.fresh = false;
    }
  }

  setTheme() {
    for (const panel of this.panels) {
      setColors(panel.plotView, this.dark);
      this.paint(panel);
    }
  }

  paint(panel) {
    if (panel.ring === null || this.closed) return;
    panel.painter.paint(panel.ring, {
      ...panel.canvas.scene(),
      binSeconds: panel.layout.bin_seconds,
      colors: this.dark ? COLORS.dark : COLORS.light,
      gap: GAP_COLOR,
      key: `${panel.layout.revision},${panel.ring.generation},${panel.layout.bin_seconds},${this.dark}`,
    });
  }
}

export default {
  render: (context) => present(OscilloscopeView, "oscilloscope", context),
};
