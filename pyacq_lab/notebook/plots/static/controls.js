// The rows above the plot: title, buttons, and how the streams are doing.

export function button(label, title, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.title = title;
  element.addEventListener("click", onClick);
  return element;
}

/** A choice of values, each with its text. */
export function choice(title, options, onChange) {
  const element = document.createElement("select");
  element.title = title;
  element.setAttribute("aria-label", title);
  for (const [value, text] of options) element.append(new Option(text, value));
  element.addEventListener("change", () => onChange(element.value));
  return element;
}

/** Seconds in words, as short as they may be. */
export function seconds(value) {
  const size = Math.abs(value);
  const [factor, unit] = size < 1e-3 ? [1e6, "\u00b5s"] : size < 1 ? [1e3, "ms"] : size < 60 ? [1, "s"] : [1 / 60, "min"];
  return `${Number((value * factor).toPrecision(4))} ${unit}`.replace("-", "\u2212");
}

function lag(value) {
  return Math.abs(value) < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}

function rate(value) {
  return value >= 1000 ? `${(value / 1000).toFixed(value >= 10000 ? 1 : 2)} kHz` : `${value.toFixed(0)} Hz`;
}

const CLIPPED_SHOWN = 4;

/** One stream's account in words. */
export function describe(status) {
  if (status.state === "waiting") return "waiting for samples";
  const parts = [status.state === "live" ? rate(status.rate) : status.state];
  if (status.state === "live" && status.lag !== null) parts.push(`lag ${lag(status.lag)}`);
  parts.push(status.lost ? `${status.lost.toLocaleString("en")} lost` : "none lost");
  if (status.clipped?.length) {
    const more = status.clipped.length - CLIPPED_SHOWN;
    parts.push(`clipping: ${status.clipped.slice(0, CLIPPED_SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`);
  }
  return parts.join(" \u00b7 ");
}

const WINDOWS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

/** The controls; `send` takes a message for the kernel, `back` moves a paused picture by so many windows. */
export class Controls {
  constructor({ send, back, cursors, menus }) {
    this.element = document.createElement("div");
    this.element.className = "pyacq-controls";
    this.title = document.createElement("strong");
    this.state = { paused: false, auto_scale: true };
    this.pause = button("Pause", "", () => send({ kind: "pause", paused: !this.state.paused }));
    this.earlier = button("\u25c0", "Half a window back, while paused", () => back(-0.5));
    this.later = button("\u25b6", "Half a window on, while paused", () => back(0.5));
    this.fit = button("Auto-scale", "Fit the lanes to the signals, and keep them fitted", () => send({ kind: "fit" }));
    const smaller = button("\u2212", "Draw traces half as high (Shift and wheel)", () => send({ kind: "zoom", factor: 0.5 }));
    const larger = button("+", "Draw traces twice as high (Shift and wheel)", () => send({ kind: "zoom", factor: 2 }));
    const names = [[smaller, "smaller traces"], [larger, "larger traces"], [this.earlier, "earlier"], [this.later, "later"]];
    for (const [element, name] of names) element.setAttribute("aria-label", name);
    this.window = choice("Window", WINDOWS.map((s) => [s, seconds(s)]), (value) =>
      send({ kind: "window", seconds: Number(value) }),
    );
    const modes = [["scroll", "Scroll"], ["scan", "Scan"]];
    this.mode = choice("How traces move", modes, (mode) => send({ kind: "mode", mode }));
    this.cursors = button("Cursors", "Two cursors: drag them; differences are told below", () => cursors());
    this.cursors.setAttribute("aria-pressed", "false");
    this.refusal = document.createElement("span");
    this.refusal.className = "pyacq-refusal";
    this.refusal.setAttribute("role", "alert");
    this.element.append(
      this.title, this.pause, this.earlier, this.later, this.window, this.mode, this.fit, smaller, larger,
      this.cursors, ...menus, this.refusal,
    );
  }

  setLayout(layout) {
    this.state = layout;
    this.pause.textContent = layout.paused ? "Resume" : "Pause";
    this.pause.title = layout.paused ? "Let the picture go on" : "Freeze the picture; acquisition goes on";
    this.pause.setAttribute("aria-pressed", String(layout.paused));
    this.earlier.disabled = this.later.disabled = !layout.paused; // there all the time: nothing jumps
    this.fit.setAttribute("aria-pressed", String(layout.auto_scale));
    if (![...this.window.options].some((option) => Number(option.value) === layout.window)) {
      this.window.append(new Option(seconds(layout.window), layout.window));
    }
    this.window.value = layout.window;
    this.mode.value = layout.mode;
    this.refusal.textContent = "";
  }

  refused(message) {
    this.refusal.textContent = message;
  }
}

/** The line over one panel: its name, its scale, its account. */
export class PanelCaption {
  constructor() {
    this.element = document.createElement("div");
    this.element.className = "pyacq-caption";
    [this.name, this.scale, this.readout, this.status] = ["name", "scale", "readout", "status"].map((part) => {
      const span = document.createElement("span");
      span.className = `pyacq-${part}`;
      this.element.append(span);
      return span;
    });
    this.status.textContent = "waiting for samples";
  }

  setLayout(panel) {
    this.name.textContent = panel.name;
    this.scale.textContent = panel.scale;
  }

  setStatus(status) {
    const text = describe(status);
    if (this.status.textContent !== text) this.status.textContent = text;
    const bad = status.lost > 0 || status.state === "failed" || status.clipped?.length > 0;
    this.status.classList.toggle("pyacq-lossy", bad);
  }

  setReadout(text) {
    if (this.readout.textContent !== text) this.readout.textContent = text;
  }
}
