"""Verifies a callback with the published library of Standard Webhooks, and that it refuses every forgery of it."""

import datetime
import json
import sys

import standardwebhooks
import standardwebhooks.webhooks as library

with open(sys.argv[1], encoding="utf-8") as file:
    seen = json.load(file)


class Clock(datetime.datetime):
    """The time of the test."""

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(seen["now"], tz)


library.datetime = Clock
webhook = standardwebhooks.Webhook(seen["secret"])
body, headers = seen["body"], seen["headers"]
verified = webhook.verify(body, headers)

forgeries = [
    (body.replace("approved", "denied"), headers),
    (body + " ", headers),
    (body, {**headers, "webhook-id": headers["webhook-id"] + "0"}),
    (body, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
    (body, {**headers, "webhook-signature": "v1,AAAA"}),
]
refused = 0
for forged, with_headers in forgeries:
    try:
        webhook.verify(forged, with_headers)
    except standardwebhooks.WebhookVerificationError:
        refused += 1
print(json.dumps({"verified": verified, "forgeries_refused": refused}))
