// Leaves in package-lock.json what makes an install the same everywhere (versions, hashes) and no address of anything.
import { readFileSync, writeFileSync } from "node:fs";

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
for (const member of Object.values(lock.packages)) {
  delete member.funding;
  delete member.resolved;
}
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
