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
    if (answer.status === 404) id = (await failedBefore()) ?? id;
    if (answer.ok) holder.innerHTML = await answer.text(); // rendered and escaped on the server
    const log = holder.querySelector(".log");
    if (log) log.scrollTop = log.scrollHeight;
    if (last && holder.querySelector("[data-complete=yes]")) return;
    await pause(500);
  }
}

/** A package that is refused before its deployment begins leaves a record under an id of its own. */
async function failedBefore() {
  const answer = await call("/api/deployments/latest", { accept: [404] });
  const latest = answer.status === 200 ? await answer.json() : {};
  return latest.is_temp && latest.complete ? latest.id : null;
}
