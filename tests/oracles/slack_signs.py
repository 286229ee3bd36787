"""Signs callbacks as Slack does, and reads from them what Slack's own framework reads.

    python slack_signs.py SECRET TIMESTAMP FILE     with a JSON list of payloads; prints a JSON list
"""

import json
import sys
from urllib.parse import urlencode

from slack_bolt.request.internals import extract_enterprise_id, extract_team_id, extract_user_id
from slack_sdk.signature import SignatureVerifier

secret, timestamp, file = sys.argv[1:]
signer = SignatureVerifier(secret)
answers = []
with open(file, encoding="utf-8") as stream:
    for payload in json.load(stream):
        body = urlencode({"payload": json.dumps(payload)})
        answers.append(
            {
                "body": body,
                "signature": signer.generate_signature(timestamp=timestamp, body=body),
                "team_id": extract_team_id(payload),
                "enterprise_id": extract_enterprise_id(payload),
                "user_id": extract_user_id(payload),
            }
        )
json.dump(answers, sys.stdout)
