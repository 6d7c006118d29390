// Deploys as the GitHub Action azure/webapps-deploy does with a publish profile: its own REST library, unmodified.
// Arguments: the profile's file, a package, a broken package. Prints what happened as one JSON object on the last line.
"use strict";
const fs = require("fs");
const xml2js = require("xml2js");
const { Kudu } = require("azure-actions-appservice-rest/Kudu/azure-app-kudu-service");
const { KuduServiceUtility } = require("azure-actions-appservice-rest/Utilities/KuduServiceUtility");

const [profileFile, goodPackage, brokenPackage] = process.argv.slice(2);

async function main() {
  const profile = await xml2js.parseStringPromise(fs.readFileSync(profileFile, "utf8"));
  const first = profile.publishData.publishProfile[0].$; // the Action takes the first one, whatever its method
  if (!first.publishUrl.includes("scm")) {
    throw new Error("Publish profile does not contain kudu URL");
  }
  const kudu = new Kudu(`https://${first.publishUrl}`, { username: first.userName, password: first.userPWD });
  const utility = new KuduServiceUtility(kudu);
  const message = { slotName: "production" };
  const answers = { runtime: await kudu.getAppRuntime() };
  await utility.warmpUp();
  answers.zip = await utility.deployUsingZipDeploy(goodPackage, message);
  answers.one = await utility.deployUsingOneDeploy(goodPackage, message, undefined, "zip", "true", "true");
  answers.broken = await utility.deployUsingZipDeploy(brokenPackage, message).then(
    () => "deployed",
    (error) => String(error)
  );
  answers.details = await kudu.getDeploymentDetails(answers.one);
  answers.command = await new Promise((resolve, reject) => kudu.runCommand("site\\wwwroot", "type app.py").then(resolve, reject));
  answers.file = await kudu.getFileContent("/site/wwwroot", "app.py");
  process.stdout.write(`\n${JSON.stringify(answers)}\n`);
}

main().catch((error) => {
  process.stderr.write(`${error && error.stack ? error.stack : JSON.stringify(error)}\n`);
  process.exit(1);
});
