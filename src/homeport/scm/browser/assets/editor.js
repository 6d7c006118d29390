// Editing one file: saved only over the version that was opened.
import { call, attempt, ask } from "./site.js";

const dialog = document.getElementById("editor");
const area = document.getElementById("editor-text");
const conflict = document.getElementById("conflict");
const state = document.getElementById("editor-state");
const LARGEST = 2 * 1024 * 1024;
let path, tag, saved, breaks, done;

/** Open the file at a URL path below home; `onSaved` is called after each save. */
export async function openEditor(urlPath, onSaved) {
  path = urlPath;
  done = onSaved;
  await load();
  document.getElementById("editor-name").textContent = decodeURIComponent(path).replaceAll("/", "\\");
  if (!dialog.open) dialog.showModal();
  area.focus();
  area.setSelectionRange(0, 0);
}

async function load() {
  const head = await call(`/api/vfs/${path}`, { method: "HEAD" });
  if (Number(head.headers.get("content-length")) > LARGEST) throw new Error("This file is too large to edit here; download it.");
  const answer = await call(`/api/vfs/${path}`, { cache: "no-store" });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    text = "\0";
  }
  if (text.includes("\0")) throw new Error("This file is not text; download it.");
  breaks = text.includes("\r\n") ? "\r\n" : "\n"; // a text area knows line feeds alone
  tag = answer.headers.get("etag");
  area.value = text;
  saved = area.value;
  conflict.hidden = true;
  state.textContent = "";
}

async function save(match) {
  const written = area.value;
  const answer = await call(`/api/vfs/${path}`, {
    method: "PUT",
    body: breaks === "\n" ? written : written.replaceAll("\n", breaks),
    headers: { "If-Match": match },
    accept: [412],
  });
  if (answer.status === 412) {
    conflict.hidden = false;
    state.textContent = "Not saved";
    document.getElementById("take-theirs").focus();
    return;
  }
  tag = answer.headers.get("etag");
  saved = written;
  conflict.hidden = true;
  state.textContent = "Saved";
  await done();
}

document.getElementById("save").onclick = () => attempt(() => save(tag));
document.getElementById("overwrite").onclick = () => attempt(() => save("*"));
document.getElementById("take-theirs").onclick = () => attempt(load);
area.oninput = () => { state.textContent = area.value === saved ? "" : "Not saved yet"; };
dialog.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "s") {
    event.preventDefault();
    attempt(() => save(tag));
  }
});
const mayClose = async () => area.value === saved || (await ask("Close without saving?", { yes: "Close", danger: true }));
dialog.addEventListener("cancel", (event) => {
  if (area.value !== saved) {
    event.preventDefault();
    mayClose().then((yes) => yes && dialog.close());
  }
});
dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  mayClose().then((yes) => yes && dialog.close());
});
dialog.addEventListener("close", () => document.querySelector(".xterm-helper-textarea")?.focus());
