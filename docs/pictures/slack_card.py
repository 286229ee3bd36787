#!/usr/bin/env python3
"""Draws Block Kit JSON the way Slack shows it: a likeness as HTML, for the pictures in the documentation.

    slack_card.py card.json > card.html        the body of chat.postMessage, or a view
    slack_card.py card.snap > card.html        the same, as a snapshot of the tests

It knows the blocks that Countersign sends. A block, an element or a member that it does not know is an error: a picture
that leaves something out would lie. Needs nothing but Python 3.10.
"""

import html
import json
import re
import sys
from datetime import datetime, timezone

# Accounts of the examples, as a workspace would show them.
PEOPLE = {"U0ALICE": "Alice", "U0BOB": "Bob", "U0CAROL": "Carol", "U0DAVE": "Dave"}
# Months in English, whatever the locale of the machine.
MONTHS = "January February March April May June July August September October November December".split()

STYLE = """
* { box-sizing: border-box; }
body { margin: 0; padding: 20px; background: #fff; color: #1d1c1d; font: 15px/1.466 Lato, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif; width: 640px; overflow-wrap: anywhere; }
.message { display: grid; grid-template-columns: 36px 1fr; gap: 8px 10px; }
.face { width: 36px; height: 36px; border-radius: 8px; background: #1f2937; color: #fff; font-weight: 700; display: grid; place-items: center; }
.sender b { font-weight: 900; }
.app { font-size: 10px; font-weight: 700; background: #e8e8e8; color: #454447; border-radius: 2px; padding: 1px 3px; margin: 0 5px; vertical-align: 2px; }
.time, .hint { color: #616061; font-size: 12px; }
.block { margin-top: 8px; }
h2 { font-size: 18px; line-height: 1.33; font-weight: 900; margin: 8px 0 4px; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; }
.rich > div, .rich > blockquote, .rich > pre { margin: 0 0 4px; }
.rich { white-space: pre-wrap; }
blockquote { margin: 0; padding-left: 16px; border-left: 4px solid #ddd; white-space: pre-wrap; }
pre, code { font: 12px/1.5 "DejaVu Sans Mono", Menlo, Consolas, monospace; background: #f8f8f8; border: 1px solid #dddddd; border-radius: 4px; }
pre { padding: 8px; white-space: pre-wrap; }
code { padding: 2px 3px 1px; color: #c01343; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; }
button { font: inherit; font-size: 13px; font-weight: 700; line-height: 1; min-height: 36px; padding: 0 12px; border-radius: 8px; border: 1px solid #bbb; background: #fff; color: #1d1c1d; }
button.primary { background: #007a5a; border-color: #007a5a; color: #fff; }
button.danger { background: #e01e5a; border-color: #e01e5a; color: #fff; }
.context { color: #616061; font-size: 13px; display: flex; flex-wrap: wrap; gap: 4px 10px; }
.mention { color: #1264a3; background: #e8f5fa; border-radius: 3px; padding: 0 2px; }
hr { border: 0; border-top: 1px solid #ddd; margin: 12px 0; }
body.narrow { width: 560px; }
.view { width: 520px; border: 1px solid #ccc; border-radius: 12px; box-shadow: 0 6px 24px rgb(0 0 0 / .12); }
.view > header { display: flex; justify-content: space-between; align-items: center; padding: 16px 24px; border-bottom: 1px solid #eee; font-size: 20px; font-weight: 900; }
.view > .inside { padding: 8px 24px 20px; }
.view > footer { display: flex; justify-content: end; gap: 12px; padding: 14px 24px; border-top: 1px solid #eee; }
.input b { display: block; margin-bottom: 4px; }
.input .optional { font-weight: 400; color: #616061; }
.box { border: 1px solid #868686; border-radius: 4px; min-height: 64px; padding: 8px; }
.box.line { min-height: 36px; }
.radio { display: flex; gap: 8px; align-items: center; padding: 2px 0; }
.radio i { width: 16px; height: 16px; border: 1px solid #868686; border-radius: 50%; }
"""


def fail(what):
    sys.exit(f"slack_card.py: {what}")


