// Bolt for Node: verifies the signature, acknowledges, keeps nothing.
import bolt from "@slack/bolt";

const app = new bolt.App({
  signingSecret: process.env.SECRET,
  endpoints: "/slack/interactions",
  authorize: async () => ({ botToken: "xoxb-bench", botId: "B0BOT", botUserId: "U0BOT" }),
  logLevel: bolt.LogLevel.ERROR,
});
app.action("cs.approve", async ({ ack }) => {
  await ack();
});
await app.start({ port: Number(process.env.PORT), host: "127.0.0.1" });
