"""Drives FakeSlack with the unmodified slack_sdk.

    python fake_slack.py API_URL TOKEN TRIGGER_ID
"""

import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.version import __version__

url, token, trigger = sys.argv[1:]
slack = WebClient(token=token, base_url=url)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except SlackApiError as error:
        assert error.response["error"] == code, (code, error.response["error"])
    else:
        raise AssertionError(f"{code} was expected")


def section(text):
    return [{"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}]


me = slack.auth_test()
assert me["team_id"] == "T0ACME" and "chat:write" in me.headers["x-oauth-scopes"]
refused("invalid_auth", WebClient(token="xoxb-wrong", base_url=url).auth_test)

posted = slack.chat_postMessage(channel="C0PROD", text="one", blocks=section("one"), unfurl_links=False)
assert posted["message"]["blocks"][0]["text"]["text"] == "one"
updated = slack.chat_update(channel="C0PROD", ts=posted["ts"], text="two")
assert updated["message"]["blocks"] == []
assert "C0PROD" in slack.chat_getPermalink(channel="C0PROD", message_ts=posted["ts"])["permalink"]
refused("channel_not_found", slack.chat_postMessage, channel="C0NONE", text="x")
refused("invalid_blocks", slack.chat_postMessage, channel="C0PROD", text="x", blocks=section("x" * 3001))
refused("message_not_found", slack.chat_update, channel="C0PROD", ts="1.000001", text="x")
slack.chat_postEphemeral(channel="C0PROD", user="U0BOB", text="only you")
assert slack.users_info(user="U0BOB")["user"]["profile"]["email"] == "bob@example.com"
refused("user_not_found", slack.users_info, user="U0NONE")
assert slack.conversations_info(channel="C0PROD")["channel"]["is_member"] is True
assert slack.conversations_open(users=["U0BOB"])["channel"]["id"].startswith("D")

view = {"type": "modal", "title": {"type": "plain_text", "text": "One"}, "blocks": section("one")}
opened = slack.views_open(trigger_id=trigger, view=view)["view"]
refused("exchanged_trigger_id", slack.views_open, trigger_id=trigger, view=view)
refused("hash_conflict", slack.views_update, view_id=opened["id"], hash="old", view=view)
assert slack.views_update(view_id=opened["id"], hash=opened["hash"], view=view)["view"]["hash"] != opened["hash"]
slack.chat_delete(channel="C0PROD", ts=posted["ts"])
refused("unknown_method", slack.api_call, api_method="no.such")
print(f"slack_sdk {__version__} is content")
