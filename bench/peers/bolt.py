"""Bolt for Python, asynchronous, on aiohttp: verifies the signature, acknowledges, keeps nothing."""

import logging
import os

from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

logging.basicConfig(level=logging.ERROR)


async def authorize(**_):
    return AuthorizeResult(enterprise_id=None, team_id="T0ACME", bot_token="xoxb-bench", bot_id="B0BOT", bot_user_id="U0BOT")


app = AsyncApp(signing_secret=os.environ["SECRET"], authorize=authorize)


@app.action("cs.approve")
async def approve(ack):
    await ack()


server = app.web_app(path="/slack/interactions")
web.run_app(server, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, print=None)
