// The console: a terminal beside the files of the folder it is in.
import { call, attempt, ask, notice } from "./site.js";
import { openTerminal } from "./terminal.js";
import { openEditor } from "./editor.js";

const page = document.getElementById("console");
const home = page.dataset.home;
const holder = document.getElementById("folder");
const search = document.getElementById("search");
let loading = 0;

const current = () => holder.querySelector(".folder");
const identity = (control) => [control.closest("nav, tr")?.className, control.getAttribute("href"), control.ariaLabel].join();
const encode = (path) => path.split("/").map(encodeURIComponent).join("/");

async function show(path, { text = "" } = {}) {
  const mine = ++loading;
  const query = new URLSearchParams({ fragment: "true", ...(text && { search: text }) });
  const answer = await call(`/files/${path}?${query}`);
  const markup = await answer.text();
  if (mine !== loading) return;
  const focused = holder.contains(document.activeElement) && identity(document.activeElement);
  holder.innerHTML = markup; // rendered and escaped on the server
  if (!focused) return;
  const same = [...holder.querySelectorAll("a, button")].find((each) => identity(each) === focused);
  (same ?? holder.querySelector("[aria-current=location]")).focus();
}

async function refresh() {
  await show(current().dataset.path, { text: search.value.trim() });
}

/** Follow the terminal: `directory` is a Linux path; one outside home has no listing. */
async function follow(directory) {
  if (directory !== home && !directory.startsWith(`${home}/`)) return;
  const below = directory.slice(home.length + 1);
  const path = below ? `${encode(below)}/` : "";
  if (path !== current().dataset.path) search.value = "";
  await attempt(() => show(path, { text: search.value.trim() }));
}

/** Go to a folder; whoever pressed a key among the files goes on there, a click leads to the terminal. */
async function go(path, { detail }) {
  search.value = "";
  await attempt(async () => {
    await show(path);
    if (!terminal.changeDirectory(current().dataset, { focus: detail > 0 })) notice("The terminal is busy and stays in its folder.");
  });
}

const terminal = openTerminal(document.getElementById("terminal"), {
  shell: page.dataset.shell,
  directory: current().dataset.directory,
  onFolder: follow,
  state: document.getElementById("terminal-state"),
});

// Files

holder.addEventListener("click", (event) => {
  const target = event.target.closest("[data-folder], [data-edit], [data-action]");
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if ("folder" in target.dataset) { event.preventDefault(); go(target.dataset.folder, event); }
  else if (target.dataset.edit) { event.preventDefault(); attempt(() => openEditor(target.dataset.edit, refresh)); }
  else {
    const row = target.closest("tr").dataset;
    attempt(() => (target.dataset.action === "delete" ? remove(row) : rename(row)));
  }
});

async function remove({ path, name }) {
  const folder = path.endsWith("/");
  if (!(await ask(`Delete ${name}${folder ? " with everything in it" : ""}?`, { yes: "Delete", danger: true }))) return;
  await call(`/api/vfs/${path}${folder ? "?recursive=true" : ""}`, { method: "DELETE", headers: { "If-Match": "*" } });
  await refresh();
}

async function rename({ path }) {
  const bare = path.replace(/\/$/, "");
  const old = decodeURIComponent(bare.slice(bare.lastIndexOf("/") + 1));
  const name = await ask(`New name for ${old}`, { value: old, yes: "Rename" });
  if (!name || name === old) return;
  if (/[\\/]/.test(name)) throw new Error("A name holds no slash.");
  const folder = decodeURIComponent(bare.slice(0, bare.lastIndexOf("/") + 1));
  await call("/api/homeport/rename", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ from: `/${decodeURIComponent(bare)}`, to: `/${folder}${name}` }),
  });
  await refresh();
}

async function create(folder) {
  const name = await ask(folder ? "Name of the new folder" : "Name of the new file", { value: "", yes: "Create" });
  if (!name) return;
  const path = current().dataset.path + encode(name);
  await call(`/api/vfs/${path}${folder ? "/" : ""}`, { method: "PUT", body: folder ? undefined : "" });
  await refresh();
  if (!folder) await openEditor(path, refresh);
}

async function upload(files, { unpack = false } = {}) {
  const base = current().dataset.path;
  for (const file of files) {
    const address = unpack ? `/api/zip/${base}` : `/api/vfs/${base}${encode(file.webkitRelativePath || file.name)}`;
    await call(address, { method: "PUT", body: file, headers: unpack ? {} : { "If-Match": "*" } });
    notice(unpack ? `${file.name} was unpacked.` : `${file.name} was uploaded.`);
  }
  await refresh();
}

const picker = document.getElementById("upload-files");
document.getElementById("upload").onclick = () => picker.click();
picker.onchange = () => attempt(() => upload([...picker.files])).then(() => { picker.value = ""; });
document.getElementById("new-file").onclick = () => attempt(() => create(false));
document.getElementById("new-folder").onclick = () => attempt(() => create(true));
for (const button of document.querySelectorAll("[data-go]")) button.onclick = (event) => go(button.dataset.go, event);

let typing;
search.oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => attempt(refresh), 200);
};

// Dropping files

const browser = document.getElementById("browser");
const drops = document.getElementById("drops");
browser.addEventListener("dragenter", (event) => {
  if (event.dataTransfer?.types.includes("Files")) drops.classList.add("open");
});
drops.addEventListener("dragleave", (event) => {
  if (!drops.contains(event.relatedTarget)) drops.classList.remove("open");
});
for (const [id, unpack] of [["drop-here", false], ["drop-zip", true]]) {
  const area = document.getElementById(id);
  area.addEventListener("dragover", (event) => { event.preventDefault(); area.classList.add("over"); });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    drops.classList.remove("open");
    attempt(() => upload([...event.dataTransfer.files], { unpack }));
  });
}
