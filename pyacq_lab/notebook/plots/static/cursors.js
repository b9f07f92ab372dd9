// What is drawn over the traces: markers, cursors, the value under the pointer.
import { seconds } from "./controls.js";
import { FULL_LANE } from "./frames.js";

const SATURATED = 32767;
const GRAB = 7; // CSS pixels from which a cursor can be taken

function quantity(value, units) {
  return `${Number(value.toPrecision(4))} ${units}`.trimEnd().replace("-", "\u2212");
}

/** Values of a lane at a time: [least, greatest] in the stream's units; undefined where there is nothing. */
export function valuesAt(panel, lane, time) {
  const { ring, binSeconds } = panel.shown;
  const found = ring.at(lane, Math.floor(ring.now + panel.toStreamTime(time) / binSeconds));
  if (found === undefined || found.some((q) => Math.abs(q) >= SATURATED)) return undefined;
  const { centre, half } = panel.layout;
  return found.map((q) => centre[lane] + (q / FULL_LANE) * half[lane]).sort((a, b) => a - b);
}

function inWords(values, units) {
  if (values === undefined) return "no value";
  const [least, most] = values;
  return least === most ? quantity(least, units) : `${quantity(least, "")} to ${quantity(most, units)}`;
}

/** Two times, shared by all panels of a plot, and the lane whose values are told. */
export class Cursors {
  constructor(onChange) {
    this.times = null;
    this.lanes = new Map();
    this.onChange = onChange;
  }

  toggle(start, end) {
    this.times = this.times === null ? [start + (end - start) / 3, start + (2 * (end - start)) / 3] : null;
    this.onChange();
    return this.times !== null;
  }

  /** Differences between the two for one panel, in words. */
  describe(panel) {
    if (this.times === null || !panel.layout) return "";
    const [a, b] = this.times;
    const gap = b - a;
    const lane = Math.min(this.lanes.get(panel) ?? 0, panel.layout.channels.length - 1);
    const parts = [`\u0394t ${seconds(gap)}`];
    if (gap) parts.push(`${Number((1 / Math.abs(gap)).toPrecision(4))} Hz`);
    const [before, after] = [a, b].map((time) => valuesAt(panel, lane, time));
    if (before && after) {
      const middle = ([least, most]) => (least + most) / 2;
      parts.push(`\u0394 ${panel.layout.names[panel.layout.channels[lane]]} ${quantity(middle(after) - middle(before), panel.layout.units)}`);
    }
    return parts.join(" \u00b7 ");
  }
}

/** The layer over one panel's traces. */
export class Overlay {
  constructor(panel, place, cursors, listen) {
    this.panel = panel;
    this.canvas = panel.canvas.overlay;
    this.cursors = cursors;
    this.hint = document.createElement("div");
    this.hint.className = "pyacq-hint";
    this.hint.hidden = true;
    place.style.position = "relative";
    place.append(this.hint);
    this.place = place;
    listen(place, "pointermove", (event) => this.hover(event), { capture: true });
    listen(place, "pointerleave", () => this.leave());
    listen(place, "pointerdown", (event) => this.press(event), { capture: true });
  }

