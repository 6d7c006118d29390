// What every page needs: requests that change something, and notices.
document.documentElement.classList.add("scripts");

const token = document.querySelector("meta[name=csrf-token]").content;

/** Fetch from this SCM site; a session's token goes with what changes something. Throws an Error with the answer's text. */
export async function call(address, options = {}) {
  const headers = { ...options.headers };
  if ((options.method ?? "GET") !== "GET" && token) headers["X-CSRF-Token"] = token;
  const answer = await fetch(address, { ...options, headers });
  if (!answer.ok && !options.accept?.includes(answer.status)) throw new Error(await reason(answer));
  return answer;
}

async function reason(answer) {
  const text = await answer.text();
  try {
    const value = JSON.parse(text);
    return value.ExceptionMessage ?? value.Message ?? String(value);
  } catch {
    if (answer.status === 401) return "You are signed out. Load the page again.";
    return /^\s*</.test(text) || !text ? `The site answered ${answer.status}.` : text.slice(0, 500);
  }
}

/** Show a line at the edge of the page for a while; `bad` ones stay longer. */
export function notice(text, { bad = false } = {}) {
  const box = document.createElement("div");
  box.textContent = text;
  if (bad) box.className = "bad";
  document.getElementById("notices").append(box);
  setTimeout(() => box.remove(), bad ? 12000 : 4000);
}

/** Run something the user asked for; what goes wrong becomes a notice. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    notice(error.message, { bad: true });
    return undefined;
  }
}

/** Ask for a text (`value` given) or for a yes; null when the user does not want to. */
export function ask(title, { value, yes = "OK", danger = false } = {}) {
  const dialog = document.getElementById("ask");
  const input = dialog.querySelector("#ask-text");
  const button = dialog.querySelector("#ask-yes");
  dialog.querySelector("#ask-title").textContent = title;
  input.hidden = value === undefined;
  input.value = value ?? "";
  button.textContent = yes;
  button.className = danger ? "danger" : "primary";
  input.onkeydown = (event) => {
    if (event.key === "Enter") { event.preventDefault(); dialog.close("yes"); }
  };
  dialog.returnValue = "cancel";
  dialog.showModal();
  if (value !== undefined) {
    input.focus();
    input.setSelectionRange(0, value.lastIndexOf(".") > 0 ? value.lastIndexOf(".") : value.length);
  } else button.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const agreed = dialog.returnValue === "yes";
      resolve(agreed ? (value === undefined ? true : input.value.trim()) : null);
    }, { once: true });
  });
}

/** Make an element with text; never with markup. */
export function element(name, text = "", properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, properties);
}
