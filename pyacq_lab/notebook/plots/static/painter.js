// Paints min/max bins as columns of pixels. Only new columns are painted; the others are shifted.
import { FULL_LANE } from "./frames.js";

const HALF_LINE = 0.6; // half the width of a trace, CSS pixels

/** Colour as the 24 low bits of a pixel (blue, green, red). */
export function toPixel(css) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(css.slice(i, i + 2), 16));
  return (b << 16) | (g << 8) | r;
}

export function modulo(value, by) {
  return ((value % by) + by) % by;
}

function put(pixels, at, color, coverage) {
  const alpha = coverage >= 1 ? 255 : (coverage * 255) | 0;
  if (alpha > pixels[at] >>> 24) {
    pixels[at] = ((alpha << 24) | color) >>> 0;
  }
}

/** Paint the part of one column between two heights, with smooth ends. */
function span(pixels, width, height, x, top, bottom, color) {
  const from = Math.max(0, Math.floor(top));
  const to = Math.min(height, Math.ceil(bottom));
  for (let y = from; y < to; y++) {
    put(pixels, y * width + x, color, Math.min(y + 1, bottom) - Math.max(y, top));
  }
}

/**
 * Columns are counted on an axis of their own that runs with the display axis of the bins: column p shows the bins
 * b with floor(b * perBin) == p. A column, once painted, never changes; it only moves to the left.
 */
export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.strip = document.createElement("canvas"); // a ring of columns: column p is at p % width
    this.stripContext = this.strip.getContext("2d", { willReadFrequently: true });
    this.key = "";
    this.right = 0;
    this.settled = 0;
    this.scan = -1;
    this.next = 0;
    this.scanColumn = 0;
    this.whole = 0;
    this.painted = 0;
  }

  /**
   * Paint `ring` as `scene` says: {width, height, ratio, xStart, xEnd, yStart, yEnd, binSeconds, colors, gap, key}, one
   * colour per lane. With `sweep`, seconds, a scan writes over the oldest, and x is the time in it.
   */
  paint(ring, scene) {
    const { width, height } = scene;
    if (width < 1 || height < 1) return;
    const perBin = (width * scene.binSeconds) / (scene.xEnd - scene.xStart);
    const key = [width, height, scene.xStart, scene.xEnd, scene.yStart, scene.yEnd, scene.key, scene.sweep].join();
    const renewed = key !== this.key;
    if (renewed) {
      this.resize(width, height);
      this.key = key;
      this.whole += 1;
    }
    if (scene.sweep) this.paintScan(ring, scene, perBin, renewed);
    else this.paintScroll(ring, scene, perBin, renewed);
    this.painted += 1;
  }

  paintScroll(ring, scene, perBin, renewed) {
    const { width, height } = scene;
    const right = Math.ceil((ring.now + scene.xEnd / scene.binSeconds) * perBin);
    const whole = renewed || right < this.right || right - this.right >= width;
    const from = whole ? right - width : Math.max(this.settled, right - width);
    if (from < right) this.paintColumns(ring, scene, perBin, from, right, modulo(from, width));
    this.right = right;
    // The newest column may still get bins, and a line to the next bin waits for it.
    this.settled = Math.min(right, Math.floor((ring.now - 1) * perBin) - (perBin > 1 ? Math.ceil(perBin) : 1));
    this.show(width, height, right);
  }

  /** The strip lies still; its columns are those of the scan that is under way, and of the one before it. */
  paintScan(ring, scene, perBin, renewed) {
    const { width, height, binSeconds } = scene;
    const bins = scene.sweep / binSeconds;
    const scan = Math.floor(ring.now / bins);
    const first = (n) => Math.round((n * bins + scene.xStart / binSeconds) * perBin);
    const column = (n) => Math.min(width, Math.max(0, Math.ceil(ring.now * perBin) - first(n)));
    const next = column(scan);
    const part = (n, from, to) => {
      if (from < to) this.paintColumns(ring, scene, perBin, first(n) + from, first(n) + to, from);
    };
    if (renewed || (scan !== this.scan && scan !== this.scan + 1)) {
      part(scan, 0, next);
      part(scan - 1, next, width);
    } else {
      const from = Math.min(next, this.next);
      if (scan === this.scan) part(scan, from, next);
      else {
        part(scan - 1, this.next, width);
        part(scan, 0, next);
      }
    }
    this.scan = scan;
    this.next = Math.max(0, Math.floor((ring.now - 1) * perBin) - first(scan) - (perBin > 1 ? Math.ceil(perBin) : 1));
    this.show(width, height, 0);
    // A blank bar runs ahead of the scan.
    this.context.clearRect(next, 0, Math.max(8 * scene.ratio, 0.012 * width), height);
    this.scanColumn = next;
  }

  resize(width, height) {
    for (const canvas of [this.canvas, this.strip]) {
      if (canvas.width !== width) canvas.width = width;
      if (canvas.height !== height) canvas.height = height;
    }
  }

  show(width, height, right) {
    const seam = modulo(right, width); // the oldest column in sight
    this.context.clearRect(0, 0, width, height);
    if (seam < width) {
      this.context.drawImage(this.strip, seam, 0, width - seam, height, 0, 0, width - seam, height);
    }
    if (seam > 0) {
      this.context.drawImage(this.strip, 0, 0, seam, height, width - seam, 0, seam, height);
    }
  }

  /** Paint columns [from, to); the first of them lies at `place` of the strip. */
  paintColumns(ring, scene, perBin, from, to, place) {
    const { height } = scene;
    const width = to - from;
    const image = this.stripContext.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    this.paintGaps(ring, scene, perBin, from, width, pixels);
    const scale = height / (scene.yEnd - scene.yStart);
    const perUnit = (-0.5 * scale) / FULL_LANE;
    const half = HALF_LINE * scene.ratio;
    const paintLane = perBin > 1 ? paintLines : paintExtremes;
    for (let channel = 0; channel < ring.nChannels; channel++) {
      const centre = (scene.yEnd - (ring.nChannels - 1 - channel)) * scale;
      const color = scene.colors[channel];
      paintLane(ring, channel, perBin, from, width, (x, least, most) =>
        span(pixels, width, height, x, centre + perUnit * most - half, centre + perUnit * least + half, color),
      );
    }
    for (let done = 0; done < width; ) {
      const at = modulo(place + done, this.strip.width);
      const some = Math.min(width - done, this.strip.width - at);
      this.stripContext.putImageData(image, at - done, 0, done, 0, some, height);
      done += some;
    }
  }

  paintGaps(ring, scene, perBin, from, width, pixels) {
    const { height, ratio } = scene;
    const hatch = Math.round(5 * ratio);
    const line = Math.max(1, Math.round(ratio));
    for (let x = 0; x < width; x++) {
      const first = Math.max(ring.start, Math.floor((from + x) / perBin));
      const last = Math.min(ring.stop, Math.ceil((from + x + 1) / perBin));
      let flagged = false;
      for (let bin = first; bin < last && !flagged; bin++) flagged = ring.flags[bin % ring.capacity] !== 0;
      if (!flagged) continue;
      for (let y = 0; y < height; y++) {
        const dark = (from + x + y) % hatch < line;
        pixels[y * width + x] = (((dark ? 120 : 44) << 24) | scene.gap) >>> 0;
      }
    }
  }
}

