// The page's half of LogView (logview.py): draws the rows in sight, keeps those around them, asks for others.

const ROW = 20; // CSS pixels
const OVERSCAN = 10; // rows drawn above and below those in sight
const KEEP = 4000; // rows kept in the page
const SILENCE = 5000; // ms without an answer
const LEVELS = [[0, "all levels"], [10, "debug and up"], [20, "info and up"], [30, "warnings and up"], [40, "errors"]];

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

function nothing(value) {
  return value === "" || value === 0 || value === false || value === null
    || (typeof value === "object" && Object.keys(value).length === 0);
}

// Pages that come over plain HTTP from elsewhere have no clipboard; an older way works there.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const before = document.activeElement;
    const area = element("textarea");
    area.value = text;
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    before?.focus();
    return done;
  }
}

function render({ model, el }) {
  const root = element("div", "pyacq pq-log");
  const bar = element("div", "pq-bar");
  const list = element("div", "pq-list");
  const space = element("div", "pq-space");
  const detail = element("div", "pq-detail");
  list.tabIndex = 0;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "log records: arrow keys choose, Enter opens, End follows");
  detail.hidden = true;
  detail.setAttribute("role", "region");
  detail.setAttribute("aria-label", "the record that is open");
  detail.tabIndex = 0; // it scrolls
  space.setAttribute("role", "presentation");
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
  const follow = element("button", "pq-follow");
  const count = element("span", "pq-dim pq-count");
  const save = element("select", "pq-export");
  save.setAttribute("aria-label", "export the records that are listed into a file");
  save.title = "Write the records that are listed to a file in the notebook's folder";
  save.append(new Option("Export…", ""));
  for (const suffix of model.get("exports")) save.append(new Option(`to ${suffix}`, suffix));
  const note = element("span", "pq-badge");
  note.hidden = true;
  // The count changes all the time: it is read aloud only where a filter has changed it.
  const aloud = element("span", "pq-aloud");
  for (const told of [aloud, note]) told.setAttribute("role", "status");
  const only = element("b", "pq-only");
  bar.append(only, level, source, contains, count, follow, save, note, aloud);

  let version = -1, start = 0, stop = 0; // positions [start, stop) that the kernel still has
  let rows = new Map(); // by position
  let drawn = new Map(); // elements by position
  const id = `pq-${Math.random().toString(36).slice(2)}`;
  let cursor = null; // position that the keyboard has chosen
  let following = true, seen = 0, open = null, scheduled = false, asked = 0, frame = 0, timers = {};
  let first = 0, last = 0; // positions that are drawn

  function showFilters() {
    const value = model.get("level");
    if (![...level.options].some((o) => Number(o.value) === value)) level.append(new Option(`level ${value} and up`, value));
    level.value = value;
    if (document.activeElement !== source) source.value = model.get("source");
    if (document.activeElement !== contains) contains.value = model.get("contains");
    only.textContent = model.get("process");
    only.hidden = !only.textContent;
    source.hidden = !only.hidden;
    list.style.height = `${model.get("height")}px`;
    schedule();
  }

  function changeFilter(name, value) {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(() => {
      model.set(name, value);
      hoping(() => model.save_changes());
    }, 200);
  }

  // Where the kernel has died, sending fails, or nobody answers: what is here stays, and is called what it is.
  function hoping(send) {
    clearTimeout(timers.answer);
    try { send(); } catch { silent(); return; }
    timers.answer = setTimeout(silent, SILENCE);
  }

  function silent() {
    tell("no answer: the kernel is busy or gone", "bad", "What is listed is what had come until now");
    clearTimeout(timers.note);
    note.dataset.silent = "1";
  }

  const greet = () => hoping(() => model.send({ type: "hello" }));

  function setFollowing(on) {
    following = on;
    follow.title = on ? "Stay at these records while others come" : "Keep the newest record in sight";
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
    clearTimeout(timers.size);
    if (list.clientHeight === 0) {
      // Out of sight, or between two themes, when the observer below may never see that it had no size.
      timers.size = setTimeout(schedule, 500);
      return;
    }
    space.style.height = `${(stop - start) * ROW}px`;
    if (following) list.scrollTop = list.scrollHeight;
    first = start + Math.max(0, Math.floor(list.scrollTop / ROW) - OVERSCAN);
    last = Math.min(stop, start + Math.ceil((list.scrollTop + list.clientHeight) / ROW) + OVERSCAN);
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
      e.classList.toggle("pq-chosen", position === cursor);
      e.setAttribute("aria-selected", String(position === cursor));
      e.setAttribute("aria-posinset", position - start + 1);
      e.setAttribute("aria-setsize", stop - start);
    }
    if (drawn.has(cursor)) list.setAttribute("aria-activedescendant", drawn.get(cursor).id);
    else list.removeAttribute("aria-activedescendant");
    if (lackFrom !== null) ask(lackFrom, lackTo);
    if (following) seen = stop;
    const news = stop - seen;
    count.textContent = counted();
    follow.textContent = following ? "Pause" : news > 0 ? `Follow (${news.toLocaleString()} new)` : "Follow";
  }

  function counted() {
    const n = stop - start;
    return n === 0 ? "no records" : n === 1 ? "1 record" : `${n.toLocaleString()} records`;
  }

  function drawRow(position, row) {
    const e = element("div", "pq-row");
    e.id = `${id}-${position}`;
    e.setAttribute("role", "option");
    if (row === undefined) { e.dataset.empty = "1"; e.append(element("span", "pq-time", "…")); return e; }
    const [, , time, tone, label, from, logger, text, more, late, lost] = row;
    e.classList.add(`pq-tint-${tone}`);
    e.classList.toggle("pq-lost", lost > 0);
    const message = element("span", "pq-message");
    if (late) {
      const mark = element("span", "pq-late", "late");
      mark.title = "Later records had been shown before it came";
      message.append(mark);
    }
    if (logger) message.append(element("span", "pq-dim", `${logger}: `));
    message.append(text);
    const origin = element("span", "pq-from", from);
    origin.title = from;
    e.append(
      element("span", "pq-time", time),
      element("span", `pq-badge pq-${tone}`, lost > 0 ? "lost" : label),
      origin,
      message,
      element("span", "pq-dim", more ? "⋯" : ""),
    );
    e.addEventListener("click", () => look(position));
    return e;
  }

  function look(position) {
    const row = rows.get(position);
    if (row === undefined) return;
    cursor = position;
    open = row[1];
    hoping(() => model.send({ type: "record", index: open }));
    schedule();
  }

  // Arrow keys: the chosen row comes into sight, and an open detail follows.
  function choose(position) {
    cursor = Math.max(start, Math.min(stop - 1, position));
    if (cursor < stop - 1) setFollowing(false);
    const top = (cursor - start) * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    if (!detail.hidden) look(cursor);
    schedule();
  }

  // One question at a time: where the list is by the time of the answer, is asked next. Asked again if the
  // answer got lost on the way.
  function ask(from, to) {
    if (Date.now() - asked < 2000) return;
    asked = Date.now();
    const around = { start: Math.max(start, from - 50), stop: Math.min(stop, to + 50) };
    hoping(() => model.send({ type: "rows", ...around }));
    clearTimeout(timers.again);
    timers.again = setTimeout(schedule, 2100);
  }

  // Called as rows come, not as they are drawn: nothing is drawn in a hidden tab.
  function forget() {
    if (rows.size <= KEEP) return;
    for (const position of rows.keys()) {
      const near = position > first - KEEP / 4 && position < last + KEEP / 4;
      if (!near && position < stop - KEEP / 4) rows.delete(position);
    }
  }

  function heard(message) {
    clearTimeout(timers.answer);
    if (note.dataset.silent) { note.hidden = true; delete note.dataset.silent; }
    if (message.type === "exported") { tell(message.text, message.ok ? "good" : "bad", message.title); return; }
    if (message.type === "record") { if (message.index === open) showDetail(message); return; }
    const filtered = message.version !== version;
    if (filtered) {
      version = message.version;
      rows = new Map();
      for (const e of drawn.values()) e.remove();
      drawn = new Map();
      start = message.start;
      cursor = null;
      asked = 0;
      setFollowing(true); // what was in sight may not be listed any more
    }
    for (const row of message.rows) rows.set(row[0], row);
    if (message.type === "rows") asked = 0;
    if (message.start !== start) {
      // The oldest records left memory: what is in sight stays where it is.
      if (!following) list.scrollTop -= (message.start - start) * ROW;
      for (const position of rows.keys()) if (position < message.start) rows.delete(position);
      start = message.start;
    }
    stop = message.stop;
    forget();
    if (filtered) aloud.textContent = counted();
    schedule();
  }

  function showDetail({ fields, text }) {
    const copy = element("button", "pq-copy", "Copy");
    copy.title = "Copy this record as text";
    copy.addEventListener("click", async () => {
      copy.textContent = await copied(text) ? "Copied" : "Not allowed here";
    });
    const close = element("button", "pq-close", "Close");
    close.title = "Close (Escape)";
    close.addEventListener("click", () => { hideDetail(); list.focus(); });
    const buttons = element("div", "pq-buttons");
    buttons.append(copy, close);
    const about = element("div", "pq-fields");
    for (const [name, value] of Object.entries(fields)) {
      if (name === "message" || name === "traceback" || nothing(value)) continue;
      const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
      const entry = element("div");
      entry.append(element("span", "pq-dim", name), element("span", "pq-value", shown));
      about.append(entry);
    }
    const said = element("pre", "pq-text", fields.message);
    const parts = [buttons, said];
    if (fields.traceback) parts.push(element("pre", "pq-text pq-traceback", fields.traceback));
    detail.replaceChildren(...parts, about);
    detail.hidden = false;
    detail.scrollTop = 0;
    schedule();
  }

  function tell(text, tone, title = "") {
    note.hidden = false;
    delete note.dataset.silent;
    note.className = `pq-badge pq-${tone}`;
    note.textContent = text;
    note.title = title;
    clearTimeout(timers.note);
    timers.note = setTimeout(() => { note.hidden = true; }, 15000);
  }

  function hideDetail() {
    open = null;
    detail.hidden = true;
    schedule();
  }

  level.addEventListener("change", () => changeFilter("level", Number(level.value)));
  source.addEventListener("input", () => changeFilter("source", source.value));
  contains.addEventListener("input", () => changeFilter("contains", contains.value));
  save.addEventListener("change", () => {
    tell("exporting …", "info");
    // With the filters as they stand here: one that was typed just now may not be in the kernel yet.
    const filters = { level: Number(level.value), source: source.value, contains: contains.value };
    hoping(() => model.send({ type: "export", suffix: save.value, filters }));
    save.value = "";
  });
  follow.addEventListener("click", () => setFollowing(!following));
  // A person scrolls by wheel, keys, touch or the bar; our own scrolling in draw() ends at the bottom.
  list.addEventListener("scroll", () => {
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - ROW;
    if (following && !atEnd) setFollowing(false);
    schedule();
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !detail.hidden) { hideDetail(); list.focus(); event.stopPropagation(); }
  });
  const keys = {
    ArrowUp: (at) => choose(at - 1),
    ArrowDown: (at) => choose(at + 1),
    PageUp: (at, page) => choose(at - page),
    PageDown: (at, page) => choose(at + page),
    Home: () => choose(start),
    End: () => { choose(stop - 1); setFollowing(true); },
    Enter: () => look(cursor),
    " ": () => setFollowing(!following),
  };
  const plain = (event) => !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
  list.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || !plain(event)) return;
    const sight = start + Math.floor(list.scrollTop / ROW); // first row in sight
    const at = cursor === null || cursor < start || cursor >= stop ? (following ? stop : sight - 1) : cursor;
    keys[event.key](at, Math.floor(list.clientHeight / ROW));
    event.preventDefault();
    event.stopPropagation();
  });
  // The notebook has its own meaning for some of these keys, and listens before us: they are ours for as long as
  // they are on their way to the list, and Ctrl+S stays the notebook's.
  const claim = (event) => root.toggleAttribute("data-lm-suppress-shortcuts", plain(event)
    && ((list === event.target && event.key in keys) || (event.key === "Escape" && !detail.hidden)));
  window.addEventListener("keydown", claim, true);
  // Text is copied from these: the browser's own menu, not the notebook's.
  for (const text of [source, contains, detail]) text.setAttribute("data-jp-suppress-context-menu", "");
  const resized = new ResizeObserver(schedule);
  resized.observe(list);
  model.on("msg:custom", heard);
  for (const name of ["level", "source", "contains", "process", "height"]) model.on(`change:${name}`, showFilters);
  showFilters();
  setFollowing(true);
  model.on("comm_live_update", greet); // the connection to the kernel was lost, or is back
  greet();

  return () => {
    cancelAnimationFrame(frame);
    Object.values(timers).forEach(clearTimeout);
    resized.disconnect();
    window.removeEventListener("keydown", claim, true);
    model.off("msg:custom", heard);
    model.off("comm_live_update", greet);
    for (const name of ["level", "source", "contains", "process", "height"]) model.off(`change:${name}`, showFilters);
  };
}

export default { render };
