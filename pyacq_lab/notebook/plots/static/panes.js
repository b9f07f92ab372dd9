// What a scene has beside plots: pictures of a video, and large numbers.

export class PicturePane {
  constructor(place) {
    this.caption = document.createElement("div");
    this.caption.className = "pyacq-caption pyacq-picture-caption";
    [this.name, this.note] = ["name", "note"].map((part) => {
      const span = document.createElement("span");
      span.className = `pyacq-${part}`;
      this.caption.append(span);
      return span;
    });
    this.canvas = document.createElement("canvas");
    this.canvas.className = "pyacq-picture";
    this.canvas.width = 320;
    this.canvas.height = 240;
    this.painted = 0;
    place.append(this.canvas, this.caption);
  }

  /** Paint a frame; where decoding is slower than frames come, those between are left out. */
  set(entry, buffers) {
    if (entry.pixels === null) {
      this.note.textContent = "no frame yet";
      return;
    }
    this.next = { entry, view: buffers[entry.pixels] };
    this.busy ??= this.paintAll().finally(() => (this.busy = undefined));
  }

  async paintAll() {
    while (this.next !== undefined) {
      const { entry, view } = this.next;
      this.next = undefined;
      const { width, height, format } = entry;
      const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
      const image = format === "raw" ? rgba(bytes, width, height) : new Blob([bytes], { type: "image/jpeg" });
      const bitmap = await createImageBitmap(image);
      if (this.canvas.width !== width) this.canvas.width = width;
      if (this.canvas.height !== height) this.canvas.height = height;
      this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      this.canvas.classList.toggle("pyacq-pixels", width < 160);
      this.name.textContent = entry.name;
      this.note.textContent = entry.note;
      this.painted += 1;
    }
  }

  setTheme() {}

  close() {}
}

function rgba(rgb, width, height) {
  const image = new ImageData(width, height);
  const pixels = image.data;
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    pixels[to] = rgb[from];
    pixels[to + 1] = rgb[from + 1];
    pixels[to + 2] = rgb[from + 2];
    pixels[to + 3] = 255;
  }
  return image;
}

export class TilesPane {
  constructor(place) {
    this.element = document.createElement("div");
    this.element.className = "pyacq-tiles";
    this.tiles = [];
    place.append(this.element);
  }

  set({ tiles }) {
    while (this.tiles.length < tiles.length) this.tiles.push(this.makeTile());
    for (const tile of this.tiles.splice(tiles.length)) tile.element.remove();
    tiles.forEach((tile, i) => {
      const { element, parts } = this.tiles[i];
      element.className = tile.tone ? `pyacq-tile pyacq-tile-${tile.tone}` : "pyacq-tile";
      for (const [part, span] of Object.entries(parts)) {
        if (span.textContent !== tile[part]) span.textContent = tile[part];
      }
    });
  }

  makeTile() {
    const element = document.createElement("div");
    const parts = {};
    const line = document.createElement("div");
    for (const part of ["name", "value", "units", "note"]) {
      parts[part] = document.createElement("span");
      parts[part].className = `pyacq-tile-${part}`;
      if (part === "value" || part === "units") line.append(parts[part]);
    }
    element.append(parts.name, line, parts.note);
    this.element.append(element);
    return { element, parts };
  }

  setTheme() {}

  close() {}
}