  /** Where an event lies: time and lane; undefined outside the frame. */
  spot(event) {
    const box = this.panel.canvas.element.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1) || !this.panel.layout) return undefined;
    const { x_range: xs, y_range: ys } = this.panel.plotView.model;
    const n = this.panel.layout.channels.length;
    const lane = n - 1 - Math.round(ys.end - y * (ys.end - ys.start));
    return { time: xs.start + x * (xs.end - xs.start), lane: Math.min(n - 1, Math.max(0, lane)), perPixel: (xs.end - xs.start) / box.width };
  }

  grabbed(spot) {
    if (spot === undefined || this.cursors.times === null) return -1;
    const away = this.cursors.times.map((time) => Math.abs(time - spot.time) / spot.perPixel);
    const nearest = away[0] <= away[1] ? 0 : 1;
    return away[nearest] <= GRAB ? nearest : -1;
  }

  hover(event) {
    const spot = this.spot(event);
    this.pointer = spot && event;
    this.place.style.cursor = this.grabbed(spot) >= 0 ? "ew-resize" : "";
    this.tell();
  }

  /** Write what lies under the pointer; the traces may move under it. */
  tell() {
    const spot = this.pointer && this.spot(this.pointer);
    this.hint.hidden = spot === undefined || !this.panel.shown;
    if (this.hint.hidden) return;
    const { layout } = this.panel;
    const values = inWords(valuesAt(this.panel, spot.lane, spot.time), layout.units);
    this.hint.textContent = `${layout.names[layout.channels[spot.lane]]}  ${values}  at ${seconds(spot.time)}`;
    const box = this.place.getBoundingClientRect();
    const [x, y] = [this.pointer.clientX - box.left, this.pointer.clientY - box.top];
    const right = x > box.width / 2;
    Object.assign(this.hint.style, {
      left: right ? "" : `${x + 14}px`,
      right: right ? `${box.width - x + 14}px` : "",
      top: `${Math.max(0, y - 26)}px`,
    });
  }

  leave() {
    this.pointer = undefined;
    this.tell();
  }

  press(event) {
    const spot = this.spot(event);
    if (spot === undefined || this.cursors.times === null || event.button !== 0) return;
    this.cursors.lanes.set(this.panel, spot.lane);
    const which = this.grabbed(spot);
    if (which < 0) {
      this.cursors.onChange();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const move = (moved) => {
      const to = this.spot(moved);
      if (to !== undefined) this.cursors.times[which] = to.time;
      this.cursors.onChange();
    };
    const end = () => {
      removeEventListener("pointermove", move, true);
      removeEventListener("pointerup", end, true);
    };
    addEventListener("pointermove", move, true);
    addEventListener("pointerup", end, true);
  }

  /** Draw markers and cursors; `scene` is that of the traces. */
  draw(scene, dark) {
    const { width, height, ratio } = scene;
    const markers = this.panel.markerTimes();
    const isBlank = markers.length === 0 && this.cursors.times === null && !scene.sweep;
    this.panel.caption.setReadout(this.cursors.describe(this.panel));
    this.tell();
    if (isBlank && this.wasBlank) return; // it costs the page nothing while there is nothing to draw
    this.wasBlank = isBlank;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.lineWidth = Math.max(1, Math.round(ratio));
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    context.textBaseline = "top";
    const x = (time) => Math.round(((time - scene.xStart) / (scene.xEnd - scene.xStart)) * width) + 0.5;
    const line = (at, color, dash) => {
      context.strokeStyle = color;
      context.setLineDash(dash.map((d) => d * ratio));
      context.beginPath();
      context.moveTo(at, 0);
      context.lineTo(at, height);
      context.stroke();
    };
    const write = (text, at, color) => {
      context.fillStyle = dark ? "rgba(17, 20, 24, 0.75)" : "rgba(255, 255, 255, 0.8)";
      const long = context.measureText(text).width;
      const left = Math.min(at + 3 * ratio, width - long - 4 * ratio);
      context.fillRect(left - 2 * ratio, 0, long + 4 * ratio, 14 * ratio);
      context.fillStyle = color;
      context.fillText(text, left, 1.5 * ratio);
    };
    const event = dark ? "#ffd166" : "#8a5a00";
    for (const [time, label] of markers) {
      const at = x(time);
      if (at < 0 || at > width) continue;
      line(at, event, [4, 3]);
      if (label) write(label, at, event);
    }
    const ink = dark ? "#f0f3f6" : "#22272e";
    (this.cursors.times ?? []).forEach((time, i) => {
      line(x(time), ink, []);
      write("AB"[i], x(time), ink);
    });
    if (scene.sweep) line(scene.scanColumn() + 0.5, dark ? "#9aa4b0" : "#6e7681", []);
  }
}
