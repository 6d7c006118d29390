// One deployment: its log grows while it runs; it can be carried out again or deleted.
import { ask, attempt, call, element, notice } from "./site.js";
import { follow } from "./follow.js";

/** Make a table of what is added, changed and removed; nothing where that is nothing. */
function list(title, difference) {
  const table = element("table");
  for (const [kind, state] of [["added", "success"], ["changed", "building"], ["removed", "failed"]]) {
    for (const name of difference[kind]) {
      const row = table.insertRow();
      row.insertCell().append(element("span", kind, { className: `state ${state}` }));
      Object.assign(row.insertCell(), { textContent: name, className: "name" });
    }
  }
  return table.rows.length ? [element("h3", title), table] : [];
}

/** Show where the preview of a deployment is, and the way to end it. */
function showPreview(id, preview) {
  const place = document.getElementById("previewed");
  const link = element("a", "Open the preview", { href: preview.url, target: "_blank", rel: "noreferrer noopener" });
  const end = element("button", "End the preview", { type: "button" });
  end.onclick = () => attempt(async () => {
    await call(`/api/homeport/deployments/${id}/preview`, { method: "DELETE" });
    place.hidden = true;
    notice("The preview has ended.");
  });
  const until = element("p", `Unless it is used, it ends at ${preview.expires.slice(11, 16)} UTC. ${preview.note}`);
  const row = element("p");
  row.append(link, " ", end);
  place.replaceChildren(element("h2", "Preview"), row, until);
  place.hidden = false;
}

const holder = document.getElementById("deployment");
if (holder) {
  const id = holder.dataset.id;
  const complete = () => holder.querySelector("[data-complete]")?.dataset.complete === "yes";
  if (!complete()) attempt(() => follow(id, holder));
  document.getElementById("preview").onclick = () => attempt(async () => {
    notice("The preview is being prepared.");
    showPreview(id, await (await call(`/api/homeport/deployments/${id}/preview`, { method: "POST" })).json());
  });
  document.getElementById("redeploy").onclick = () => attempt(async () => {
    if (!(await ask("Carry this deployment out again? Its content replaces what is served now.", { yes: "Redeploy" }))) return;
    const done = call(`/api/deployments/${id}`, { method: "PUT" });
    await Promise.all([done, follow(id, holder, done)]);
    notice("Done.");
  });
  document.getElementById("compare")?.addEventListener("click", () => attempt(async () => {
    const difference = await (await call(`/api/homeport/deployments/${id}/diff`)).json();
    const place = document.getElementById("changes");
    place.replaceChildren(element("h2", "What redeploying it would change"), ...list("Files", difference.files), ...list("Packages", difference.packages));
    if (place.childElementCount === 1) place.append(element("p", "Nothing.", { className: "empty" }));
    place.hidden = false;
  }));
  document.getElementById("delete").onclick = () => attempt(async () => {
    if (!(await ask("Delete the record of this deployment? The content stays.", { yes: "Delete", danger: true }))) return;
    await call(`/api/deployments/${id}`, { method: "DELETE" });
    location.assign("/DeploymentCenter");
  });
}
