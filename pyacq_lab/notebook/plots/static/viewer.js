// The view of a scene: controls that the scene offers, and a pane for each of its elements.
import { button, describe } from "./controls.js";
import { PicturePane, TilesPane } from "./panes.js";
import { PlotPane } from "./plotpane.js";
import { LiveView, present } from "./view.js";

class SceneView extends LiveView {
  static className = "pyacq-oscilloscope";

  async build() {
    this.bar = document.createElement("div");
    this.bar.className = "pyacq-controls";
    this.bar.dataset.lmSuppressShortcuts = "true"; // what is typed here is not for the notebook
    this.status = document.createElement("div");
    this.status.className = "pyacq-status";
    this.refusal = document.createElement("div");
    this.refusal.className = "pyacq-refusal";
    this.refusal.setAttribute("role", "alert");
    this.place = document.createElement("div");
    this.root.append(this.bar, this.refusal, this.place);
    this.listen(this.model, "msg:custom", (content) => {
      if (content.kind === "refused") this.refuse(content.message);
    });
    this.panes = [];
    this.shape = -1;
    this.drawn = 0;
    await this.rebuild();
  }

  /** Make the panes that the scene has now. */
  async rebuild() {
    const [figure] = await this.ask("need_figure", "figure");
    this.title = figure.title;
    this.palettes = figure.palettes;
    const hasPlot = figure.items.some((item) => item.kind === "plot");
    const bokeh = hasPlot ? await this.bokeh(figure.bokeh) : undefined;
    if (this.closed) return;
    for (const pane of this.panes) pane.close();
    const place = document.createElement("div");
    this.place.replaceWith(place);
    this.place = place;
    const panes = [];
    for (const item of figure.items) {
      if (item.kind === "plot") panes.push(await PlotPane.make(bokeh, item, place));
      else panes.push(item.kind === "picture" ? new PicturePane(place) : new TilesPane(place));
    }
    this.panes = panes;
    this.shape = figure.shape;
  }

  setLayout(layout) {
    this.setControls(layout);
    if (layout.shape === this.shape || this.rebuilding) return;
    this.rebuilding = true;
    this.rebuild()
      .then(() => {
        this.setTheme();
        this.send({ kind: "hello" });
      })
      .catch((error) => console.error(error))
      .finally(() => (this.rebuilding = false));
  }

  setControls({ controls, paused }) {
    const key = JSON.stringify([this.title, controls, paused]);
    if (key === this.controlsKey || this.bar.contains(document.activeElement?.closest("input"))) return;
    this.controlsKey = key;
    const title = document.createElement("strong");
    title.textContent = this.title;
    const pause = button(paused ? "Resume" : "Pause", paused ? "Let the picture go on" : "Freeze the picture", () =>
      this.send({ kind: "pause", paused: !paused }),
    );
    pause.setAttribute("aria-pressed", String(paused));
    this.bar.replaceChildren(title, pause, ...controls.map((control) => this.control(control)), this.status);
  }

  control({ name, label, kind, value, options, title }) {
    const send = (next) => {
      this.refuse("");
      this.send({ kind: "control", name, value: next });
    };
    if (kind === "action" || kind === "toggle") {
      const element = button(label, title, () => send(kind === "toggle" ? !value : true));
      if (kind === "toggle") element.setAttribute("aria-pressed", String(value));
      return element;
    }
    const element = document.createElement("label");
    element.title = title;
    const field = document.createElement(kind === "choice" ? "select" : "input");
    for (const option of options) field.append(new Option(option, option, false, option === value));
    if (kind === "number") {
      field.type = "number";
      field.step = "any";
      field.value = value;
    }
    field.addEventListener("change", () => {
      send(kind === "number" ? Number(field.value) : field.value);
    });
    // JupyterLab takes Enter for itself, also here: leaving the field is what says that it has changed.
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") field.blur();
    });
    element.append(label, field);
    return element;
  }

  refuse(message) {
    this.refusal.textContent = message;
  }

  onFrame(content, buffers) {
    if (content.elements && content.shape === this.shape) {
      // Columns of a waterfall come once only: each frame is taken, though only the last is drawn.
      content.elements.forEach((entry, i) => this.panes[i].set(entry, buffers, this.palettes));
      this.drawn += 1;
    }
    if (content.status) {
      this.status.textContent = content.status.map(describe).join(" | ");
      const lossy = content.status.some((each) => each.lost > 0 || each.state === "failed");
      this.status.classList.toggle("pyacq-lossy", lossy);
    }
  }

  draw() {}

  setTheme() {
    for (const pane of this.panes) pane.setTheme(this.dark);
  }

  close() {
    for (const pane of this.panes) pane.close();
    super.close();
  }
}

export default {
  render: (context) => present(SceneView, "viewer", context),
};
