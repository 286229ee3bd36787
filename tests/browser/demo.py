"""Clicks through a running demo with Chromium, as people do, and takes the pictures of the documentation on the way.

    demo.py web URL FOLDER      the page of `countersign demo`
    demo.py slack URL FOLDER    the Slack in memory of `countersign demo --slack`

Every wait is for something to be seen, and ends. A page that is wider than its window, or whose script fails, is a failure.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, TimeoutError, expect, sync_playwright

PATIENCE = 20_000
DESK = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
failures: list[str] = []


def fits(page: Page) -> None:
    """Nothing sticks out to the right."""
    wide = page.evaluate(
        "() => [...document.querySelectorAll('body *')].filter((one) => one.checkVisibility({visibilityProperty: true})"
        " && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.tagName + '.' + one.className)"
    )
    assert not wide, f"wider than the window: {wide[:5]}"


class Pictures:
    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def take(self, page: Page, name: str, of: str | None = None) -> None:
        fits(page)
        # Whatever moves or blinks has come to rest.
        page.evaluate("() => Promise.all(document.getAnimations().map((one) => one.finished))")
        clip = None
        if of:
            page.locator(of).last.scroll_into_view_if_needed()
            box = page.locator(of).last.bounding_box()
            clip = {"x": box["x"] - 16, "y": box["y"] - 12, "width": min(box["width"], 760) + 32, "height": box["height"] + 24}
        page.screenshot(path=self.folder / f"{name}.png", caret="hide", animations="disabled", clip=clip)


def button(scope, name: str):
    return scope.get_by_role("button", name=re.compile(name))


# ---------------------------------------------------------------- the page of the demo


def web(page: Page, url: str, pictures: Pictures) -> None:
    page.goto(url)
    card = page.locator("article.card").first

    def become(name: str) -> None:
        page.locator(".person", has_text=name).click()
        expect(page.locator(".person[aria-pressed=true]")).to_contain_text(name)

    def waits(action: str) -> None:
        """The page looks again by itself while nothing is waiting."""
        expect(card.locator("h3")).to_contain_text(action, timeout=30_000)

    become("Bob")
    waits("db.export")
    pictures.take(page, "demo-pending")
    page.set_viewport_size({"width": 390, "height": 1240})
    pictures.take(page, "demo-pending-phone")
    page.set_viewport_size(DESK)

    become("Alice")
    button(card, "^Approve").click()
    expect(page.get_by_role("status")).to_contain_text("Not done.")
    become("Bob")
    card.locator("summary", has_text="Comment").click()
    card.get_by_label("Shown on the card").fill("Is the bucket private?")
    button(card, "Add the comment").click()
    expect(card.locator(".reviews")).to_contain_text("Is the bucket private?")
    button(card, "^Approve").click()
    expect(page.locator(".decided").first).to_contain_text("Approved by Bob")

    waits("iam.attach")
    button(card, "^Approve").click()
    expect(card).to_contain_text("1 of 2 approved")
    become("Carol")
    button(card, "^Approve").click()
    expect(page.locator("article.card", has_text="iam.attach").first).to_contain_text("Approved by Bob and Carol")

    waits("credential.rotate")
    card.locator("summary", has_text="Deny").click()
    card.get_by_label("What should the agent do instead?").fill("Rotate it after the release.")
    button(card, "^Deny credential").click()
    denied = page.locator("article.card", has_text="credential.rotate").filter(has_text="Denied by Carol").first
    expect(denied).to_contain_text("Rotate it after the release.")
    pictures.take(page, "demo-decided")


# ---------------------------------------------------------------- the Slack in memory


def slack(page: Page, url: str, pictures: Pictures) -> None:
    page.goto(url)
    dialog = page.locator("#modal[open]")

    def become(name: str) -> None:
        page.get_by_role("radio", name=name).click()
        expect(page.get_by_role("radio", checked=True)).to_contain_text(name)

    def enter(channel: str) -> None:
        page.locator(".room", has_text=channel).click()
        expect(page.locator("#name")).to_contain_text(channel)

    def card(action: str):
        return page.locator(".message:not(.private)", has=page.locator("h3", has_text=action)).first

    def opens(tapped) -> None:
        """Slack gives three seconds to open a dialog; a machine under load may need another tap, as a person may."""
        for _ in range(3):
            tapped.click(timeout=30_000)
            try:
                return dialog.wait_for(timeout=6_000)
            except TimeoutError:
                continue
        raise AssertionError("no dialog opened")

    become("Bob")
    export = card("db.export")
    expect(button(export, "^Approve")).to_be_visible()
    pictures.take(page, "slack-pending")
    page.set_viewport_size(PHONE)
    pictures.take(page, "slack-phone")
    page.set_viewport_size(DESK)

    # Whoever owns the agent is refused, privately.
    become("Alice")
    button(export, "^Approve").click()
    whisper = page.locator(".private")
    expect(whisper).to_contain_text("Only visible to you")
    expect(whisper).to_contain_text("cannot approve")
    pictures.take(page, "slack-private")
    become("Bob")
    expect(whisper).to_have_count(0)

    # The dialogs; going back decides nothing.
    opens(button(export, "^Show everything"))
    expect(dialog.locator("h2")).to_have_text("Details")
    pictures.take(page, "slack-details")
    button(dialog, "^Close$").last.click()
    expect(dialog).to_have_count(0)
    opens(button(export, "^Deny"))
    dialog.get_by_text("Use staging instead").click()
    dialog.get_by_role("textbox").fill("The staging export has the same rows.")
    pictures.take(page, "slack-deny")
    page.set_viewport_size(PHONE)
    fits(page)
    page.set_viewport_size(DESK)
    dialog.get_by_role("button", name="Back").last.click()
    expect(dialog).to_have_count(0)
    button(export, "^Approve").click()
    expect(export).to_contain_text("used once", timeout=30_000)
    expect(export).to_contain_text("succeeded", timeout=30_000)
    expect(button(export, "^Approve")).to_have_count(0)

    # Two people, the second one with a comment.
    enter("approvals-security")
    attach = card("iam.attach")
    button(attach, "^Approve").click()
    expect(attach).to_contain_text("1 of 2 approved")
    pictures.take(page, "slack-one-of-two")
    become("Carol")
    opens(button(attach, "^Show everything"))
    dialog.get_by_role("textbox").fill("Only until the job is split.")
    button(dialog, "^Approve$").click()
    expect(attach).to_contain_text("Approved by", timeout=30_000)
    expect(attach).to_contain_text("Only until the job is split.")
    expect(attach).to_contain_text("succeeded", timeout=30_000)
    pictures.take(page, "slack-approved", ".message:has-text('iam.attach')")

    # Denied with a sentence.
    rotate = card("credential.rotate")
    opens(button(rotate, "^Deny"))
    dialog.get_by_role("textbox").fill("Rotate it after the release.")
    button(dialog, "^Deny$").click()
    expect(rotate).to_contain_text("Denied by")
    expect(rotate).to_contain_text("Rotate it after the release.")
    pictures.take(page, "slack-denied", ".message:has-text('credential.rotate')")
    page.set_viewport_size(PHONE)
    fits(page)
    page.set_viewport_size(DESK)

    # Changed by a reviewer: first shown, then approved.
    become("Bob")
    enter("approvals-data")
    export = page.locator(".message:not(.private)", has=page.get_by_role("button", name="Change the parameters of db.export"))
    opens(button(export, "^Change the parameters"))
    rows = dialog.get_by_label("rows")
    rows.fill("many")
    button(dialog, "^Show changes$").click()
    expect(dialog.locator(".bad .wrong")).to_have_text("A number is needed.")
    rows.fill("999999")
    button(dialog, "^Show changes$").click()
    expect(dialog.locator(".bad .wrong")).to_contain_text("120000")
    rows.fill("5000")
    button(dialog, "^Show changes$").click()
    expect(dialog).to_contain_text("Your changes")
    pictures.take(page, "slack-edit")
    page.set_viewport_size(PHONE)
    fits(page)
    page.set_viewport_size(DESK)
    button(dialog, "^Approve with changes$").click()
    expect(dialog).to_have_count(0)
    edited = page.locator(".message:not(.private)", has_text="Edited by a reviewer").last
    expect(edited).to_contain_text("succeeded", timeout=30_000)
    pictures.take(page, "slack-edited", ".message:has-text('Edited by a reviewer')")

    # The slash command answers one person; the app's own page shows what waits for them.
    page.locator("#command").fill("/countersign help")
    button(page.locator("#composer"), "Send").click()
    expect(whisper).to_contain_text("/countersign")
    enter("approvals-security")
    expect(page.get_by_role("button", name="Approve iam.attach")).to_be_visible(timeout=30_000)
    page.locator("[data-room=home]").click()
    expect(page.locator(".home")).to_contain_text("iam.attach")
    pictures.take(page, "slack-home")
    page.set_viewport_size(PHONE)
    fits(page)


def main() -> None:
    story, url, folder = sys.argv[1:]
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        sys.exit("Chromium is not found; install Debian's package chromium, or let CHROMIUM name the program")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start for root.
        sandbox = os.geteuid() != 0
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=sandbox, args=["--disable-gpu", "--disable-dev-shm-usage"])
        context = browser.new_context(viewport=DESK, locale="en-GB", timezone_id="Europe/Berlin", color_scheme="light")
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda said: failures.append(said.text) if said.type == "error" else None)
        try:
            {"web": web, "slack": slack}[story](page, url, Pictures(folder))
        except Exception:
            page.screenshot(path=Path(folder) / "failed.png")
            raise
        finally:
            browser.close()
    assert not failures, failures
    print(f"{story}: clicked through")


main()
