// The process explorer: a tree that is kept up to date, and one process in detail.
import { ask, attempt, call, element, notice } from "./site.js";

const body = document.getElementById("rows");
const filter = document.getElementById("filter");
const details = document.getElementById("details");
const stack = document.getElementById("stack");
const flame = document.getElementById("flame");
const history = new Map(); // id → [{ time, cpu, memory }]
const KEPT = 150;
let rows = [];
let selected = null;

const megabytes = (bytes) => `${(bytes / 1048576).toFixed(bytes < 104857600 ? 1 : 0)} MB`;

function remember() {
  const now = performance.now() / 1000;
  for (const row of rows) {
    const past = history.get(row.id) ?? [];
    past.push({ time: now, cpu: row.cpu_seconds, memory: row.memory });
    if (past.length > KEPT) past.shift();
    history.set(row.id, past);
  }
  for (const id of history.keys()) if (!rows.some((row) => row.id === id)) history.delete(id);
}

/** CPU in percent of one processor between each two looks. */
const loads = (past) => past.slice(1).map((each, index) => Math.max(0, (100 * (each.cpu - past[index].cpu)) / (each.time - past[index].time || 1)));

function show() {
  const text = filter.value.toLowerCase();
  const focused = document.activeElement?.dataset?.id;
  body.replaceChildren(...rows.filter((row) => `${row.name} ${row.command} ${row.id}`.toLowerCase().includes(text)).map(line));
  if (focused) body.querySelector(`[data-id="${focused}"]`)?.focus();
  detail();
}

function line(row) {
  const cpu = loads(history.get(row.id) ?? []).at(-1);
  const name = element("td", "", { className: "name" });
  name.style.paddingLeft = `${row.depth * 1.4}rem`;
  const button = element("button", row.name, { type: "button", className: "link", onclick: () => { selected = row.id; stack.hidden = flame.hidden = true; show(); } });
  button.dataset.id = row.id;
  name.append(button, " ", ...(row.kind ? [element("span", row.kind, { className: "state" })] : []), element("div", row.command, { className: "command", title: row.command }));
  const kill = element("button", "✕", { type: "button", title: `Kill ${row.id}`, onclick: () => attempt(() => end(row)) });
  kill.setAttribute("aria-label", `Kill ${row.name} ${row.id}`);
  const actions = element("td", "", { className: "actions" });
  actions.append(kill);
  const made = element("tr");
  made.setAttribute("aria-selected", String(row.id === selected));
  made.append(name, ...[row.id, cpu === undefined ? "…" : `${cpu.toFixed(0)} %`, megabytes(row.memory), row.threads].map((value) => element("td", String(value), { className: "number" })), actions);
  return made;
}

function detail() {
  const row = rows.find((each) => each.id === selected);
  details.hidden = !row;
  if (!row) return;
  const past = history.get(row.id) ?? [];
  document.getElementById("details-title").textContent = `${row.name} ${row.id}`;
  document.getElementById("command").textContent = row.command;
  document.getElementById("dump").href = `/api/processes/${row.id}/dump`;
  const cpu = loads(past);
  draw("cpu", cpu, 100);
  draw("memory", past.map((each) => each.memory), Math.max(1, ...past.map((each) => each.memory)) * 1.2);
  document.getElementById("cpu-now").textContent = cpu.length ? `${cpu.at(-1).toFixed(0)} %` : "";
  document.getElementById("memory-now").textContent = megabytes(row.memory);
}

function draw(id, values, least) {
  const top = Math.max(least, ...values);
  const points = values.map((value, index) => `${((KEPT - values.length + index) / (KEPT - 1)) * 300},${58 - (value / top) * 54}`);
  document.querySelector(`#${id} polyline`).setAttribute("points", points.join(" "));
}

async function end(row) {
  if (!(await ask(`Kill ${row.name} ${row.id} and what it started?\n${row.command.slice(0, 200)}`, { yes: "Kill", danger: true }))) return;
  await call(`/api/processes/${row.id}`, { method: "DELETE" });
  await look();
}

async function look() {
  rows = await (await call("/api/homeport/processes")).json();
  remember();
  show();
}

async function watch() {
  for (;;) {
    if (!document.hidden) await attempt(look);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

const stacksOf = async (id) => (await call(`/api/processes/${id}/dump`)).text();

document.getElementById("stacks").onclick = () => attempt(async () => {
  stack.textContent = await stacksOf(selected);
  stack.hidden = false;
});

// Flame graph: the stacks are looked at often, and equal beginnings share one box.

function frames(text) {
  return text.split(/^Thread /m).slice(1).map((thread) => thread.split("\n").slice(1).map((each) => each.trim()).filter(Boolean).reverse())
    .filter((each) => each.length);
}

document.getElementById("flames").onclick = (event) => attempt(async () => {
  const button = event.currentTarget;
  const id = selected;
  const root = { name: "all", count: 0, below: new Map() };
  button.disabled = true;
  try {
    for (let round = 1; round <= 25 && id === selected; round++) {
      button.textContent = `Sampling ${round} of 25`;
      for (const path of frames(await stacksOf(id))) {
        root.count++;
        let node = root;
        for (const name of path) {
          if (!node.below.has(name)) node.below.set(name, { name, count: 0, below: new Map() });
          node = node.below.get(name);
          node.count++;
        }
      }
    }
  } finally {
    button.disabled = false;
    button.textContent = "Flame graph";
  }
  if (id !== selected) return;
  flame.replaceChildren();
  const depth = box(root, 0, 1, 0);
  flame.style.height = `${(depth + 1) * 1.35}rem`;
  flame.hidden = false;
});

function box(node, left, width, depth) {
  const made = element("div", node.name, { title: `${node.name}: ${node.count} samples` });
  Object.assign(made.style, { left: `${left * 100}%`, width: `${width * 100}%`, top: `${depth * 1.35}rem`, background: `hsl(${28 + (node.name.length * 7) % 22} 75% ${72 - (depth % 3) * 4}%)` });
  flame.append(made);
  let deepest = depth;
  for (const child of node.below.values()) {
    const share = (width * child.count) / node.count;
    deepest = Math.max(deepest, box(child, left, share, depth + 1));
    left += share;
  }
  return deepest;
}

document.getElementById("kill").onclick = () => attempt(() => end(rows.find((row) => row.id === selected)));
document.getElementById("restart").onclick = () => attempt(async () => {
  if (!(await ask("Restart the site's workers? No request is lost.", { yes: "Restart" }))) return;
  await call("/api/processes/-1", { method: "DELETE" });
  notice("The workers are being replaced.");
});
filter.oninput = show;
watch();
