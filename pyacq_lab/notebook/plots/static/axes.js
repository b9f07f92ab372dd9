// The bokeh figure: loading BokehJS without internet, placing our canvas in the frame, and its colours.

/** BokehJS of one version, loaded once per page: the kernel sends it when a plot first asks for it. */
export function bokehOnce(version, ask) {
  const loaded = (window.__pyacqBokeh ??= {});
  loaded[version] ??= ask().then(evaluateBokeh);
  loaded[version].catch(() => delete loaded[version]);
  return loaded[version];
}

async function evaluateBokeh(compressed) {
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const source = await new Response(stream).text();
  // BokehJS puts itself into its `this`: one of ours, so that a BokehJS of the page is left alone.
  const module = `const scope = {};\n(function () {\n${source}\n}).call(scope);\nexport default scope.Bokeh;`;
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  try {
    return (await import(/* webpackIgnore: true */ url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** The views of all plots in a layout, from the top. */
export function plotViews(view) {
  return view.canvas_view ? [view] : (view.child_views ?? []).flatMap(plotViews);
}

/** A canvas of ours in a plot's frame: above bokeh's grid, below its tools' overlays. */
export class FrameCanvas {
  constructor(plotView, onRepaint) {
    this.plotView = plotView;
    this.element = document.createElement("canvas");
    this.element.className = "pyacq-traces";
    Object.assign(this.element.style, { position: "absolute", pointerEvents: "none" });
    const canvasView = plotView.canvas_view;
    canvasView.shadow_el.insertBefore(this.element, canvasView.overlays.el);
    this.overlay = this.element.cloneNode();
    this.overlay.className = "pyacq-overlay";
    canvasView.shadow_el.insertBefore(this.overlay, canvasView.overlays.el);
    plotView.repainted.connect(onRepaint);
    // Bokeh's save tool draws its own layers only; ours are added to what it is about to save.
    const whole = plotView.export.bind(plotView);
    plotView.export = (...options) => {
      const layer = whole(...options);
      const ratio = layer.pixel_ratio;
      const box = plotView.frame.bbox;
      const [left, top, width, height] = [box.left, box.top, box.width, box.height].map((v) => v * ratio);
      layer.ctx.save();
      layer.ctx.setTransform(1, 0, 0, 1, 0, 0);
      for (const canvas of [this.element, this.overlay]) {
        if (canvas.width && canvas.height) layer.ctx.drawImage(canvas, left, top, width, height);
      }
      layer.ctx.restore();
      return layer;
    };
  }

  /** Follow the frame; give what the painter must know of it. */
  scene() {
    const { left, top, width, height } = this.plotView.frame.bbox;
    const ratio = this.plotView.canvas_view.pixel_ratio;
    const style = [left, top, width, height].join();
    if (style !== this.style) {
      this.style = style;
      const place = { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` };
      for (const canvas of [this.element, this.overlay]) Object.assign(canvas.style, place);
    }
    const { x_range: x, y_range: y } = this.plotView.model;
    return {
      ratio,
      width: Math.round(width * ratio),
      height: Math.round(height * ratio),
      xStart: x.start,
      xEnd: x.end,
      yStart: y.start,
      yEnd: y.end,
    };
  }
}

/** Have a plot show lanes: their range, and a line in the middle of each. */
export function setLanes(plotView, nLanes, [low, high]) {
  const range = plotView.model.y_range;
  if (range.pyacqLanes === nLanes) return;
  range.pyacqLanes = nLanes;
  range.setv({ start: low, end: high, reset_start: low, reset_end: high });
  for (const renderer of plotView.model.renderers) {
    renderer.data_source.data = { y: Array.from({ length: nLanes }, (_, i) => i) };
  }
}

/** Write what the horizontal axis tells. */
export function setTimeLabel(plotView, text) {
  for (const axis of plotView.model.below) if (axis.axis_label !== undefined) axis.axis_label = text;
}

/** Write a panel's labels on the vertical axis of its plot. */
export function setTicks(plotView, ticks) {
  for (const axis of plotView.model.left) {
    axis.ticker.ticks = ticks.map(([y]) => y);
    axis.major_label_overrides = new Map(ticks);
  }
}

/** Whether the page's ground is dark, whoever made the page. */
export function isDark(element) {
  const declared = document.body.dataset.jpThemeLight;
  if (declared !== undefined) return declared === "false";
  for (let e = element; e; e = e.parentElement) {
    const rgba = getComputedStyle(e).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (rgba.length === 3 || rgba[3] > 0.5) return 0.3 * rgba[0] + 0.6 * rgba[1] + 0.1 * rgba[2] < 110;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Give a plot the colours of the page. */
export function setColors(plotView, dark, hasLanes = true) {
  const ink = dark ? "#d7dce2" : "#22272e";
  const faint = dark ? "#9aa4b0" : "#6e7681";
  const line = dark ? "#4a525c" : "#bec4cc";
  const grid = dark ? "#2b3138" : "#e8ebef";
  const model = plotView.model;
  model.setv({ background_fill_alpha: 0, border_fill_alpha: 0, outline_line_color: line });
  const base = { axis_line_color: line, major_tick_line_color: line, minor_tick_line_color: null };
  for (const axis of model.below) {
    if (axis.major_label_overrides) {
      axis.setv({ ...base, major_label_text_color: faint, axis_label_text_color: faint });
    }
  }
  for (const axis of model.left) {
    axis.setv({ ...base, major_tick_line_color: null, major_label_text_color: ink, axis_label_text_color: faint });
  }
  for (const renderer of model.center) {
    if (renderer.grid_line_color !== undefined) renderer.grid_line_color = renderer.dimension === 0 ? grid : null;
  }
  if (!hasLanes) return;
  for (const renderer of model.renderers) renderer.glyph.line_color = dark ? "#3a424b" : "#d4d9df";
}
