// The log stream: follows, pauses without losing, filters, and takes up again where a connection broke.
import { element } from "./site.js";

const log = document.getElementById("log");
const state = document.getElementById("state");
const filter = document.getElementById("filter");
const pause = document.getElementById("pause");
const MOST = 5000;
const lines = []; // everything that may be shown
let waiting = []; // what came during a pause
let paused = false;

const wanted = (line) => !filter.value || `${line.file} ${line.text}`.toLowerCase().includes(filter.value.toLowerCase());
const kind = (text) => (/\b(error|critical|fatal|traceback|exception)\b/i.test(text) ? "bad" : /\bwarn(ing)?\b/i.test(text) ? "warn" : "");

function row(line) {
  const paragraph = element("p", "", { className: kind(line.text) });
  paragraph.append(element("span", `${line.file}  `, { className: "file" }), line.text);
  return paragraph;
}

function add(batch) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  lines.push(...batch);
  log.append(...batch.filter(wanted).map(row));
  if (lines.length > MOST) lines.splice(0, lines.length - MOST);
  while (log.childElementCount > MOST) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function tell() {
  state.textContent = paused ? `Paused, ${waiting.length} lines waiting` : source.readyState === EventSource.OPEN ? "Following" : "Connecting again…";
}

const source = new EventSource("/api/homeport/logs");
source.onopen = tell;
source.onerror = tell; // the browser connects again and says which event it had last
source.onmessage = ({ data }) => {
  const batch = JSON.parse(data);
  if (paused) {
    waiting.push(...batch);
    if (waiting.length > MOST) waiting.splice(0, waiting.length - MOST);
  } else add(batch);
  tell();
};

pause.onclick = () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) { add(waiting); waiting = []; log.scrollTop = log.scrollHeight; }
  tell();
};
filter.oninput = () => {
  log.replaceChildren(...lines.filter(wanted).map(row));
  log.scrollTop = log.scrollHeight;
};
document.getElementById("clear").onclick = () => { lines.length = 0; log.replaceChildren(); };
