// The menus over the plot: which channels are drawn and how, and what is done to them for the picture.
import { button } from "./controls.js";

function check(label, title, onChange) {
  const element = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.addEventListener("change", () => onChange(box.checked));
  element.append(box, label);
  element.title = title;
  return [element, box];
}

function toggle(label, title, onChange) {
  const element = button(label, title, () => onChange(element.getAttribute("aria-pressed") !== "true"));
  element.setAttribute("aria-label", title);
  return element;
}

/** A menu that opens under its name; its content is made when it is opened first, and kept true while it is open. */
class Menu {
  constructor(name, title) {
    this.element = document.createElement("details");
    this.element.className = "pyacq-menu";
    const summary = document.createElement("summary");
    summary.textContent = name;
    summary.title = title;
    this.body = document.createElement("div");
    this.body.className = "pyacq-menu-body";
    this.body.dataset.lmSuppressShortcuts = "true"; // keys typed here are no commands of the notebook
    this.element.append(summary, this.body);
    this.element.addEventListener("toggle", () => this.refresh());
  }

  setLayout(layout) {
    this.layout = layout;
    if (this.element.open) this.refresh();
  }

  refresh() {
    if (this.layout === undefined) return;
    const key = this.layout.panels.map((panel) => [panel.name, ...panel.names].join("\n")).join("\n\n");
    if (key !== this.key) {
      this.key = key;
      this.body.replaceChildren();
      this.sections = this.layout.panels.map((panel, index) => this.section(panel, index));
      this.body.append(...this.sections.map((section) => section.element));
    }
    this.sections.forEach((section, index) => section.update(this.layout.panels[index]));
  }
}

/** Show, solo, invert, gain and place of each channel. */
export class ChannelMenu extends Menu {
  constructor(send, color) {
    super("Channels", "Choose, order, invert and scale channels");
    this.send = send;
    this.color = color;
  }

  section(panel, index) {
    const element = document.createElement("div");
    const send = (kind, rest) => this.send({ kind, panel: index, ...rest });
    const head = document.createElement("div");
    head.className = "pyacq-menu-head";
    const name = document.createElement("strong");
    name.textContent = panel.name;
    const all = panel.names.map((_, channel) => channel);
    head.append(
      name,
      button("All", "Draw all channels", () => send("show", { channels: all, on: true })),
      button("Reset", "All channels in their order, at their own scale", () => send("arrange", {})),
    );
    const find = document.createElement("input");
    find.type = "search";
    find.placeholder = "Find";
    find.setAttribute("aria-label", "find a channel");
    if (panel.names.length > 16) head.append(find);
    const table = document.createElement("div");
    table.className = "pyacq-channels";
    const rows = panel.names.map((channelName, channel) => this.row(channelName, channel, send));
    table.append(...rows.map((row) => row.element));
    find.addEventListener("input", () => {
      for (const row of rows) row.element.hidden = !row.name.toLowerCase().includes(find.value.toLowerCase());
    });
    element.append(head, table);
    const update = (now) => {
      const { lanes } = now.settings;
      const [hidden, solo, inverted] = [lanes.hidden, lanes.solo, lanes.inverted].map((names) => new Set(names));
      const place = new Map(now.channels.map((channel, lane) => [channel, lane]));
      for (const [channel, row] of rows.entries()) {
        row.box.checked = !hidden.has(row.name);
        row.solo.setAttribute("aria-pressed", String(solo.has(row.name)));
        row.invert.setAttribute("aria-pressed", String(inverted.has(row.name)));
        row.gain.textContent = `\u00d7${Number((lanes.gains[row.name] ?? 1).toPrecision(3))}`;
        row.element.style.order = place.get(channel) ?? panel.names.length + channel;
        row.swatch.style.background = this.color(channel);
      }
    };
    return { element, update };
  }

  row(name, channel, send) {
    const element = document.createElement("div");
    element.className = "pyacq-channel";
    const channels = [channel];
    const [label, box] = check(name, `Draw ${name}`, (on) => send("show", { channels, on }));
    const swatch = document.createElement("span");
    swatch.className = "pyacq-swatch";
    label.insertBefore(swatch, box.nextSibling);
    const solo = toggle("S", `${name} alone`, (on) => send("solo", { channels, on }));
    const invert = toggle("\u21c5", `${name} upside down`, (on) => send("invert", { channels, on }));
    const gain = document.createElement("span");
    gain.className = "pyacq-gain";
    const smaller = button("\u2212", `${name} half as high`, () => send("gain", { channels, factor: 0.5 }));
    const larger = button("+", `${name} twice as high`, () => send("gain", { channels, factor: 2 }));
    const up = button("\u2191", `${name} one lane up`, () => send("move", { channels, by: -1 }));
    const down = button("\u2193", `${name} one lane down`, () => send("move", { channels, by: 1 }));
    for (const each of [smaller, larger, up, down]) each.setAttribute("aria-label", each.title);
    element.append(label, solo, invert, smaller, gain, larger, up, down);
    return { element, name, box, swatch, solo, invert, gain };
  }
}

/** Median offset, common average and band of each stream. */
export class FilterMenu extends Menu {
  constructor(send) {
    super("Filter", "Process what is drawn; recordings and other readers see nothing of it");
    this.send = send;
  }

  section(panel, index) {
    const element = document.createElement("div");
    element.className = "pyacq-filter";
    const name = document.createElement("strong");
    name.textContent = panel.name;
    const filter = (values) => this.send({ kind: "filter", panel: index, ...values });
    const [median, medianBox] = check("Median offset", "Draw traces about their median", (on) =>
      this.send({ kind: "median", panel: index, on }),
    );
    const [average, averageBox] = check("Common average", "Take the average of all channels off each", (on) =>
      filter({ average: on }),
    );
    const band = document.createElement("div");
    const [low, high] = ["low", "high"].map((side) => {
      const field = document.createElement("input");
      Object.assign(field, { type: "number", min: 0, step: "any", placeholder: side });
      field.setAttribute("aria-label", `${side} corner, Hz`);
      field.addEventListener("keydown", (event) => {
        if (event.key === "Enter") field.blur(); // what was typed counts now
      });
      field.addEventListener("change", () =>
        filter(Object.fromEntries([["low", low], ["high", high]].map(([k, f]) => [k, f.value === "" ? null : Number(f.value)]))),
      );
      return field;
    });
    band.append("Band ", low, " to ", high, " Hz");
    element.append(name, median, average, band);
    const update = ({ settings }) => {
      medianBox.checked = settings.median;
      averageBox.checked = settings.filter.average;
      for (const [field, value] of [[low, settings.filter.low], [high, settings.filter.high]]) {
        if (document.activeElement !== field) field.value = value ?? "";
      }
    };
    return { element, update };
  }
}
