// The page's half of ManagerPanel (managerpanel.py): a table whose rows are replaced as they change.

const NUMBERS = new Set(["PID", "CPU", "Memory", "Up"]);

const SILENT = "no answer: the kernel is busy or gone";

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

function columnClass(name) {
  if (NUMBERS.has(name)) return "pq-number";
  return name === "Notes" ? "pq-notes" : "";
}

function render({ model, el }) {
  // Where the kernel has died, sending fails, or nobody answers.
  let answer = 0;
  function send(message, answered = false) {
    try { model.send(message); } catch { showNote(SILENT, "bad"); return; }
    if (!answered) return;
    clearTimeout(answer);
    answer = setTimeout(() => showNote(SILENT, "bad"), 5000);
  }

  const root = element("div", "pyacq pq-manager");
  const bar = element("div", "pq-bar");
  const summary = element("span", "pq-dim", "…");
  const note = element("span", "pq-badge");
  note.hidden = true;
  note.setAttribute("role", "status");
  const buttons = element("span", "pq-buttons");
  const table = element("table", "pq-table");
  const head = table.createTHead();
  const body = table.createTBody();
  bar.append(element("b", "", "Manager"), summary, element("span", "pq-grow"), note, buttons);
  const logBar = element("div", "pq-bar pq-log-bar");
  const logName = element("b");
  const logEnding = element("span", "pq-dim pq-grow");
  const logClose = element("button", "", "Close");
  const logPlace = element("div", "pq-log-place");
  logClose.addEventListener("click", () => send({ type: "log", process: "" }));
  logBar.append(logName, logEnding, logClose);
  const tablePlace = element("div", "pq-table-place");
  tablePlace.append(bar, table);
  root.append(tablePlace, logBar, logPlace);
  el.append(root);

  const columns = model.get("columns");
  const line = element("tr");
  for (const name of columns) line.append(element("th", columnClass(name), name));
  head.append(line);
  for (const name of model.get("buttons")) {
    const button = element("button", name.startsWith("Stop") ? "pq-danger" : "", name);
    button.addEventListener("click", () => send({ type: "action", name }));
    buttons.append(button);
  }
  const rows = new Map(); // elements by key
  const notes = new Map(); // how each process is, or how it ended, by name

  function showLogName() {
    const name = model.get("log_of");
    logName.textContent = name ? `What ${name} said` : "";
    logEnding.textContent = notes.get(name) ?? "";
    for (const button of body.querySelectorAll(".pq-log-button")) {
      button.setAttribute("aria-pressed", String(button.dataset.process === name));
    }
  }

  // The view of a log is a widget of its own, which is drawn in here.
  let logView = null, asked = "";
  async function showLog() {
    const id = asked = model.get("log_model");
    logView?.remove();
    logView = null;
    logBar.hidden = logPlace.hidden = id === "";
    showLogName();
    if (id === "") return;
    const manager = model.widget_manager;
    const view = await manager.create_view(await manager.get_model(id));
    if (asked !== id) { view.remove(); return; } // another one was asked for meanwhile
    logView = view;
    logPlace.replaceChildren(view.el);
  }

  function drawRow([key, depth, state, tone, [name, ...rest], error]) {
    const row = element("tr", `pq-depth${depth}`);
    const badge = element("td");
    badge.append(element("span", `pq-badge pq-${tone}`, state));
    const first = element("td", "", name);
    if (depth === 1 && model.get("has_logs")) {
      const button = element("button", "pq-log-button", "log");
      button.title = `Show what ${name} said`;
      button.setAttribute("aria-label", `log of ${name}`);
      button.dataset.process = name;
      button.addEventListener("click", () => {
        send({ type: "log", process: model.get("log_of") === name ? "" : name });
      });
      first.append(button);
    }
    row.append(first, badge);
    notes.set(name, depth === 1 ? `${state}${rest.at(-1) ? `: ${rest.at(-1)}` : ""}` : "");
    rest.forEach((cell, i) => row.append(element("td", columnClass(columns[i + 2]), cell)));
    const before = rows.get(key);
    if (error) {
      const folded = element("details", "pq-error");
      folded.open = before?.querySelector("details")?.open ?? false;
      folded.append(element("summary", "", "last error"), element("pre", "", error));
      row.lastChild.append(folded);
    }
    before?.remove();
    rows.set(key, row);
  }

  function showNote(text, tone) {
    note.hidden = false;
    note.className = `pq-badge pq-${tone}`;
    note.textContent = text;
  }

  function heard(message) {
    clearTimeout(answer);
    if (note.textContent === SILENT) note.hidden = true;
    if (message.type === "rows") {
      for (const row of message.changed) drawRow(row);
      const keys = new Set(message.keys);
      for (const [key, row] of rows) if (!keys.has(key)) { row.remove(); rows.delete(key); }
      message.keys.forEach((key, i) => {
        const row = rows.get(key);
        if (row !== undefined && body.rows[i] !== row) body.insertBefore(row, body.rows[i] ?? null);
      });
      summary.textContent = message.summary;
      showLogName();
    } else if (message.type === "note") {
      showNote(message.text, message.tone);
      for (const button of buttons.children) button.disabled = button.textContent === message.busy;
    }
  }

  // The kernel looks only while somebody can see what it found.
  let inSight = false, timer = 0;
  const tell = () => send({ type: inSight && !document.hidden ? "visible" : "hidden" });
  const sight = new IntersectionObserver((entries) => {
    inSight = entries.at(-1).isIntersecting;
    tell();
  });
  const renew = () => { if (inSight && !document.hidden) tell(); };
  model.on("msg:custom", heard);
  model.on("change:log_model", showLog);
  void showLog();
  document.addEventListener("visibilitychange", tell);
  const greet = () => send({ type: "hello" }, true);
  model.on("comm_live_update", greet); // the connection to the kernel was lost, or is back
  greet();
  sight.observe(root);
  timer = setInterval(renew, 15000);

  return () => {
    clearInterval(timer);
    clearTimeout(answer);
    sight.disconnect();
    document.removeEventListener("visibilitychange", tell);
    model.off("msg:custom", heard);
    model.off("comm_live_update", greet);
    model.off("change:log_model", showLog);
    asked = null;
    logView?.remove();
  };
}

export default { render };
