// The view of an Oscilloscope: asks the kernel for what it lacks, paints what comes, and says what it has painted.
import { BinRing, Look, decodeFrame } from "./frames.js";
import { Painter, modulo, toPixel } from "./painter.js";
import { FrameCanvas, plotViews, setColors, setLanes, setTicks, setTimeLabel } from "./axes.js";
import { Controls, PanelCaption } from "./controls.js";
import { ChannelMenu, FilterMenu } from "./channels.js";
import { Cursors, Overlay } from "./cursors.js";
import { watchGestures } from "./gestures.js";
import { LiveView, present } from "./view.js";

const COLORS = {
  light: ["#0072b2", "#d55e00", "#00876c", "#a8518a", "#b07c00", "#2e8fd0"],
  dark: ["#5ab4f0", "#ff8a4c", "#2ccb9f", "#e79bc7", "#f0bc42", "#9ad7f7"],
};
const PIXELS = { light: COLORS.light.map(toPixel), dark: COLORS.dark.map(toPixel) };
const GAP_COLOR = toPixel("#d64541");
const LOOK_DELAY = 80; // ms after the last move of a paused picture
const TIME_LABELS = {
  scroll: "time before the newest sample (s)",
  scan: "time in the scan (s)",
};

/** One stream in the page: its plot, its bins, and what is drawn over them. */
class PanelView {
  constructor(scope, index, plotView, views, caption) {
    Object.assign(this, { scope, index, plotView, views, caption });
    this.ring = null;
    this.look = null;
    this.layout = null;
    this.markers = [];
    this.canvas = new FrameCanvas(plotView, () => this.paint());
    this.painter = new Painter(this.canvas.element);
  }

  get model() {
    return this.plotView.model;
  }

  setLayout(next) {
    this.layout = next;
    this.caption.setLayout(next);
    setLanes(this.plotView, next.n_channels, next.y_limits);
    setTicks(this.plotView, next.ticks);
    if (this.ring?.capacity !== next.capacity || this.ring?.nChannels !== next.n_channels) {
      this.ring = new BinRing(next.n_channels, next.capacity);
    }
    if (this.look?.revision !== next.revision) this.look = null;
  }

  take(frame) {
    if (this.layout?.revision !== frame.revision) return; // encoded for lanes that are not shown yet
    if (frame.binSize) this.look = new Look(frame, this.layout.sample_rate);
    else this.ring.append(frame);
    this.fresh = true;
  }

  /** The bins to paint: those that move, or a closer look where the picture is paused and shows another part. */
  get shown() {
    if (!this.ring) return undefined;
    const { start, end } = this.model.x_range;
    const { paused, window } = this.scope.layout;
    const isCloser = paused && this.look && (end - start < 0.9 * window || start < -1.02 * window);
    return isCloser && this.look.reaches(start, end) // another page may have asked for another part
      ? { ring: this.look, binSeconds: this.look.binSeconds }
      : { ring: this.ring, binSeconds: this.layout.bin_seconds };
  }

  get sweep() {
    return this.scope.scans ? this.scope.layout.window : 0;
  }

  /** Seconds before the newest sample, of a place on the horizontal axis. */
  toStreamTime(x) {
    if (!this.sweep || !this.ring) return x;
    const into = (this.ring.now * this.layout.bin_seconds) % this.sweep;
    return x <= into ? x - into : x - into - this.sweep;
  }

  /** Markers as [place on the horizontal axis, label]. */
  markerTimes() {
    if (!this.ring) return [];
    const { bin_seconds: binSeconds } = this.layout;
    return this.markers
      .map(([at, label]) => [(at - this.ring.now) * binSeconds, label])
      .filter(([time]) => !this.sweep || (time <= 0 && time > -this.sweep))
      .map(([time, label]) => [this.sweep ? modulo(this.ring.now * binSeconds + time, this.sweep) : time, label]);
  }

  paint() {
    const { scope } = this;
    if (!this.ring || !this.layout || scope.closed) return;
    const { ring, binSeconds } = this.shown;
    const palette = scope.dark ? PIXELS.dark : PIXELS.light;
    const { revision, channels } = this.layout;
    const scene = {
      ...this.canvas.scene(),
      binSeconds,
      sweep: this.sweep,
      colors: channels.map((channel) => palette[channel % palette.length]),
      gap: GAP_COLOR,
      key: `${revision},${ring.generation},${binSeconds},${scope.dark}`,
      scanColumn: () => this.painter.scanColumn,
    };
    this.painter.paint(ring, scene);
    this.overlay.draw(scene, scope.dark);
  }
}

class OscilloscopeView extends LiveView {
  static className = "pyacq-oscilloscope";

