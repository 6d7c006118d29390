// Site extensions: the lists, and one of them in detail.
import { ask, attempt, call, element, notice } from "./site.js";

const byName = (left, right) => left.title.localeCompare(right.title, undefined, { numeric: true });
const byVersion = (left, right) => right.version.localeCompare(left.version, undefined, { numeric: true });
const json = async (address) => (await call(address)).json();
const detailOf = (extension) => `/SiteExtensions/${encodeURIComponent(extension.id)}`;

async function install(extension, button) {
  if (!(await ask(`Install ${extension.title}?\nIts licence: ${extension.license_url ?? "not stated"}`, { yes: "Install" }))) return false;
  button.disabled = true;
  button.textContent = "Installing…";
  try {
    await call(`/api/siteextensions/${encodeURIComponent(extension.id)}`, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(extension.feed_url ? { feed_url: extension.feed_url } : {}),
    });
    notice(`${extension.title} is installed.`);
    return true;
  } finally {
    button.disabled = false;
    button.textContent = "Install";
  }
}

async function remove(extension) {
  if (!(await ask(`Remove ${extension.title}, with the packages installed into it?`, { yes: "Remove", danger: true }))) return false;
  await call(`/api/siteextensions/${encodeURIComponent(extension.id)}`, { method: "DELETE" });
  notice(`${extension.title} was removed.`);
  return true;
}

// The lists

let installed = [];
let gallery = [];
const filter = document.getElementById("filter");
const order = document.getElementById("order");

function card(extension, here) {
  const box = element("article", "", { className: "card" });
  const tools = element("div", "", { className: "tools" });
  box.append(element("a", extension.title, { href: detailOf(extension) }), element("p", `${extension.version} · ${(extension.authors ?? []).join(", ")}`), element("p", extension.summary ?? ""), tools);
  if (here) {
    if (extension.extension_url) tools.append(element("a", "Launch", { href: extension.extension_url, className: "button" }));
    if (extension.local_is_latest_version === false) tools.append(element("button", "Update", { type: "button", onclick: (event) => act(() => install(extension, event.currentTarget)) }));
    tools.append(element("button", "Remove", { type: "button", className: "danger", onclick: () => act(() => remove(extension)) }));
  } else tools.append(element("button", "Install", { type: "button", onclick: (event) => act(() => install(extension, event.currentTarget)) }));
  return box;
}

async function act(work) {
  if (await attempt(work)) await attempt(load);
}

function show() {
  const text = filter.value.toLowerCase();
  const sort = order.value === "name" ? byName : byVersion;
  const ids = new Set(installed.map((each) => each.id.toLowerCase()));
  const fits = (each) => `${each.id} ${each.title} ${each.summary} ${each.description}`.toLowerCase().includes(text);
  for (const [id, list, here] of [["installed", installed, true], ["gallery", gallery.filter((each) => !ids.has(each.id.toLowerCase())), false]]) {
    const found = list.filter(fits).sort(sort);
    const place = document.getElementById(id);
    place.replaceChildren(...(found.length ? found.map((each) => card(each, here)) : [element("p", "None.", { className: "empty" })]));
    place.setAttribute("aria-busy", "false");
  }
}

async function load() {
  [installed, gallery] = await Promise.all([json("/api/siteextensions"), json("/api/extensionfeed")]);
  show();
}

if (filter) {
  filter.oninput = order.onchange = show;
  attempt(load);
}

// One extension

const facts = document.getElementById("facts");

async function detail() {
  const id = encodeURIComponent(facts.dataset.id);
  const here = await call(`/api/siteextensions/${id}`, { accept: [404] });
  const extension = here.ok ? await here.json() : await json(`/api/extensionfeed/${id}`);
  document.getElementById("title").textContent = extension.title;
  const rows = [
    ["Id", extension.id], ["Version", extension.version], ["Authors", (extension.authors ?? []).join(", ")], ["Summary", extension.summary],
    ["Description", extension.description], ["Installed in", here.ok ? extension.local_path : null], ["Installed", extension.installed_date_time],
    ["Feed", extension.feed_url], ["Project", extension.project_url], ["Licence", extension.license_url],
  ];
  facts.replaceChildren(...rows.filter(([, value]) => value).flatMap(([name, value]) => {
    const cell = element("dd");
    // Only web addresses become links: a feed could name a script.
    cell.append(/^https?:\/\//i.test(value) ? element("a", value, { href: value, rel: "noreferrer" }) : value);
    return [element("dt", name), cell];
  }));
  const [add, drop] = [document.getElementById("install"), document.getElementById("remove")];
  add.hidden = here.ok;
  drop.hidden = !here.ok;
  add.onclick = () => attempt(async () => { if (await install(extension, add)) location.reload(); });
  drop.onclick = () => attempt(async () => { if (await remove(extension)) location.assign("/SiteExtensions"); });
}

if (facts) attempt(detail);
for (const button of document.querySelectorAll("[data-copy]")) {
  button.onclick = () => attempt(async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    notice("Copied.");
  });
}
