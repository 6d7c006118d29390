// Zip push: upload with progress, then follow the deployment.
import { attempt, notice } from "./site.js";
import { follow } from "./follow.js";

const drop = document.getElementById("drop");
const file = document.getElementById("file");
const progress = document.getElementById("progress");
const holder = document.getElementById("deployment");
const token = document.querySelector("meta[name=csrf-token]").content;

/** Send the package; fetch cannot tell the progress of an upload. Resolves to the address of the deployment. */
function upload(body) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/zipdeploy?isAsync=true&trackDeploymentId=true&message=${encodeURIComponent(`Zip push of ${body.name ?? "a package"}`)}`);
    if (token) request.setRequestHeader("X-CSRF-Token", token);
    request.upload.onprogress = ({ loaded, total }) => { progress.value = loaded / (total || 1); };
    request.onload = () => {
      if (request.status < 300) return resolve(request.getResponseHeader("scm-deployment-id"));
      let text = request.responseText;
      try { text = JSON.parse(text).Message ?? text; } catch { /* plain text */ }
      return reject(new Error(text || `The site answered ${request.status}.`));
    };
    request.onerror = () => reject(new Error("The connection broke off. Nothing was deployed."));
    request.send(body);
  });
}

async function push(body) {
  if (!body) return;
  progress.hidden = false;
  progress.value = 0;
  try {
    const id = (await upload(body)) ?? (await newest());
    progress.removeAttribute("value");
    await follow(id, holder);
    notice("The deployment has ended.");
  } finally {
    progress.hidden = true;
  }
}

async function newest() {
  return (await (await fetch("/api/deployments/latest")).json()).id;
}

document.getElementById("choose").onclick = () => file.click();
file.onchange = () => attempt(() => push(file.files[0])).then(() => { file.value = ""; });
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  attempt(() => push(event.dataTransfer.files[0]));
});
