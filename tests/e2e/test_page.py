"""The page Order Sync in a real browser and a real Airflow: each view, each role, and the buttons to their end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

from demo import lively
from demo.airflow_api import UI_USER
from tests.e2e.conftest import ROLES, Backfilled
from tests.e2e.runs import Run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# A redrive is a run of Airflow, which may wait behind others.
BUTTON_MS = 240_000
DESTINATION = "yespo_paged"
REJECTED, HELD, NEVER = "007", "msk-2", "nobody-has-it"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if CHROMIUM is None:
        pytest.fail("These tests need a browser: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page_as(browser: Browser, backfilled: Backfilled) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page of Airflow as a user; no page may have an error in its console."""
    contexts, errors = [], []

    def open_as(user: str, *, refused: bool = False, **options: Any) -> Page:
        demo = backfilled.demo
        password = demo.password if user == UI_USER else user
        answer = requests.post(
            f"{demo.url}/auth/token", json={"username": user, "password": password}, timeout=30
        ).json()
        context = browser.new_context(base_url=demo.url, **options)
        contexts.append(context)
        context.add_cookies([{"name": "_token", "value": answer["access_token"], "url": demo.url}])
        page = context.new_page()
        if not refused:  # the browser notes each refusal
            page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert errors == []


def refuse_next(backfilled: Backfilled) -> None:
    """Let the service refuse the order in its next request."""
    fault = {"provider": "yespo", "next": 1, "kind": "refuse_orders", "order_ids": [REJECTED]}
    requests.post(f"{backfilled.demo.sandbox_url}/__admin/faults", json=fault, timeout=30).raise_for_status()


@pytest.fixture(scope="module")
def some_of_each(backfilled: Backfilled) -> str:
    """A destination that has rejected an order and holds another one; return the held batch's run."""
    demo = backfilled.demo
    faults = f"{demo.sandbox_url}/__admin/faults"
    fault = {"provider": "yespo", "next": 1}
    refuse_next(backfilled)
    assert Run.start(demo, DESTINATION, order_ids=[REJECTED]).end_state() == "success"
    requests.post(faults, json={**fault, "kind": "close"}, timeout=30).raise_for_status()
    run = Run.start(demo, DESTINATION, order_ids=[HELD])
    assert run.end_state() == "failed"
    requests.delete(faults, timeout=30).raise_for_status()
    return run.run_id


def views(backfilled: Backfilled, run_id: str) -> dict[str, str]:
    """Return the address of each view, by a text that it shows."""
    drop = next(iter(backfilled.demo.settings.drop.rglob("*.csv")))
    return {
        "By day": "/order-sync/",
        "1 held order": "/order-sync/quarantine",
        "Taken last": "/order-sync/files",
        "Not read": "/order-sync/files?not_read=1",
        "The last backfills": "/order-sync/backfills",
        "what it did": "/order-sync/backfills/1",
        "Each reason why": "/order-sync/reasons",
        "still open": f"/order-sync/file?path={quote(str(drop))}",
        "the service said": f"/order-sync/order/{REJECTED}",
        "never seen": f"/order-sync/order/{NEVER}",
        "read = ": f"/order-sync/run/order_sync_{DESTINATION}/{quote(run_id)}",
    }


@pytest.mark.parametrize(
    "options",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 318, "height": 844}}],
    ids=["light", "dark", "narrow"],
)
def test_each_view_is_readable(page_as, backfilled, some_of_each, options):
    """Each view shows its content, has no serious finding of axe, and is no wider than its window."""
    page = page_as(UI_USER, **options)
    for text, address in views(backfilled, some_of_each).items():
        page.goto(address)
        expect(page.get_by_text(text).first).to_be_visible()
        found = Axe().run(page).response["violations"]
        serious = [
            (each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")
        ]
        assert serious == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), address
        if options.get("viewport"):  # no table of a phone has columns that lie outside
            cut = "[...document.querySelectorAll('table.stack')].some(t => t.scrollWidth > t.parentElement.clientWidth)"
            assert not page.evaluate(cut), address
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(15, 17, 21)") is (options.get("color_scheme") == "dark")


def test_airflows_own_choice_of_colours_wins(page_as, some_of_each):
    """Who has chosen dark in Airflow gets dark, though the browser prefers light."""
    page = page_as("viewer", color_scheme="light")
    page.goto("/order-sync/")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(15, 17, 21)"
    another = page.context.new_page()  # as Airflow around the frame
    another.goto("/order-sync/")
    another.evaluate("localStorage.setItem('theme', 'light')")
    page.wait_for_function(f"{colour} !== 'rgb(15, 17, 21)'")


