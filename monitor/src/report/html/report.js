"use strict";
// Shows all events by pages. Every recorded string becomes text with textContent; none is ever markup.
(() => {
  const PAGE = 100;
  const byId = (id) => document.getElementById(id);
  const rows = byId("rows");
  if (!rows) return;
  const data = JSON.parse(byId("data").textContent);
  const total = data.at.length;
  const { strings, processes } = data;
  const filters = { door: byId("door"), verdict: byId("verdict"), severity: byId("severity"), text: byId("text") };
  const grouped = (number) => number.toLocaleString("en-US");
  let matching = null; // numbers of events, or null for all
  let page = 0;

  const time = (event) => {
    const at = data.base + data.at[event];
    const micros = ((at % 1000) + 1000) % 1000;
    const text = new Date((at - micros) / 1000).toISOString();
    return [text.replace("T", " ").replace("Z", ""), text.replace("Z", String(micros).padStart(3, "0") + "Z")];
  };
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const pair = (list, name, value) => {
    if (value === "" || value === undefined) return;
    const dd = element("dd");
    dd.append(element("code", value));
    list.append(element("dt", name), dd);
  };

  // A process is [pid, name, uid, parent, pod, fact, value, ...]; the name and the facts are numbers in names, values in strings.
  const FACTS = 5;
  const nameOf = (process) => data.names[process[1]];
  const named = (process) => nameOf(process) + " " + process[0];
  // A process and those that started it, by their numbers.
  const lineage = (process) => {
    const list = [];
    for (let at = process; at >= 0 && list.length < 64; at = processes[at][3]) list.push(at);
    return list;
  };
  const details = (event) => {
    const list = element("dl");
    const process = processes[data.process[event]];
    pair(list, "time", time(event)[1]);
    pair(list, "rule", strings[data.rule[event]]);
    pair(list, "verdict", data.violation[event] ? "violation" : "allowed");
    pair(list, "outcome", strings[data.outcome[event]]);
    if (data.kind[event] === 1) pair(list, "since", "before the monitor began to watch");
    if (process) {
      for (let at = FACTS; at < process.length; at += 2) pair(list, data.names[process[at]], strings[process[at + 1]]);
      if (process[4] >= 0) pair(list, "pod", data.pods[process[4]]);
      const above = lineage(process[3]).map((number) => named(processes[number]));
      pair(list, "started by", above.join(" ← "));
    }
    pair(list, "not known", strings[data.unknown[event]]);
    pair(list, "number in its run", String(data.seq[event]));
    pair(list, "recorded in", data.inputs[data.input[event]] + ", line " + data.line[event]);
    return list;
  };

  const toggle = (button, row, event) => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) {
      row.nextSibling.remove();
      return;
    }
    const detail = element("tr", undefined, "detail");
    const cell = element("td");
    cell.colSpan = 7;
    cell.append(details(event));
    detail.append(cell);
    row.after(detail);
  };

  const row = (event) => {
    const made = element("tr");
    const cell = (...parts) => {
      const td = element("td");
      td.append(...parts);
      made.append(td);
    };
    const button = element("button", time(event)[0], "open");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => toggle(button, made, event));
    const severity = data.violation[event] ? data.severities[data.severity[event]] : "info";
    const process = processes[data.process[event]];
    const count = data.count[event] > 1 ? " ×" + grouped(data.count[event]) : "";
    cell(button);
    cell(element("b", severity, "s " + severity));
    cell(element("code", data.classes[data.class[event]]));
    if (process) cell(element("code", nameOf(process)), " ", element("span", process[0], "quiet"));
    else cell(element("span", "nobody here", "quiet"));
    cell(strings[data.action[event]] + count);
    cell(element("code", strings[data.object[event]]));
    cell(strings[data.why[event]]);
    return made;
  };

  const show = () => {
    const count = matching ? matching.length : total;
    const pages = Math.max(1, Math.ceil(count / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const from = page * PAGE;
    const to = Math.min(from + PAGE, count);
    const made = document.createDocumentFragment();
    for (let place = from; place < to; place += 1) made.append(row(matching ? matching[place] : place));
    rows.replaceChildren(made);
    const range = "Events " + grouped(from + 1) + "–" + grouped(to) + " of " + grouped(count);
    if (count === 0) byId("shown").textContent = "No event of " + grouped(total) + " matches.";
    else byId("shown").textContent = range + (matching ? " that match, of " + grouped(total) + " in all." : ".");
    byId("place").textContent = "Page " + grouped(page + 1) + " of " + grouped(pages);
    byId("pager").hidden = pages < 2;
    byId("firstpage").disabled = byId("previous").disabled = page === 0;
    byId("nextpage").disabled = byId("lastpage").disabled = page === pages - 1;
  };

  const filter = () => {
    const door = data.classes.indexOf(filters.door.value);
    const severity = data.severities.indexOf(filters.severity.value);
    const verdict = ["allowed", "violation"].indexOf(filters.verdict.value);
    const words = filters.text.value.trim().toLowerCase();
    const has = (text) => text.toLowerCase().includes(words);
    // Each string is looked at once, however many events have it.
    const inStrings = words && strings.map(has);
    const inNames = words && data.names.map(has);
    const inPods = words && data.pods.map(has);
    const inProcess = (process) => {
      if (inNames[process[1]] || String(process[0]) === words || inPods[process[4]]) return true;
      for (let at = FACTS + 1; at < process.length; at += 2) if (inStrings[process[at]]) return true;
      return false;
    };
    const own = words && processes.map(inProcess);
    // What is asked for may have started it.
    const inProcesses = words && processes.map((_, process) => lineage(process).some((number) => own[number]));
    const found = (event) => inStrings[data.object[event]] || inStrings[data.why[event]] || inStrings[data.action[event]] ||
      inStrings[data.rule[event]] || inStrings[data.outcome[event]] || (data.process[event] >= 0 && inProcesses[data.process[event]]);
    matching = null;
    if (door >= 0 || severity >= 0 || verdict >= 0 || words) {
      matching = [];
      for (let event = 0; event < total; event += 1) {
        if (door >= 0 && data.class[event] !== door) continue;
        if (severity >= 0 && data.severity[event] !== severity) continue;
        if (verdict >= 0 && data.violation[event] !== verdict) continue;
        if (words && !found(event)) continue;
        matching.push(event);
      }
    }
    page = 0;
    show();
  };

  const turn = (id, to) => byId(id).addEventListener("click", () => {
    page = to();
    show();
    byId("timeline").scrollIntoView();
  });
  turn("firstpage", () => 0);
  turn("previous", () => page - 1);
  turn("nextpage", () => page + 1);
  turn("lastpage", () => Infinity);
  for (const field of Object.values(filters)) field.addEventListener("input", filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").hidden = false;
  show();
  // For tests: how long it took until the first page was there.
  document.body.dataset.ready = String(Math.round(performance.now()));
})();
