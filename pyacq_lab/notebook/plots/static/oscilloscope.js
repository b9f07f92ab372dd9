// The view of an Oscilloscope: asks the kernel for what it lacks, paints what comes, and says what it has painted.
import { BinRing, decodeFrame } from "./frames.js";
import { Painter, toPixel } from "./painter.js";
import { FrameCanvas, bokehOnce, isDark, plotViews, setColors, setTicks } from "./axes.js";
import { Controls, PanelCaption } from "./controls.js";

const ACK_INTERVAL = 500; // ms
const HEARTBEAT = 15000; // ms

const COLORS = {
  light: ["#0072b2", "#d55e00", "#00876c", "#a8518a", "#b07c00", "#2e8fd0"].map(toPixel),
  dark: ["#5ab4f0", "#ff8a4c", "#2ccb9f", "#e79bc7", "#f0bc42", "#9ad7f7"].map(toPixel),
};
const GAP_COLOR = toPixel("#d64541");

class OscilloscopeView {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.id = crypto.getRandomValues(new Uint32Array(2)).join("-");
    this.panels = [];
    this.frame = 0;
    this.acked = 0;
    this.lastWord = 0;
    this.visible = null;
    this.waiting = new Map();
    this.cleanups = [];
  }

  send(message) {
    this.lastWord = performance.now();
    this.model.send({ ...message, view: this.id });
  }

  /** Ask the kernel for something; resolves with [content, buffers] of the first answer. */
  ask(kind, answer) {
    return new Promise((resolve) => {
      this.waiting.set(answer, resolve);
      this.send({ kind });
    });
  }

  async open() {
    this.listen(this.model, "msg:custom", (content, buffers) => this.onMessage(content, buffers ?? []));
    this.root.classList.add("pyacq-oscilloscope");
    this.controls = new Controls((message) => this.send(message));
    this.plots = document.createElement("div");
    this.root.append(this.controls.element, this.plots);
    const [figure] = await this.ask("need_figure", "figure");
    this.controls.title.textContent = figure.title;
    const bokeh = await bokehOnce(figure.bokeh, async () => (await this.ask("need_bokeh", "bokeh"))[1][0]);
    await this.attached();
    if (this.closed) return;
    for (const item of figure.items) await this.addPanel(bokeh, item);
    this.shareTime();
    this.watchTheme();
    this.watchVisibility();
    const timer = setInterval(() => this.acknowledge(), ACK_INTERVAL);
    this.cleanups.push(() => clearInterval(timer));
    this.send({ kind: "hello" });
  }

  /** Bokeh refuses to draw into an element that is not in the page yet. */
  attached() {
    if (this.root.isConnected) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => (this.root.isConnected || this.closed ? resolve() : requestAnimationFrame(look));
      look();
    });
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

  onMessage(content, buffers) {
    this.waiting.get(content.kind)?.([content, buffers]);
    this.waiting.delete(content.kind);
    if (this.panels.length === 0) return;
    if (content.kind === "layout") this.setLayout(content);
    if (content.kind === "frame") this.onFrame(content, buffers);
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
    if (content.frame) this.frame = content.frame;
    content.status?.forEach((status, index) => this.panels[index].caption.setStatus(status));
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      for (const panel of this.panels) {
        if (panel.fresh) this.paint(panel);
        panel.fresh = false;
      }
    });
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

  acknowledge() {
    const due = this.frame !== this.acked || performance.now() - this.lastWord > HEARTBEAT;
    if (this.pending === undefined && due && this.visible) {
      this.acked = this.frame;
      this.send({ kind: "ack", frame: this.frame });
    }
  }

  watchTheme() {
    const apply = () => {
      this.dark = isDark(this.root);
      for (const panel of this.panels) {
        setColors(panel.plotView, this.dark);
        this.paint(panel);
      }
    };
    apply();
    const observer = new MutationObserver(apply);
    observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
    this.cleanups.push(() => observer.disconnect());
  }

  watchVisibility() {
    let inSight = true;
    const tell = () => {
      const visible = inSight && document.visibilityState === "visible";
      if (visible !== this.visible) this.send({ kind: "visible", visible });
      this.visible = visible;
    };
    const observer = new IntersectionObserver((entries) => {
      inSight = entries.at(-1).isIntersecting;
      tell();
    });
    observer.observe(this.root);
    this.listen(document, "visibilitychange", tell);
    this.cleanups.push(() => observer.disconnect());
  }

  listen(target, event, handler) {
    const [on, off] = target.on ? ["on", "off"] : ["addEventListener", "removeEventListener"];
    target[on](event, handler);
    this.cleanups.push(() => target[off](event, handler));
  }

  close() {
    this.closed = true;
    for (const cleanup of this.cleanups) cleanup();
    this.send({ kind: "goodbye" });
  }
}

export default {
  render({ model, el }) {
    const view = new OscilloscopeView(model, el);
    view.open().catch((error) => {
      console.error(error);
      el.append(`The plot cannot be drawn here: ${error.message}`);
    });
    el.oscilloscope = view; // for a look from the browser's console
    return () => view.close();
  },
};