def test_an_order_is_found_by_keyboard(page_as, some_of_each):
    """The search answers for an accepted, a rejected, a held and an unseen order, and lists ids by their beginning."""
    page = page_as("viewer")
    page.goto("/order-sync/")
    for order_id, state in (("1e5", "accepted"), (REJECTED, "rejected"), (HELD, "held"), (NEVER, "never seen")):
        page.get_by_label("Order id", exact=True).fill(order_id)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=f"Order {order_id}")).to_be_visible()
        expect(page.locator(".pill", has_text=state).first).to_be_visible()
    page.get_by_label("Order id", exact=True).fill("msk")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=HELD).click()
    expect(page.get_by_role("heading", name=f"Order {HELD}")).to_be_visible()


@pytest.mark.parametrize("role", [*ROLES, UI_USER])
def test_each_role_sees_what_it_may(page_as, some_of_each, role):
    """In Airflow's own frame each role sees the overview; buttons and the service's words need the right to redrive."""
    page = page_as(role)
    page.goto("/plugin/order-sync")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Overview")).to_be_visible(timeout=30_000)
    frame.get_by_role("link", name="Quarantine", exact=True).click()
    expect(frame.get_by_text("1 held order").first).to_be_visible()
    may = role != "viewer"
    assert (frame.get_by_role("button", name="accept").count() > 0) is may
    page.goto(f"/order-sync/order/{REJECTED}")
    assert ("The service said" in page.content()) is may


def test_links_leave_the_frame(page_as, backfilled, some_of_each):
    """A link to a run opens in Airflow itself, not in its frame; a task's button leads to the run's page."""
    page = page_as(UI_USER)
    page.goto(f"/plugin/order-sync/order-sync/run/order_sync_{DESTINATION}/{quote(some_of_each)}")
    page.frame_locator("iframe").get_by_role("link", name="Open it in Airflow").click()
    page.wait_for_url(f"**/dags/order_sync_{DESTINATION}/runs/**")
    assert page.locator("iframe").count() == 0
    link = f"/api/v2/dags/order_sync_{DESTINATION}/dagRuns/{some_of_each}/taskInstances/load/links"
    address = backfilled.demo.api.call("GET", link)["extra_links"]["Order Sync"]
    page.goto(f"/{address}")
    expect(page.frame_locator("iframe").get_by_text("read = ")).to_be_visible(timeout=30_000)


def test_nobody_is_sent_to_the_login(browser, backfilled):
    """Without a login a person gets Airflow's login page, and a program a 401."""
    context = browser.new_context(base_url=backfilled.demo.url)
    page = context.new_page()
    page.goto("/order-sync/quarantine")
    assert "/auth/login" in page.url
    context.close()
    assert requests.get(f"{backfilled.demo.url}/order-sync/static/page.css", timeout=30).status_code == 401


def test_a_resend_is_confirmed_by_choice(page_as, some_of_each):
    """Enter, pressed twice on the button that may mail customers again, does nothing."""
    page = page_as(UI_USER)
    page.goto("/order-sync/quarantine")
    page.route("**/dagRuns", lambda route: pytest.fail(f"it was sent: {route.request.post_data}"))
    page.get_by_role("button", name="resend").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_buttons_decide_and_redrive(page_as, backfilled, sandbox, some_of_each):
    """A held batch is accepted and a rejected order redriven, each to its end; the service then has the order."""
    page = page_as(UI_USER)
    page.goto(f"/order-sync/quarantine?destination={DESTINATION}")
    before = sandbox("stats")["yespo"]["requests"]
    batch = page.get_by_role("article").filter(has=page.get_by_role("link", name=HELD))
    batch.get_by_role("button", name="accept").click()
    page.get_by_role("button", name="Do it").click()
    said = f"{DESTINATION}: decided to accept 1 held order. Its run"
    expect(page.get_by_role("status")).to_have_text(said, timeout=BUTTON_MS)
    expect(batch).to_have_count(0)
    assert sandbox("stats")["yespo"]["requests"] == before
    page.goto(f"/order-sync/order/{HELD}")
    expect(page.get_by_text("decided to accept").first).to_be_visible()
    expect(page.get_by_text(f"by {UI_USER}", exact=True)).to_be_visible()
    expect(head(page)).to_have_text("decided to accept")
    page.goto(f"/order-sync/run/order_sync_{DESTINATION}/{quote(some_of_each)}")
    expect(page.get_by_text(f"1 accepted by {UI_USER}")).to_be_visible()

    # Its service says no again: the first run's page still has it.
    refuse_next(backfilled)
    page.goto(f"/order-sync/order/{REJECTED}")
    section = page.locator("section", has=page.get_by_role("heading", name=DESTINATION))
    first = section.locator("li a.id").last.get_attribute("href")
    section.get_by_role("button", name="Redrive").click()
    page.get_by_role("button", name="Do it").click()
    line = page.get_by_role("status").locator("p.bad-edge")
    expect(line).to_contain_text(f"{DESTINATION}: 1 rejected. Its run", timeout=BUTTON_MS)
    expect(section.locator("li").nth(1)).to_be_visible()  # the page is shown anew
    page.wait_for_timeout(1500)  # the line stays
    line.get_by_role("link", name="Its run").click()
    expect(page.get_by_text("none accepted, some rejected")).to_be_visible()
    page.goto(str(first))
    expect(page.get_by_text("redriven again, and rejected again by")).to_be_visible()

    page.goto(f"/order-sync/quarantine?destination={DESTINATION}&order={REJECTED}")
    page.get_by_role("checkbox").check()
    expect(page.get_by_text("1 chosen")).to_be_visible()
    page.get_by_role("button", name="Redrive the chosen").click()
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_role("status")).to_have_text(f"{DESTINATION}: 1 accepted. Its run", timeout=BUTTON_MS)
    page.get_by_role("link", name="Its run").click()
    expect(page.get_by_text("REDRIVE").first).to_be_visible()
    assert sandbox("stats")["yespo"]["requests"] == before + 2
    page.goto(f"/order-sync/order/{REJECTED}")
    expect(head(page)).to_have_text("accepted")
    # Whoever is scheduled on the destination's asset learns of the redrive too.
    params = {"source_dag_id": "order_sync_redrive", "order_by": "-timestamp"}
    newest = backfilled.demo.api.call("GET", "/api/v2/assets/events", params=params)["asset_events"][0]
    assert (newest["uri"].rstrip("/"), newest["extra"]["accepted"]) == (f"order-sync://{DESTINATION}", 1)


