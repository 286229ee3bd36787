// Drives FakeSlack with the unmodified @slack/web-api.
//
//   node fake_slack.mjs API_URL TOKEN TRIGGER_ID
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.COUNTERSIGN_ORACLES, "node", "package.json"));
const { WebClient, ErrorCode, LogLevel } = require("@slack/web-api");
const [slackApiUrl, token, trigger_id] = process.argv.slice(2);
const options = { slackApiUrl, retryConfig: { retries: 0 }, rejectRateLimitedCalls: true, logLevel: LogLevel.ERROR };
const slack = new WebClient(token, options);
const refused = (code) => (error) => error.code === ErrorCode.PlatformError && error.data.error === code;
const section = (text) => [{ type: "section", text: { type: "plain_text", text, emoji: false } }];

const self = await slack.auth.test();
assert.equal(self.team_id, "T0ACME");
assert.ok(self.response_metadata.scopes.includes("chat:write"));
await assert.rejects(new WebClient("xoxb-wrong", options).auth.test(), refused("invalid_auth"));
await assert.rejects(new WebClient(undefined, options).auth.test(), refused("not_authed"));

const posted = await slack.chat.postMessage({ channel: "C0PROD", text: "one", blocks: section("one") });
assert.match(posted.ts, /^\d+\.\d{6}$/);
assert.equal(posted.message.blocks[0].text.text, "one");
const updated = await slack.chat.update({ channel: "C0PROD", ts: posted.ts, text: "two" });
assert.deepEqual(updated.message.blocks, [], "text alone takes the blocks away");
const link = await slack.chat.getPermalink({ channel: "C0PROD", message_ts: posted.ts });
assert.ok(link.permalink.includes("C0PROD"));
await assert.rejects(slack.chat.postMessage({ channel: "C0NONE", text: "x" }), refused("channel_not_found"));
await assert.rejects(slack.chat.postMessage({ channel: "C0PROD" }), refused("no_text"));
await assert.rejects(slack.chat.postMessage({ channel: "C0PROD", text: "x", blocks: section("x".repeat(3001)) }), refused("invalid_blocks"));
await assert.rejects(slack.chat.postMessage({ channel: "C0PROD", text: "x", blocks: Array(51).fill(section("x")[0]) }), refused("invalid_blocks"));
await assert.rejects(slack.chat.postMessage({ channel: "C0PROD", text: "x", blocks: Array(5).fill(section("x".repeat(2900))[0]) }), refused("msg_blocks_too_long"));
await assert.rejects(slack.chat.update({ channel: "C0PROD", ts: "1.000001", text: "x" }), refused("message_not_found"));
await slack.chat.postEphemeral({ channel: "C0PROD", user: "U0BOB", text: "only you" });
await assert.rejects(slack.chat.postEphemeral({ channel: "C0PROD", user: "U0CAROL", text: "x" }), refused("user_not_in_channel"));

const info = await slack.users.info({ user: "U0BOB" });
assert.equal(info.user.profile.email, "bob@example.com");
await assert.rejects(slack.users.info({ user: "U0NONE" }), refused("user_not_found"));
assert.equal((await slack.conversations.info({ channel: "C0PROD" })).channel.is_member, true);
assert.match((await slack.conversations.open({ users: "U0BOB" })).channel.id, /^D/);

const view = { type: "modal", title: { type: "plain_text", text: "One" }, blocks: section("one") };
await assert.rejects(slack.views.open({ trigger_id, view: { ...view, title: { type: "plain_text", text: "x".repeat(25) } } }), refused("invalid_arguments"));
const opened = await slack.views.open({ trigger_id, view });
assert.equal(opened.view.root_view_id, opened.view.id);
await assert.rejects(slack.views.open({ trigger_id, view }), refused("exchanged_trigger_id"));
await assert.rejects(slack.views.open({ trigger_id: "1.2.3", view }), refused("invalid_trigger_id"));
await assert.rejects(slack.views.update({ view_id: opened.view.id, hash: "old", view }), refused("hash_conflict"));
const changed = await slack.views.update({ view_id: opened.view.id, hash: opened.view.hash, view });
assert.notEqual(changed.view.hash, opened.view.hash);
await slack.chat.delete({ channel: "C0PROD", ts: posted.ts });
await assert.rejects(slack.apiCall("no.such"), refused("unknown_method"));
console.log(`@slack/web-api ${require("@slack/web-api/package.json").version} is content`);
