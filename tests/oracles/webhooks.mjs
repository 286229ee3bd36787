// Verifies a callback with the published library of Standard Webhooks, and that it refuses every forgery of it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.COUNTERSIGN_ORACLES, "node", "package.json"));
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const seen = JSON.parse(readFileSync(process.argv[2], "utf8"));
Date.now = () => seen.now * 1000; // The time of the test.
const webhook = new Webhook(seen.secret);
const { body, headers } = seen;
const verified = webhook.verify(body, headers);

const forgeries = [
  [body.replace("approved", "denied"), headers],
  [`${body} `, headers],
  [body, { ...headers, "webhook-id": `${headers["webhook-id"]}0` }],
  [body, { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) + 1) }],
  [body, { ...headers, "webhook-signature": "v1,AAAA" }],
];
let refused = 0;
for (const [forged, withHeaders] of forgeries) {
  try {
    webhook.verify(forged, withHeaders);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    refused += 1;
  }
}
console.log(JSON.stringify({ verified, forgeries_refused: refused }));
