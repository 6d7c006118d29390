// Shows a deployment's state and log, again and again until it is complete.
import { call } from "./site.js";

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Keep `holder` up to date until deployment `id` is complete and `until`, where given, is settled. */
export async function follow(id, holder, until) {
  let settled = !until;
  until?.then(() => { settled = true; }, () => { settled = true; });
  for (;;) {
    const last = settled;
    const answer = await call(`/DeploymentCenter/${encodeURIComponent(id)}?fragment=true`, { accept: [404] });
    if (answer.ok) holder.innerHTML = await answer.text(); // rendered and escaped on the server
    const log = holder.querySelector(".log");
    if (log) log.scrollTop = log.scrollHeight;
    if (last && holder.querySelector("[data-complete=yes]")) return;
    await pause(500);
  }
}
