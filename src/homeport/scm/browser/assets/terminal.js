// A terminal on a WebSocket: bytes both ways, sizes and the end as text.
import { Terminal } from "./xterm/xterm.mjs";
import { FitAddon } from "./xterm/addon-fit.mjs";
import { notice } from "./site.js";

const LIGHT = {
  background: "#fdfcfa", foreground: "#23282c", cursor: "#22617f", cursorAccent: "#ffffff", selectionBackground: "#cfe3ee",
  black: "#23282c", red: "#a63a2e", green: "#2c6e49", yellow: "#85601a", blue: "#22617f", magenta: "#7b4b94", cyan: "#1f7a7a", white: "#6b7278",
  brightBlack: "#5f686e", brightRed: "#c0483a", brightGreen: "#37875a", brightYellow: "#9c7222", brightBlue: "#2f7ba0", brightMagenta: "#935cb0", brightCyan: "#289494", brightWhite: "#3b4248",
};
const DARK = {
  background: "#121517", foreground: "#d9dde0", cursor: "#7cc0e0", cursorAccent: "#121517", selectionBackground: "#2b4a5a",
  black: "#2d3338", red: "#ef9a8d", green: "#83c9a0", yellow: "#dfbd6e", blue: "#7cc0e0", magenta: "#c9a3e0", cyan: "#84cfcf", white: "#d9dde0",
  brightBlack: "#98a2a9", brightRed: "#f5b0a5", brightGreen: "#9bd8b4", brightYellow: "#e9cd8d", brightBlue: "#98d1ec", brightMagenta: "#d8bbea", brightCyan: "#9fdede", brightWhite: "#f3f5f6",
};
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Open a terminal in `place`; `onFolder` hears the shell's folder each time it is at its prompt. */
export function openTerminal(place, { shell, directory, onFolder, state }) {
  const terminal = new Terminal({
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
    fontSize: 13.5, lineHeight: 1.2, scrollback: 10000, cursorBlink: true, screenReaderMode: false,
    theme: dark.matches ? DARK : LIGHT, minimumContrastRatio: 4.5,
  });
  const fit = new FitAddon();
  const encoder = new TextEncoder();
  let socket, atPrompt = false, folder = directory;
  terminal.loadAddon(fit);
  terminal.open(place);
  fit.fit();
  dark.addEventListener("change", () => { terminal.options.theme = dark.matches ? DARK : LIGHT; });

  terminal.parser.registerOscHandler(7, (text) => {
    try { folder = decodeURIComponent(new URL(text).pathname); } catch { return false; }
    return true;
  });
  terminal.parser.registerOscHandler(133, (text) => {
    if (text.startsWith("A")) { atPrompt = true; onFolder(folder); }
    else if (text.startsWith("C")) atPrompt = false;
    return true;
  });

  function connect() {
    atPrompt = false;
    state.textContent = "Connecting…";
    const query = new URLSearchParams({ shell, directory: folder, columns: terminal.cols, rows: terminal.rows });
    socket = new WebSocket(`${location.origin.replace("http", "ws")}/api/homeport/terminal?${query}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { state.textContent = "Ctrl+M leaves the terminal"; resized(); };
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") terminal.write(new Uint8Array(data));
    };
    socket.onclose = ({ reason }) => {
      atPrompt = false;
      state.textContent = "Ended";
      terminal.write(`\r\n\x1b[2m${reason || "The shell has ended."} Press Enter for a new one.\x1b[0m\r\n`);
    };
  }

  const open = () => socket.readyState === WebSocket.OPEN;
  function send(text) {
    if (open()) socket.send(encoder.encode(text));
    else if (socket.readyState === WebSocket.CLOSED && text.includes("\r")) connect();
  }
  function resized() {
    if (open()) socket.send(JSON.stringify({ resize: [terminal.cols, terminal.rows] }));
  }
  terminal.onData((text) => {
    if (text.includes("\r") && shell !== "cmd") atPrompt = false;
    send(text);
  });
  terminal.onBinary((text) => open() && socket.send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  terminal.onResize(resized);
  new ResizeObserver(() => fit.fit()).observe(place);

  // Tab belongs to the shell, so a key leads out, to the links before the terminal.
  terminal.textarea.setAttribute("aria-label", "Terminal; Ctrl+M leaves it");
  const leave = () => place.parentElement.querySelector("[aria-current=page]").focus();

  // Ctrl+C copies while something is selected and interrupts otherwise; Ctrl+V pastes, as in a console on Windows.
  const copy = async () => {
    await navigator.clipboard.writeText(terminal.getSelection());
    terminal.clearSelection();
  };
  const paste = async () => terminal.paste(await navigator.clipboard.readText());
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.type !== "keydown" || !event.ctrlKey || event.altKey) return true;
    if (event.key === "m") {
      event.preventDefault();
      leave();
      return false;
    }
    if (event.code === "KeyC" && (event.shiftKey || terminal.hasSelection())) {
      event.preventDefault();
      copy().catch(() => notice("The browser does not let the page copy.", { bad: true }));
      return false;
    }
    return event.code !== "KeyV"; // the browser pastes, and xterm.js takes it from there
  });
  document.getElementById("copy").onclick = () => copy().catch(() => notice("The browser does not let the page copy.", { bad: true }));
  document.getElementById("paste").onclick = () => {
    paste().catch(() => notice("The browser does not let the page paste; use Ctrl+V.", { bad: true }));
    terminal.focus();
  };
  document.getElementById("clear").onclick = () => { terminal.clear(); terminal.focus(); };

  connect();
  terminal.focus();
  return {
    /** Go where the file browser went; false while a program runs. */
    changeDirectory({ directory: wanted, shown }, { focus }) {
      if (wanted === folder) return true;
      if (!atPrompt) return false;
      const quoted = shell === "bash" ? `cd '${wanted.replaceAll("'", "'\\''")}'` : `cd /d "${shown}"`;
      send(shell === "bash" ? `\x15${quoted}\r` : `\x01\x0b${quoted}\r`);
      if (focus) terminal.focus();
      return true;
    },
  };
}