def only(thing, *names):
    """Stops at a member that would not be drawn."""
    unknown = set(thing) - set(names)
    if unknown:
        fail(f"does not draw {', '.join(sorted(unknown))} of {json.dumps(thing)[:200]}")


def date(match):
    """`<!date^EPOCH^FORMAT|FALLBACK>`, in UTC: a picture has no viewer with a zone of their own."""
    at = datetime.fromtimestamp(int(match[1]), timezone.utc)
    hour = at.hour % 12 or 12
    parts = {
        "date_short_pretty": f"{MONTHS[at.month - 1][:3]} {at.day}, {at.year}",
        "date_pretty": f"{MONTHS[at.month - 1]} {at.day}, {at.year}",
        "date_short": f"{MONTHS[at.month - 1][:3]} {at.day}, {at.year}",
        "date": f"{MONTHS[at.month - 1]} {at.day}, {at.year}",
        "date_num": f"{at:%Y-%m-%d}",
        "time": f"{hour}:{at:%M} {'AM' if at.hour < 12 else 'PM'}",
        "time_secs": f"{hour}:{at:%M:%S} {'AM' if at.hour < 12 else 'PM'}",
    }
    return re.sub(r"\{(\w+)\}", lambda token: parts.get(token[1]) or fail(f"unknown date token {token[0]}"), match[2])


def mrkdwn(text):
    """The part of mrkdwn that our own words use: bold, code, people, dates."""
    out = []
    for piece in re.split(r"(<[^<>]+>|`[^`\n]+`)", text):
        if re.fullmatch(r"`[^`\n]+`", piece):
            out.append(f"<code>{html.escape(html.unescape(piece[1:-1]))}</code>")
        elif moment := re.fullmatch(r"<!date\^(\d+)\^([^|^]+)(?:\^[^|]*)?\|[^>]*>", piece):
            out.append(html.escape(date(moment)))
        elif person := re.fullmatch(r"<@([UW]\w+)>", piece):
            out.append(f'<span class="mention">@{html.escape(PEOPLE.get(person[1], person[1]))}</span>')
        elif piece.startswith("<"):
            fail(f"does not draw {piece}")
        else:
            safe = html.escape(html.unescape(piece), quote=False)
            safe = re.sub(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])", r"<b>\1</b>", safe)
            out.append(safe.replace("\n", "<br>"))
    return "".join(out)


def text(thing):
    only(thing, "type", "text", "emoji", "verbatim")
    if thing["type"] == "mrkdwn":
        return mrkdwn(thing["text"])
    if thing["type"] == "plain_text":
        return html.escape(thing["text"], quote=False).replace("\n", "<br>")
    fail(f"unknown text type {thing['type']}")


def rich(part):
    only(part, "type", "elements", "border")
    inside = []
    for element in part["elements"]:
        only(element, "type", "text", "style", "user_id", "timestamp", "format", "fallback")
        style = element.get("style", {})
        if element["type"] == "text":
            run = html.escape(element["text"], quote=False)
        elif element["type"] == "user":
            run = f'<span class="mention">@{html.escape(PEOPLE.get(element["user_id"], element["user_id"]))}</span>'
        else:
            fail(f"unknown rich text element {element['type']}")
        for name, tag in (("bold", "b"), ("italic", "i"), ("strike", "s"), ("code", "code")):
            if style.get(name):
                run = f"<{tag}>{run}</{tag}>"
        inside.append(run)
    # A break at the end of a part is the end of the part, not an empty line.
    body = "".join(inside)
    body = re.sub(r"\n((?:</\w+>)*)$", r"\1", body)
    tags = {"rich_text_section": "div", "rich_text_quote": "blockquote", "rich_text_preformatted": "pre"}
    if part["type"] not in tags:
        fail(f"unknown rich text part {part['type']}")
    return f"<{tags[part['type']]}>{body}</{tags[part['type']]}>"


def button(element):
    only(element, "type", "action_id", "value", "text", "style", "accessibility_label", "confirm")
    if element["type"] != "button":
        fail(f"unknown element {element['type']} in actions")
    return f'<button class="{element.get("style", "")}">{text(element["text"])}</button>'


