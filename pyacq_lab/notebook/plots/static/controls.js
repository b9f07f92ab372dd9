// The row above the plot: title, buttons, and how the streams are doing.

function button(label, title, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.title = title;
  element.addEventListener("click", onClick);
  return element;
}

function seconds(value) {
  return Math.abs(value) < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}

function rate(value) {
  return value >= 1000 ? `${(value / 1000).toFixed(value >= 10000 ? 1 : 2)} kHz` : `${value.toFixed(0)} Hz`;
}

/** One stream's account in words. */
export function describe(status) {
  if (status.state === "waiting") return "waiting for samples";
  const parts = [status.state === "live" ? rate(status.rate) : status.state];
  if (status.state === "live" && status.lag !== null) parts.push(`lag ${seconds(status.lag)}`);
  parts.push(status.lost ? `${status.lost.toLocaleString("en")} lost` : "none lost");
  return parts.join(" · ");
}

/** The controls; `send` takes a message for the kernel. */
export class Controls {
  constructor(send) {
    this.element = document.createElement("div");
    this.element.className = "pyacq-controls";
    this.title = document.createElement("strong");
    this.state = { paused: false, auto_scale: true };
    this.pause = button("Pause", "", () => send({ kind: "pause", paused: !this.state.paused }));
    this.fit = button("Auto-scale", "Fit the lanes to the signals, and keep them fitted", () => send({ kind: "fit" }));
    const smaller = button("\u2212", "Draw traces half as high", () => send({ kind: "zoom", factor: 0.5 }));
    const larger = button("+", "Draw traces twice as high", () => send({ kind: "zoom", factor: 2 }));
    smaller.setAttribute("aria-label", "smaller traces");
    larger.setAttribute("aria-label", "larger traces");
    this.element.append(this.title, this.pause, this.fit, smaller, larger);
  }

  setLayout(layout) {
    this.state = layout;
    this.pause.textContent = layout.paused ? "Resume" : "Pause";
    this.pause.title = layout.paused ? "Let the picture go on" : "Freeze the picture; acquisition goes on";
    this.pause.setAttribute("aria-pressed", String(layout.paused));
    this.fit.setAttribute("aria-pressed", String(layout.auto_scale));
  }
}

/** The line over one panel: its name, its scale, its account. */
export class PanelCaption {
  constructor() {
    this.element = document.createElement("div");
    this.element.className = "pyacq-caption";
    [this.name, this.scale, this.status] = ["name", "scale", "status"].map((part) => {
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
    this.status.classList.toggle("pyacq-lossy", status.lost > 0 || status.state === "failed");
  }
}
