"""Checks the lengths of every golden card and dialog with the models of slack_sdk, and what those do not see.

    python slack_cards.py DIRECTORY     with the *.snap files of insta
"""

import json
import pathlib
import sys

from slack_sdk.models import JsonObject
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View


def check(value):
    """validate_json alone is not recursive."""
    if isinstance(value, JsonObject):
        value.validate_json()
        for member in vars(value).values():
            check(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            check(member)


def texts(value):
    """Every text object, however deep."""
    if isinstance(value, dict):
        if value.get("type") in ("plain_text", "mrkdwn"):
            yield value
        for member in value.values():
            yield from texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)


def characters(value):
    if isinstance(value, dict):
        return sum(characters(member) for member in value.values())
    if isinstance(value, list):
        return sum(characters(member) for member in value)
    return len(value) if isinstance(value, str) else 0


files = sorted(pathlib.Path(sys.argv[1]).glob("*.snap"))
for file in files:
    golden = json.loads(file.read_text(encoding="utf-8").split("---\n", 2)[2])
    modal = golden.get("type") == "modal"
    raw = golden["blocks"]
    parsed = Block.parse_all(raw)
    assert len(parsed) == len(raw) <= (100 if modal else 50), file.name
    check(parsed)
    if modal:
        View(**golden).validate_json()
    else:
        assert characters(raw) < 10_000, (file.name, characters(raw))
        assert 0 < len(golden["text"]) < 4_000, file.name
    for text in texts(raw):
        if text["type"] == "plain_text":
            assert text["emoji"] is False, (file.name, text)
        else:
            assert text["verbatim"] is True and len(text["text"]) <= 3_000, (file.name, text)
    for field in (field for block in raw for field in block.get("fields", [])):
        assert len(field["text"]) <= 2_000, (file.name, field)
print(f"{len(files)} cards and dialogs keep the lengths")
