// What the pages of all live views do: talk with the kernel, follow theme and sight, end.
import { bokehOnce, isDark } from "./axes.js";

const ACK_INTERVAL = 500; // ms
const HEARTBEAT = 15000; // ms

/** A view; a subclass has `build`, `setLayout(content)`, `onFrame(content, buffers)`, `draw`, `setTheme`. */
export class LiveView {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.id = crypto.getRandomValues(new Uint32Array(2)).join("-");
    this.frame = 0;
    this.acked = 0;
    this.lastWord = 0;
    this.visible = null;
    this.built = false;
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
    this.root.classList.add(this.constructor.className);
    await this.build();
    if (this.closed) return;
    this.built = true;
    this.watchTheme();
    this.watchVisibility();
    const timer = setInterval(() => this.acknowledge(), ACK_INTERVAL);
    this.cleanups.push(() => clearInterval(timer));
    this.send({ kind: "hello" });
  }

  /** BokehJS, when there is a place in the page to draw in. */
  async bokeh(version) {
    const bokeh = await bokehOnce(version, async () => (await this.ask("need_bokeh", "bokeh"))[1][0]);
    await this.attached();
    return bokeh;
  }

  /** Bokeh refuses to draw into an element that is not in the page yet. */
  attached() {
    if (this.root.isConnected) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => (this.root.isConnected || this.closed ? resolve() : requestAnimationFrame(look));
      look();
    });
  }

  onMessage(content, buffers) {
    this.waiting.get(content.kind)?.([content, buffers]);
    this.waiting.delete(content.kind);
    if (!this.built) return;
    if (content.kind === "layout") this.setLayout(content);
    if (content.kind !== "frame") return;
    this.onFrame(content, buffers);
    if (content.frame) this.frame = content.frame;
    this.pending ??= requestAnimationFrame(() => {
      this.pending = undefined;
      if (!this.closed) this.draw();
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
      this.setTheme();
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

/** Show a view in an element; gives what ends it. The view is an attribute of the element, for a look from outside. */
export function present(View, name, { model, el }) {
  const view = new View(model, el);
  view.open().catch((error) => {
    console.error(error);
    el.append(`The plot cannot be drawn here: ${error.message}`);
  });
  el[name] = view;
  return () => view.close();
}
