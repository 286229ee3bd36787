// Type-checks every golden card and dialog against @slack/types.
//
//   node slack_cards.mjs DIRECTORY     with the *.snap files of insta
//
// The JSON must stand as literals in the TypeScript: an imported .json widens the types, and unknown members pass.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const packages = join(process.env.COUNTERSIGN_ORACLES, "node");
const [directory] = process.argv.slice(2);
const files = readdirSync(directory).filter((name) => name.endsWith(".snap")).sort();
let source = 'import type { KnownBlock, ModalView } from "@slack/types";\n';
files.forEach((name, index) => {
  const golden = JSON.parse(readFileSync(join(directory, name), "utf8").split("---\n").slice(2).join("---\n"));
  const literal = JSON.stringify(golden.type === "modal" ? golden : golden.blocks, null, 1);
  source += `// ${name}\nexport const golden${index}: ${golden.type === "modal" ? "ModalView" : "KnownBlock[]"} = ${literal};\n`;
});
// Beside node_modules, so that the types are found.
const work = mkdtempSync(join(packages, "cards-"));
try {
  writeFileSync(join(work, "cards.ts"), source);
  const compiler = join(packages, "node_modules", "typescript", "bin", "tsc");
  const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext"];
  execFileSync(process.execPath, [compiler, ...options, join(work, "cards.ts")], { stdio: ["ignore", "inherit", "inherit"] });
  console.log(`${files.length} cards and dialogs have the right types`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
