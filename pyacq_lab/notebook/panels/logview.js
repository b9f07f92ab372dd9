// The page's half of LogView (logview.py): draws the rows in sight, keeps those around them, asks for others.

const ROW = 20; // CSS pixels
const OVERSCAN = 10; // rows drawn above and below those in sight
const KEEP = 4000; // rows kept in the page
const LEVELS = [[0, "all levels"], [10, "debug and up"], [20, "info and up"], [30, "warnings and up"], [40, "errors"]];

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

function render({ model, el }) {
  const root = element("div", "pyacq pq-log");
  const bar = element("div", "pq-bar");
  const list = element("div", "pq-list");
  const space = element("div", "pq-space");
  const detail = element("div", "pq-detail");
  list.tabIndex = 0;
  list.setAttribute("role", "log");
  list.setAttribute("aria-label", "log records");
  detail.hidden = true;
  list.append(space);
  root.append(bar, list, detail);
  el.append(root);

  // Filters live in the kernel: every page and every cell sees the same ones.
  const level = element("select");
  level.setAttribute("aria-label", "lowest level");
  for (const [value, name] of LEVELS) level.append(new Option(name, value));
  const source = element("input");
  source.placeholder = "host/process";
  source.setAttribute("aria-label", "part of host/process");
  const contains = element("input", "pq-grow");
  contains.placeholder = "text to find";
  contains.setAttribute("aria-label", "text to find");
  const follow = element("button", "", "Follow");
  follow.title = "Keep the newest record in sight";
  const count = element("span", "pq-dim");
  bar.append(level, source, contains, count, follow);

  let version = -1, start = 0, stop = 0; // positions [start, stop) that the kernel still has
  let rows = new Map(); // by position
  let drawn = new Map(); // elements by position
  let following = true, seen = 0, open = null, scheduled = false, wanted = null, frame = 0, timers = {};

  function showFilters() {
    const value = model.get("level");
    if (![...level.options].some((o) => Number(o.value) === value)) level.append(new Option(`level ${value} and up`, value));
    level.value = value;
    if (document.activeElement !== source) source.value = model.get("source");
    if (document.activeElement !== contains) contains.value = model.get("contains");
    list.style.height = `${model.get("height")}px`;
    schedule();
  }

  function changeFilter(name, value) {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(() => { model.set(name, value); model.save_changes(); }, 200);
  }

  function setFollowing(on) {
    following = on;
    follow.setAttribute("aria-pressed", String(on));
    if (on) seen = stop;
    schedule();
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    frame = requestAnimationFrame(draw);
  }

  function draw() {
    scheduled = false;
    space.style.height = `${(stop - start) * ROW}px`;
    if (following) list.scrollTop = list.scrollHeight;
    const first = start + Math.max(0, Math.floor(list.scrollTop / ROW) - OVERSCAN);
    const last = Math.min(stop, start + Math.ceil((list.scrollTop + list.clientHeight) / ROW) + OVERSCAN);
    for (const [position, e] of drawn) {
      if (position < first || position >= last || e.dataset.empty) { e.remove(); drawn.delete(position); }
    }
    let lackFrom = null, lackTo = null;
    for (let position = first; position < last; position++) {
      const row = rows.get(position);
      if (row === undefined) { lackFrom ??= position; lackTo = position + 1; }
      let e = drawn.get(position);
      if (e === undefined) { e = drawRow(position, row); drawn.set(position, e); space.append(e); }
      e.style.top = `${(position - start) * ROW}px`;
      e.classList.toggle("pq-open", row !== undefined && row[1] === open);
    }
    if (lackFrom !== null) ask(lackFrom, lackTo);
    if (following) seen = stop;
    const news = stop - seen;
    count.textContent = `${(stop - start).toLocaleString()} records` + (news > 0 ? `, ${news.toLocaleString()} new` : "");
    forget(first, last);
  }

  function drawRow(position, row) {
    const e = element("div", "pq-row");
    if (row === undefined) { e.dataset.empty = "1"; e.append(element("span", "pq-time", "…")); return e; }
    const [, index, time, tone, label, from, logger, text, more, late] = row;
    e.classList.add(`pq-tint-${tone}`);
    const message = element("span", "pq-message");
    if (logger) message.append(element("span", "pq-dim", `${logger}: `));
    message.append(text);
    e.append(
      element("span", "pq-time", time),
      element("span", `pq-badge pq-${tone}`, late ? `${label} late` : label),
      element("span", "pq-from", from),
      message,
      element("span", "pq-dim", more ? "⋯" : ""),
    );
    e.lastChild.previousSibling.previousSibling.title = from;
    e.addEventListener("click", () => {
      open = index;
      model.send({ type: "record", index });
      schedule();
    });
    return e;
  }

  // One question at a time, asked again if its answer got lost on the way.
  function ask(from, to) {
    if (wanted !== null && from >= wanted.from && to <= wanted.to && Date.now() - wanted.when < 2000) return;
    wanted = { from: Math.max(start, from - 50), to: Math.min(stop, to + 50), when: Date.now() };
    model.send({ type: "rows", start: wanted.from, stop: wanted.to });
    clearTimeout(timers.again);
    timers.again = setTimeout(schedule, 2100);
  }

  function forget(first, last) {
    if (rows.size <= KEEP) return;
    for (const position of rows.keys()) {
      const near = position > first - KEEP / 4 && position < last + KEEP / 4;
      if (!near && position < stop - KEEP / 4) rows.delete(position);
    }
  }

  function heard(message) {
    if (message.type === "record") { if (message.index === open) showDetail(message); return; }
    if (message.version !== version) {
      version = message.version;
      rows = new Map();
      for (const e of drawn.values()) e.remove();
      drawn = new Map();
      start = message.start;
      wanted = null;
    }
    for (const row of message.rows) rows.set(row[0], row);
    if (message.type === "rows") wanted = null;
    if (message.start !== start) {
      // The oldest records left memory: what is in sight stays where it is.
      if (!following) list.scrollTop -= (message.start - start) * ROW;
      for (const position of rows.keys()) if (position < message.start) rows.delete(position);
      start = message.start;
    }
    stop = message.stop;
    schedule();
  }

  function showDetail({ fields, text }) {
    const close = element("button", "pq-badge", "close");
    close.addEventListener("click", hideDetail);
    const about = ["pid", "thread", "logger", "stream", "channel", "seq"]
      .filter((name) => fields[name] !== "").map((name) => `${name} ${fields[name]}`);
    if (fields.offset_ns) about.push(`clock corrected by ${(-fields.offset_ns / 1e6).toFixed(3)} ms`);
    if (fields.late) about.push("late: later records had been shown before it came");
    detail.replaceChildren(
      element("pre", "pq-text", text),
      element("pre", "pq-text pq-dim", about.join(" · ")),
      close,
    );
    detail.hidden = false;
    schedule();
  }

  function hideDetail() {
    open = null;
    detail.hidden = true;
    schedule();
  }

  level.addEventListener("change", () => changeFilter("level", Number(level.value)));
  source.addEventListener("input", () => changeFilter("source", source.value));
  contains.addEventListener("input", () => changeFilter("contains", contains.value));
  follow.addEventListener("click", () => setFollowing(!following));
  // A person scrolls by wheel, keys, touch or the bar; our own scrolling in draw() ends at the bottom.
  list.addEventListener("scroll", () => {
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - ROW;
    if (following && !atEnd) setFollowing(false);
    schedule();
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !detail.hidden) { hideDetail(); event.stopPropagation(); }
    if (event.key === "End") setFollowing(true);
  });
  const resized = new ResizeObserver(schedule);
  resized.observe(list);
  model.on("msg:custom", heard);
  for (const name of ["level", "source", "contains", "height"]) model.on(`change:${name}`, showFilters);
  showFilters();
  setFollowing(true);
  model.send({ type: "hello" });

  return () => {
    cancelAnimationFrame(frame);
    Object.values(timers).forEach(clearTimeout);
    resized.disconnect();
    model.off("msg:custom", heard);
    for (const name of ["level", "source", "contains", "height"]) model.off(`change:${name}`, showFilters);
  };
}

export default { render };
