// One deployment: its log grows while it runs; it can be carried out again or deleted.
import { ask, attempt, call, notice } from "./site.js";
import { follow } from "./follow.js";

const holder = document.getElementById("deployment");
if (holder) {
  const id = holder.dataset.id;
  const complete = () => holder.querySelector("[data-complete]")?.dataset.complete === "yes";
  if (!complete()) attempt(() => follow(id, holder));
  document.getElementById("redeploy").onclick = () => attempt(async () => {
    if (!(await ask("Carry this deployment out again? Its content replaces what is served now.", { yes: "Redeploy" }))) return;
    const done = call(`/api/deployments/${id}`, { method: "PUT" });
    await Promise.all([done, follow(id, holder, done)]);
    notice("Done.");
  });
  document.getElementById("delete").onclick = () => attempt(async () => {
    if (!(await ask("Delete the record of this deployment? The content stays.", { yes: "Delete", danger: true }))) return;
    await call(`/api/deployments/${id}`, { method: "DELETE" });
    location.assign("/DeploymentCenter");
  });
}