def head(page: Page) -> Locator:
    """Return how the order of a page stands at the destination."""
    return page.locator("section", has=page.get_by_role("heading", name=DESTINATION)).locator(".head .pill")


def answered(body: dict[str, Any]) -> Callable[[Route], None]:
    """Return a route that answers with JSON."""
    return lambda route: route.fulfill(json=body)


def test_each_run_that_a_button_starts_has_its_own_line(page_as, some_of_each):
    """Runs of two destinations each have their line with their link, and both stay."""
    page = page_as(UI_USER, refused=True)
    page.goto("/order-sync/quarantine")
    started = iter(("first", "second"))
    page.route("**/dagRuns", lambda route: route.fulfill(json={"dag_run_id": next(started)}))
    page.route("**/dagRuns/*", lambda route: route.fulfill(json={"state": "success"}))
    came = {"first": ("good", "2 accepted"), "second": ("bad", "3 rejected")}
    for run, (tone, sentence) in came.items():
        outcome = {"outcome": {"tone": tone, "sentence": sentence}}
        page.route(f"**/order_sync_redrive/{run}?format=json", answered(outcome))
    boxes = page.locator("input[name=entry]")
    boxes.first.check()
    boxes.nth(1).check()
    boxes.nth(1).evaluate("box => { box.dataset.destination = 'another'; }")
    page.get_by_role("button", name="Redrive the chosen").click()
    page.get_by_role("button", name="Do it").click()
    lines = page.get_by_role("status").locator("p")
    expect(lines.filter(has_text="2 accepted. Its run")).to_have_class("message good-edge")
    expect(lines.filter(has_text="another: 3 rejected. Its run")).to_have_class("message bad-edge")
    expect(lines).to_have_count(2)
    assert {link.get_attribute("href").rsplit("/", 1)[-1] for link in lines.get_by_role("link").all()} == {*came}


def test_a_code_leads_to_its_marked_row(page_as, some_of_each):
    """The row of a reason that a link leads to is told from the others."""
    page = page_as("viewer")
    page.goto("/order-sync/reasons#OS-128")
    colour = "row => getComputedStyle(row.querySelector('td')).backgroundColor"
    assert page.locator("#OS-128").evaluate(colour) != page.locator("#OS-129").evaluate(colour)


def test_a_backfill_has_its_sum(page_as, backfilled):
    """Each backfill of the demo is listed with what its runs have done together."""
    page = page_as("viewer")
    answer = page.goto("/order-sync/backfills?format=json")
    found = {each["destination"]: each for each in answer.json()["backfills"]}
    for name, figures in backfilled.figures.items():
        assert found[name]["accepted"] == figures["accepted"]
        assert found[name]["ended"] == found[name]["runs"] > 1


def test_a_refusal_of_airflow_is_shown(page_as, some_of_each):
    """What Airflow's API refuses is told on the page, and nothing is done."""
    page = page_as(UI_USER, refused=True)
    page.goto("/order-sync/quarantine")
    page.route("**/dagRuns", lambda route: route.fulfill(status=403, json={"detail": "Forbidden"}))
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Dismiss the chosen").click()
    page.get_by_label("Note").fill("a test order")
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_role("status")).to_contain_text(": Airflow refuses (403). Forbidden")


def test_the_demo_holds_a_batch_on_purpose(page_as, backfilled):
    """`make run` leaves a batch for its user to decide, and says so."""
    message = lively.hold_a_batch(backfilled.demo)
    assert message.startswith(f"{lively.HELD_ORDERS} orders of ")
    page = page_as(UI_USER)
    page.goto("/order-sync/")
    expect(page.get_by_role("link", name=f"{lively.HELD_ORDERS} orders wait for your decision")).to_be_visible()