  async build() {
    this.panels = [];
    this.layout = { paused: false, window: 0, mode: "scroll" };
    const send = (message) => this.send(message);
    this.cursors = new Cursors(() => this.paintAll());
    this.menus = [
      new ChannelMenu(send, (channel) => COLORS[this.dark ? "dark" : "light"][channel % COLORS.light.length]),
      new FilterMenu(send),
    ];
    this.controls = new Controls({
      send,
      back: (windows) => this.moveBy(windows),
      cursors: () => this.toggleCursors(),
      menus: this.menus.map((menu) => menu.element),
    });
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
    const panel = new PanelView(this, this.panels.length, plotView, views, caption);
    const listen = (target, event, handler, options) => {
      target.addEventListener(event, handler, options);
      this.cleanups.push(() => target.removeEventListener(event, handler, options));
    };
    panel.overlay = new Overlay(panel, place, this.cursors, listen);
    watchGestures(panel, place, (message) => this.send(message), listen);
    this.panels.push(panel);
    this.cleanups.push(() => views.clear());
  }

  get scans() {
    return this.layout.mode === "scan" && !this.layout.paused;
  }

  /** All panels show the same seconds: moving one moves the others. */
  shareTime() {
    const ranges = this.panels.map((panel) => panel.model.x_range);
    for (const range of ranges) {
      range.change.connect(() => {
        for (const other of ranges) {
          if (other.start !== range.start || other.end !== range.end) {
            other.setv({ start: range.start, end: range.end });
          }
        }
        if (range === ranges[0]) this.onMove(range);
      });
    }
  }

  /** The user looks at other seconds: they stand still while that is so, and are shown as finely as there is room for. */
  onMove({ start }) {
    if (this.layout.paused) this.wantLook();
    else if (!this.scans && start < -1.01 * this.layout.window) this.send({ kind: "pause", paused: true });
  }

  wantLook() {
    clearTimeout(this.lookTimer);
    this.lookTimer = setTimeout(() => {
      if (!this.layout.paused || this.closed) return;
      const { start, end } = this.panels[0].model.x_range;
      const margin = (end - start) / 2; // so that a short move has something to show at once
      const columns = Math.min(4096, 2 * Math.max(...this.panels.map((panel) => panel.canvas.scene().width)));
      this.send({ kind: "look", start: start - margin, end: Math.min(0, end + margin), columns });
    }, LOOK_DELAY);
  }

  moveBy(windows) {
    const range = this.panels[0].model.x_range;
    const span = range.end - range.start;
    const end = Math.min(0, range.end + windows * span);
    range.setv({ start: end - span, end });
  }

  toggleCursors() {
    const { start, end } = this.panels[0].model.x_range;
    this.controls.cursors.setAttribute("aria-pressed", String(this.cursors.toggle(start, end)));
  }

  onMessage(content, buffers) {
    super.onMessage(content, buffers);
    if (content.kind === "refused") this.controls.refused(content.message);
  }

  setLayout(layout) {
    const before = this.layout;
    const scanned = this.scans;
    this.layout = layout;
    this.controls.setLayout(layout);
    for (const menu of this.menus) menu.setLayout(layout);
    layout.panels.forEach((next, index) => this.panels[index].setLayout(next));
    if (before.window !== layout.window || scanned !== this.scans || (before.paused && !layout.paused)) this.showWindow();
    if (layout.paused) this.wantLook();
    this.fresh = true;
  }

  /** Show the whole window, as it was chosen. */
  showWindow() {
    const { window } = this.layout;
    const [start, end] = this.scans ? [0, window] : [-window, 0];
    for (const panel of this.panels) {
      panel.model.x_range.setv({ start, end, reset_start: start, reset_end: end });
      setTimeLabel(panel.plotView, TIME_LABELS[this.scans ? "scan" : "scroll"]);
    }
  }

  onFrame(content, buffers) {
    for (const buffer of buffers) {
      const frame = decodeFrame(buffer);
      this.panels[frame.panel]?.take(frame);
    }
    content.status?.forEach((status, index) => {
      const panel = this.panels[index];
      panel.caption.setStatus(status);
      panel.fresh ||= JSON.stringify(panel.markers) !== JSON.stringify(status.markers);
      panel.markers = status.markers;
    });
  }

  draw() {
    for (const panel of this.panels) {
      if (panel.fresh) panel.paint();
      panel.fresh = false;
    }
  }

  paintAll() {
    for (const panel of this.panels) panel.paint();
  }

  setTheme() {
    for (const panel of this.panels) {
      setColors(panel.plotView, this.dark);
      panel.paint();
    }
  }
}

export default {
  render: (context) => present(OscilloscopeView, "oscilloscope", context),
};
