"""The page's half of the log view alone: the test plays the kernel."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pyacq_lab.notebook.panels.logview import LogView

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SET_UP = """async (url) => {
    const { default: widget } = await import(url);
    const state = { level: 0, source: "", contains: "", process: "", exports: [".txt"], height: 200 };
    const listeners = new Map();
    window.sent = [];
    window.model = {
        get: (name) => state[name],
        set: (name, value) => { state[name] = value; },
        save_changes: () => {},
        send: (message) => window.sent.push(message),
        on: (name, f) => listeners.set(name, f),
        off: (name) => listeners.delete(name),
    };
    window.state = state;
    window.listeners = listeners;
    window.row = (i) => [
        i, i, "12:00:00.000", "info", "INFO", "rig/cam MainThread", "", `frame ${i}`, false, false, 0,
    ];
    window.tell = (type, first, stop, { start = 0, version = 0 } = {}) => {
        const rows = [];
        for (let i = first; i < stop; i++) rows.push(window.row(i));
        listeners.get("msg:custom")({ type, version, start, stop: Math.max(stop, window.newest ?? 0), rows });
    };
    window.end = widget.render({ model: window.model, el: document.body });
}"""
QUESTIONS = "() => window.sent.filter((message) => message.type === 'rows')"
IN_SIGHT = (
    """(text) => [...document.querySelectorAll('.pq-row')].some((row) => row.textContent.includes(text))"""
)
FRAME = "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"


@pytest.fixture
def page(browser_context: BrowserContext) -> Iterator[Page]:
    page = browser_context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_content("<body></body>")
    page.add_style_tag(content=LogView._css)
    code = base64.b64encode(str(LogView._esm).encode()).decode()
    page.evaluate(SET_UP, f"data:text/javascript;base64,{code}")
    yield page
    page.close()
    assert complaints == []


def scroll(page: Page, position: int) -> None:
    page.evaluate("(top) => { document.querySelector('.pq-list').scrollTop = top; }", position * 20)
    page.evaluate(FRAME)


def test_one_question_is_under_way_and_then_the_last_one_is_asked(page: Page) -> None:
    page.evaluate("() => { window.newest = 10000; window.tell('tail', 9960, 10000); }")
    page.wait_for_function(IN_SIGHT, arg="frame 9999")
    page.evaluate("() => { const now = Date.now(); Date.now = () => now; }")  # no answer is late
    for position in range(100, 5000, 800):  # as somebody drags the scrollbar
        scroll(page, position)
    (only,) = page.evaluate(QUESTIONS)
    assert only["start"] < 100 < only["stop"]
    page.evaluate("({ start, stop }) => window.tell('rows', start, stop)", only)
    page.wait_for_function(f"() => ({QUESTIONS})().length === 2")
    asked = page.evaluate(QUESTIONS)[-1]
    assert asked["start"] <= 4900 < asked["stop"]
    page.evaluate("({ start, stop }) => window.tell('rows', start, stop)", asked)
    page.wait_for_function(IN_SIGHT, arg="frame 4900")
    assert len(page.evaluate(QUESTIONS)) == 2


def test_a_question_whose_answer_is_lost_is_asked_again(page: Page) -> None:
    page.evaluate("() => { window.newest = 10000; window.tell('tail', 9960, 10000); }")
    scroll(page, 100)
    page.wait_for_function(f"() => ({QUESTIONS})().length === 2")
    first, second = page.evaluate(QUESTIONS)
    assert first == second


def test_a_hidden_tab_keeps_no_more_rows_than_one_in_sight(page: Page) -> None:
    page.evaluate("() => window.tell('tail', 0, 40)")
    page.wait_for_function(IN_SIGHT, arg="frame 39")
    most = page.evaluate(
        """async () => {
        const set = Map.prototype.set;
        let most = 0;
        Map.prototype.set = function (key, value) {
            set.call(this, key, value);
            most = Math.max(most, this.size);
            return this;
        };
        const later = window.requestAnimationFrame;
        const waiting = [];
        window.requestAnimationFrame = (f) => waiting.push(f);  // as in a hidden tab
        for (let i = 40; i < 20000; i += 40) window.tell("tail", i, i + 40);
        window.requestAnimationFrame = later;
        Map.prototype.set = set;
        waiting.forEach((f) => f());
        return most;
    }"""
    )
    assert 40 < most < 5000
    page.wait_for_function(IN_SIGHT, arg="frame 19999")
    assert page.evaluate(QUESTIONS) == []


def test_a_screen_reader_is_told_where_it_is_and_not_of_every_record(page: Page) -> None:
    page.evaluate("() => { window.newest = 10000; window.tell('tail', 9960, 10000); }")
    page.wait_for_function(IN_SIGHT, arg="frame 9999")
    listed = page.get_by_role("listbox")
    listed.focus()
    listed.press("ArrowUp")
    chosen = listed.get_by_role("option", selected=True)
    assert "frame 9999" in chosen.inner_text()
    assert (chosen.get_attribute("aria-posinset"), chosen.get_attribute("aria-setsize")) == ("10000", "10000")
    assert listed.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    aloud = page.get_by_role("status")
    assert aloud.all_inner_texts() == ["10,000 records"]
    page.evaluate("() => { window.newest = 0; window.tell('tail', 10000, 10040); }")
    page.wait_for_function(IN_SIGHT, arg="frame 10039")
    assert aloud.all_inner_texts() == ["10,000 records"]
    page.evaluate("() => window.tell('tail', 0, 3, { version: 1 })")
    assert aloud.all_inner_texts() == ["3 records"]


def test_keys_of_the_list_are_kept_from_the_notebook_and_others_are_not(page: Page) -> None:
    page.evaluate("() => window.tell('tail', 0, 40)")
    page.evaluate(
        """() => {
        window.seen = [];
        document.addEventListener("keydown", (event) => window.seen.push(
            [event.key, event.target.closest("[data-lm-suppress-shortcuts]") !== null]), true);
    }"""
    )
    listed = page.get_by_role("listbox")
    for key in ("ArrowUp", " ", "Control+s", "Shift+Enter", "x", "End"):
        listed.press(key)
    page.get_by_label("text to find").press("End")
    seen = [
        (key, kept) for key, kept in page.evaluate("() => window.seen") if key not in ("Control", "Shift")
    ]
    assert seen == [
        ("ArrowUp", True), (" ", True), ("s", False), ("Enter", False), ("x", False),
        ("End", True), ("End", False),
    ]  # fmt: skip
    page.evaluate("() => window.end()")
    assert page.evaluate("() => window.listeners.size") == 0


@pytest.mark.parametrize("clipboard", ["undefined", "{ writeText: () => Promise.reject(new Error('no')) }"])
def test_a_record_is_copied_where_the_page_has_no_clipboard(page: Page, clipboard: str) -> None:
    page.evaluate(f"() => Object.defineProperty(navigator, 'clipboard', {{ value: {clipboard} }})")
    page.evaluate("() => window.tell('tail', 0, 40)")
    page.locator(".pq-row", has_text="frame 39").click()
    page.evaluate(
        "() => window.listeners.get('msg:custom')({ type: 'record', index: 39,"
        " fields: { message: 'm' }, text: 'all of it\\nand more' })"
    )
    copy = page.locator(".pq-copy")
    copy.click()
    page.locator(".pq-copy", has_text="Copied").wait_for()
    assert copy.evaluate("(button) => document.activeElement === button")
    assert page.locator("textarea").count() == 0
    page.evaluate("() => document.body.append(document.createElement('textarea'))")
    page.locator("textarea").press("Control+v")
    assert page.locator("textarea").input_value() == "all of it\nand more"


def test_a_list_that_had_no_size_for_a_moment_is_drawn_in_full(page: Page) -> None:
    page.evaluate("() => window.tell('tail', 0, 40)")
    page.wait_for_function(IN_SIGHT, arg="frame 39")
    page.evaluate(
        """async () => {
        // As while a theme is changed: no size when it draws, and the same as before when somebody looks.
        requestAnimationFrame(() => { document.body.style.display = "none"; });
        window.tell("tail", 40, 60);
        requestAnimationFrame(() => { document.body.style.display = ""; });
    }"""
    )
    page.wait_for_function(IN_SIGHT, arg="frame 59")
    drawn = page.locator(".pq-row")
    page.wait_for_function("() => document.querySelectorAll('.pq-row').length === 20")
    assert "frame 59" in drawn.last.inner_text()


def test_a_kernel_that_is_gone_is_told_and_what_is_there_stays(page: Page) -> None:
    page.evaluate("() => window.tell('tail', 0, 40)")
    page.wait_for_function(IN_SIGHT, arg="frame 39")
    note = page.locator(".pq-badge", has_text="no answer: the kernel is busy or gone")
    assert not note.is_visible()
    page.locator(".pq-row", has_text="frame 39").click()  # nobody answers
    note.wait_for()
    page.evaluate("() => window.tell('tail', 40, 41)")
    note.wait_for(state="hidden")
    page.evaluate("() => { window.model.send = () => { throw new Error('Cannot send'); }; }")
    page.evaluate("() => window.listeners.get('comm_live_update')()")
    note.wait_for()
    page.locator(".pq-row", has_text="frame 39").click()
    page.get_by_label("text to find").fill("x")
    assert page.evaluate(IN_SIGHT, "frame 39")
    page.evaluate("() => window.end()")
