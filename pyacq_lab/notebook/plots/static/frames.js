// Frames from the kernel, and the ring that keeps their bins. The layout is told in viewing/frames.py.

const HEADER_SIZE = 24;
const VERSION = 1;
export const FULL_LANE = 4095;

/** Read one frame; `view` is a DataView. */
export function decodeFrame(view) {
  if (view.getUint8(0) !== VERSION) {
    throw new Error(`a frame of version ${view.getUint8(0)}; this page reads version ${VERSION}`);
  }
  const nChannels = view.getUint32(16, true);
  const nBins = view.getUint32(20, true);
  const nValues = 2 * nChannels * nBins;
  // A typed array must begin at an even offset, which a message's buffer does not promise: copy.
  const isLook = (view.getUint8(1) & 2) !== 0;
  const begin = HEADER_SIZE + (isLook ? 8 : 0);
  const body = view.buffer.slice(view.byteOffset + begin, view.byteOffset + view.byteLength);
  return {
    reset: (view.getUint8(1) & 1) !== 0,
    binSize: isLook ? view.getFloat64(HEADER_SIZE, true) : 0,
    panel: view.getUint16(2, true),
    revision: view.getUint32(4, true),
    start: view.getFloat64(8, true),
    nChannels,
    nBins,
    values: new Int16Array(body, 0, nValues),
    flags: new Uint8Array(body, 2 * nValues, nBins),
  };
}

/** The newest bins of one panel, by index on the display axis. */
export class BinRing {
  constructor(nChannels, capacity) {
    this.nChannels = nChannels;
    this.capacity = capacity;
    this.values = new Int16Array(2 * nChannels * capacity); // [channel][slot][min, max]
    this.flags = new Uint8Array(capacity);
    this.start = 0;
    this.stop = 0;
    this.generation = 0; // grows when what was painted of it is no longer true
  }

  /** Place of the newest sample, in bins. */
  get now() {
    return this.stop;
  }

  /** Extremes of one channel in one bin, [min, max]; undefined where there is no number. */
  at(channel, bin) {
    if (bin < this.start || bin >= this.stop) return undefined;
    const slot = 2 * (channel * this.capacity + (bin % this.capacity));
    const [least, most] = [this.values[slot], this.values[slot + 1]];
    return least <= most ? [least, most] : undefined;
  }

  append(frame) {
    if (frame.reset || frame.start !== this.stop) {
      this.start = frame.start;
      this.generation += 1;
    }
    const skipped = Math.max(0, frame.nBins - this.capacity);
    for (let i = skipped; i < frame.nBins; i++) {
      this.flags[(frame.start + i) % this.capacity] = frame.flags[i];
    }
    for (let channel = 0; channel < this.nChannels; channel++) {
      const base = channel * this.capacity;
      const from = channel * frame.nBins;
      for (let i = skipped; i < frame.nBins; i++) {
        const slot = 2 * (base + ((frame.start + i) % this.capacity));
        this.values[slot] = frame.values[2 * (from + i)];
        this.values[slot + 1] = frame.values[2 * (from + i) + 1];
      }
    }
    this.stop = frame.start + frame.nBins;
    this.start = Math.max(this.start, this.stop - this.capacity);
  }
}

/** A closer look at a part: bins of another size, which do not move. */
export class Look extends BinRing {
  static count = 0;

  constructor(frame, sampleRate) {
    super(frame.nChannels, Math.max(1, frame.nBins));
    this.origin = -frame.start;
    this.revision = frame.revision;
    this.binSeconds = frame.binSize / sampleRate;
    this.append({ ...frame, start: 0, reset: false });
    this.generation = `look ${++Look.count}`;
  }

  get now() {
    return this.origin;
  }

  /** Whether some of a span, seconds before the newest sample, is in it. */
  reaches(start, end) {
    return (this.stop - this.origin) * this.binSeconds > start && -this.origin * this.binSeconds < end;
  }
}