/** Bins narrower than columns: the extremes of all bins in a column, reaching to the bin before them. */
function paintExtremes(ring, channel, perBin, from, width, draw) {
  const { values, capacity } = ring;
  const base = channel * capacity;
  for (let x = 0; x < width; x++) {
    const first = Math.max(ring.start, Math.ceil((from + x) / perBin));
    const stop = Math.min(ring.stop, Math.ceil((from + x + 1) / perBin));
    let least = 32767;
    let most = -32767;
    for (let bin = first; bin < stop; bin++) {
      const slot = 2 * (base + (bin % capacity));
      if (values[slot] > values[slot + 1]) continue;
      if (values[slot] < least) least = values[slot];
      if (values[slot + 1] > most) most = values[slot + 1];
    }
    if (least > most) continue;
    if (first > ring.start) {
      const before = 2 * (base + ((first - 1) % capacity));
      if (values[before] <= values[before + 1]) {
        least = Math.min(least, values[before + 1]);
        most = Math.max(most, values[before]);
      }
    }
    draw(x, least, most);
  }
}

/** Bins wider than columns: straight lines between the middles of bins. */
function paintLines(ring, channel, perBin, from, width, draw) {
  const { values, capacity } = ring;
  const base = channel * capacity;
  const at = (position, end) => {
    const left = Math.floor(position);
    if (left < ring.start || left + 1 >= ring.stop) return NaN;
    const a = 2 * (base + (left % capacity));
    const b = 2 * (base + ((left + 1) % capacity));
    if (values[a] > values[a + 1] || values[b] > values[b + 1]) return NaN;
    return values[a + end] + (position - left) * (values[b + end] - values[a + end]);
  };
  for (let x = 0; x < width; x++) {
    const left = (from + x) / perBin - 0.5;
    const right = (from + x + 1) / perBin - 0.5;
    let least = Math.min(at(left, 0), at(right, 0));
    let most = Math.max(at(left, 1), at(right, 1));
    // A peak lies at the middle of its bin, seldom at a column's edge; and a bin between gaps has no lines.
    const middle = Math.ceil(left);
    if (middle < right && middle >= ring.start && middle < ring.stop) {
      const slot = 2 * (base + (middle % capacity));
      if (values[slot] <= values[slot + 1]) {
        least = least <= values[slot] ? least : values[slot];
        most = most >= values[slot + 1] ? most : values[slot + 1];
      }
    }
    if (least <= most) draw(x, least, most);
  }
}