def entry(element):
    kind = element["type"]
    if kind == "plain_text_input":
        only(element, "type", "action_id", "multiline", "max_length", "min_length", "focus_on_load", "placeholder", "initial_value")
        shown = html.escape(element.get("initial_value", ""), quote=False)
        if not shown and "placeholder" in element:
            shown = f'<span class="hint">{text(element["placeholder"])}</span>'
        return f'<div class="box{"" if element.get("multiline") else " line"}">{shown}</div>'
    if kind == "radio_buttons":
        only(element, "type", "action_id", "options")
        return "".join(f'<div class="radio"><i></i>{text(option["text"])}</div>' for option in element["options"])
    fail(f"unknown input {kind}")


def block(thing):
    kind = thing["type"]
    if kind == "header":
        only(thing, "type", "block_id", "text")
        return f"<h2>{text(thing['text'])}</h2>"
    if kind == "section":
        only(thing, "type", "block_id", "text", "fields")
        parts = [f"<div>{text(thing['text'])}</div>"] if "text" in thing else []
        if "fields" in thing:
            fields = "".join(f"<div>{text(field)}</div>" for field in thing["fields"])
            parts.append(f'<div class="fields">{fields}</div>')
        return f'<div class="block">{"".join(parts)}</div>'
    if kind == "rich_text":
        only(thing, "type", "block_id", "elements")
        return f'<div class="block rich">{"".join(rich(part) for part in thing["elements"])}</div>'
    if kind == "actions":
        only(thing, "type", "block_id", "elements")
        return f'<div class="block actions">{"".join(button(element) for element in thing["elements"])}</div>'
    if kind == "context":
        only(thing, "type", "block_id", "elements")
        return f'<div class="block context">{"".join(f"<span>{text(element)}</span>" for element in thing["elements"])}</div>'
    if kind == "divider":
        only(thing, "type", "block_id")
        return "<hr>"
    if kind == "input":
        only(thing, "type", "block_id", "label", "element", "hint", "optional")
        label = text(thing["label"]) + (' <span class="optional">(optional)</span>' if thing.get("optional") else "")
        hint = f'<div class="hint">{text(thing["hint"])}</div>' if "hint" in thing else ""
        return f'<div class="block input"><b>{label}</b>{entry(thing["element"])}{hint}</div>'
    fail(f"unknown block {kind}")


def message(body):
    only(body, "channel", "ts", "text", "blocks", "unfurl_links", "unfurl_media", "metadata", "thread_ts")
    blocks = "".join(block(thing) for thing in body["blocks"])
    return (
        '<div class="message"><div class="face">C</div><div>'
        '<div class="sender"><b>Countersign</b><span class="app">APP</span></div>'
        f"{blocks}</div></div>"
    )


def view(body):
    only(body, "type", "callback_id", "private_metadata", "title", "submit", "close", "blocks", "clear_on_close", "notify_on_close", "external_id")
    blocks = "".join(block(thing) for thing in body["blocks"])
    buttons = f"<button>{text(body['close'])}</button>" if "close" in body else ""
    buttons += f'<button class="primary">{text(body["submit"])}</button>' if "submit" in body else ""
    foot = f"<footer>{buttons}</footer>" if buttons else ""
    return f'<div class="view"><header>{text(body["title"])}</header><div class="inside">{blocks}</div>{foot}</div>'


def load(path):
    with open(path, encoding="utf-8") as file:
        content = file.read()
    if path.endswith(".snap"):
        # insta: a header between two lines of three dashes, then the value.
        content = content.split("---\n", 2)[2]
    return json.loads(content)


def main():
    if len(sys.argv) != 2:
        fail("give one file")
    body = load(sys.argv[1])
    modal = body.get("type") == "modal"
    drawn = view(body) if modal else message(body)
    # The title carries the size, for whoever takes the picture.
    size = "<script>const b = document.body; document.title = b.offsetWidth + ',' + Math.ceil(b.getBoundingClientRect().height);</script>"
    frame = 'class="narrow"' if modal else ""
    print(f'<!doctype html><html lang="en"><meta charset="utf-8"><style>{STYLE}</style><body {frame}>{drawn}{size}</body></html>')


main()
