// Calls the public npm package kudu-api, unmodified, and prints what it answered as one JSON object.
// Arguments: site, user, password, folder for files.
"use strict";
const fs = require("fs");
const path = require("path");
const { promisify } = require("util");

const [site, user, password, folder] = process.argv.slice(2);
const api = require("kudu-api")({ website: site, username: user, password: password });
const call = (owner, name, ...values) => promisify(owner[name].bind(owner))(...values);
const downloaded = (owner, values) =>
  new Promise((resolve, reject) => owner.download(...values, (error, response) => (error ? reject(error) : resolve(response.statusCode))));

async function main() {
  const answers = {};
  answers.scm = await call(api.scm, "info");
  answers.environment = await call(api.environment, "get");
  answers.command = await call(api.command, "exec", "echo hello", "site\\wwwroot");
  await call(api.vfs, "createDirectory", "site/wwwroot/made");
  const local = path.join(folder, "local.txt");
  fs.writeFileSync(local, "uploaded");
  await call(api.vfs, "uploadFile", local, "site/wwwroot/made/file.txt");
  await call(api.vfs, "uploadFile", local, "site/wwwroot/made/file.txt");
  answers.file = await call(api.vfs, "getFile", "site/wwwroot/made/file.txt");
  answers.listed = (await call(api.vfs, "listFiles", "site/wwwroot/made")).map((entry) => entry.name);
  const zip = path.join(folder, "made.zip");
  answers.download = await downloaded(api.zip, ["site/wwwroot/made/", zip]);
  answers.upload = await new Promise((resolve, reject) =>
    api.zip.upload(zip, "site/wwwroot/copy/", (error, body, response) => (error ? reject(error) : resolve(response.statusCode))));
  answers.copy = await call(api.vfs, "getFile", "site/wwwroot/copy/file.txt");
  await call(api.vfs, "deleteFile", "site/wwwroot/made/file.txt");
  await call(api.vfs, "deleteDirectory", "site/wwwroot/made");
  answers.top = (await call(api.vfs, "listFiles", "site/wwwroot")).map((entry) => entry.name);
  await call(api.settings, "set", { FROM_NODE: "yes" });
  answers.setting = await call(api.settings, "get", "FROM_NODE");
  await call(api.settings, "del", "FROM_NODE");
  answers.settings = Object.keys(await call(api.settings, "list"));
  await call(api.diagnostics, "set", { AzureDriveEnabled: true });
  answers.diagnostics = await call(api.diagnostics, "get", "AzureDriveEnabled");
  answers.unknown = await call(api.diagnostics, "get", "none").catch((error) => error);
  await call(api.diagnostics, "del", "AzureDriveEnabled");
  answers.dump = await downloaded(api.dump, [path.join(folder, "dump.zip")]);
  answers.logs = await call(api.logs, "recent", { top: 5 });
  answers.sshkey = await call(api.sshkey, "get", true);
  answers.deployments = await call(api.deployment, "list");
  answers.feed = (await call(api.extensions.feed, "list")).map((entry) => entry.id);
  answers.one = (await call(api.extensions.feed, "get", "python3117x64")).id;
  answers.installed = (await call(api.extensions.site, "set", "python3117x64", {})).provisioningState;
  answers.extensions = (await call(api.extensions.site, "list")).map((entry) => entry.id);
  answers.removed = await call(api.extensions.site, "del", "python3117x64");
  process.stdout.write(JSON.stringify(answers));
}

main().catch((error) => {
  process.stderr.write(`${error && error.stack ? error.stack : JSON.stringify(error)}\n`);
  process.exit(1);
});
