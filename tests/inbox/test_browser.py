"""The inbox in a real browser: live, by keyboard, without scripts, and against other sites."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from inbox.axe import axe_source
from inbox.visitor import PATIENCE_SECONDS, one_time_address, send
from support.daemon import DaemonProcess

MILLISECONDS = PATIENCE_SECONDS * 1000
PAGES = (
    "/",
    "/?find=nobody-has-this",
    "/inbox/mailbox?name=seen-1",
    "/inbox/mailbox?name=user",
    "/inbox/search",
    "/inbox/search?q=hello",
    "/inbox/search?q=nowhere-to-be-found",
    "/inbox/write",
    "/inbox/write?to=%40seen",
    "/inbox/groups",
    "/inbox/group?name=%40seen",
    "/inbox/held",
    "/inbox/message?id=999999",
)


def test_a_new_message_appears_by_itself(page: Any, daemon: DaemonProcess) -> None:
    """And its delivery, too; the keyboard's place stays."""
    number = send(daemon, "live-a", "live-b", "first")
    page.wait_for_selector(f'#stream a[href="/inbox/message?id={number}"]', timeout=MILLISECONDS)
    page.focus(f'a.when[href="/inbox/message?id={number}"]')

    second = send(daemon, "live-a", "live-b", "second")

    page.wait_for_selector(f'#stream a[href="/inbox/message?id={second}"]', timeout=MILLISECONDS)
    assert page.evaluate("document.activeElement.getAttribute('href')").endswith(f"id={number}")


def test_a_page_catches_up_when_it_is_looked_at_again(page: Any, daemon: DaemonProcess) -> None:
    """After a sleep of the machine or of the tab, in which no events came."""
    page.route("**/inbox/events*", lambda route: route.fulfill(status=204))
    page.goto(f"{daemon.url}/")
    page.wait_for_selector("#connection:visible", timeout=MILLISECONDS)
    number = send(daemon, "awake-a", "awake-b", "sent while you slept")
    assert not page.locator(f"#m{number}").count()

    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    page.wait_for_selector(f"#stream #m{number}", timeout=MILLISECONDS)


@pytest.mark.parametrize("is_scrolled", [True, False], ids=["scrolled", "pointer"])
def test_news_move_nothing_that_is_being_looked_at(
    page: Any, daemon: DaemonProcess, is_scrolled: bool
) -> None:
    """Neither what is read further down, nor what the pointer is on."""
    for number in range(40):
        send(daemon, "calm-a", "calm-b", f"message {number}")
    page.goto(f"{daemon.url}/")
    place = "document.querySelector(`#stream #m${id}`).getBoundingClientRect().top"
    items = page.locator("#stream [data-item]")
    if is_scrolled:
        page.evaluate("scrollTo(0, 900)")
        item = page.evaluate(
            "[...document.querySelectorAll('#stream [data-item]')]"
            ".find((each) => each.getBoundingClientRect().top > 100).id"
        )
    else:
        items.nth(2).hover()
        item = items.nth(2).get_attribute("id")
    script = f"(() => {{ const id = '{item[1:]}'; return {place}; }})()"
    before = page.evaluate(script)

    number = send(daemon, "calm-a", "calm-b", "a tall one\n" * 5)

    page.wait_for_selector(f"#stream #m{number}", state="attached", timeout=MILLISECONDS)
    assert abs(page.evaluate(script) - before) < 2


def test_new_mail_stays_marked_when_the_page_brings_itself_up_to_date(
    page: Any, daemon: DaemonProcess
) -> None:
    """Though it counts as read from then on."""
    first = send(daemon, "marks", "user", "the first")
    page.goto(f"{daemon.url}/inbox/mailbox?name=user")
    page.wait_for_selector(f"#m{first} .new:visible")
    second = send(daemon, "marks", "user", "the second")
    page.wait_for_selector(f"#m{second}", timeout=MILLISECONDS)
    assert page.is_visible(f"#m{first} .new")
    page.goto(f"{daemon.url}/inbox/mailbox?name=user")
    assert not page.is_visible(f"#m{first} .new")


def test_a_page_catches_up_after_a_restart(chromium: Any) -> None:
    """It says that the daemon is away, and shows what came when it is back."""
    with DaemonProcess() as daemon:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(one_time_address(daemon))
        page.wait_for_url(f"{daemon.url}/")
        page.wait_for_selector("text=No message has been sent yet")
        daemon.stop()
        page.wait_for_selector("#connection:visible", timeout=MILLISECONDS)
        daemon.restart(same_port=True)
        send(daemon, "a", "b", "sent while you were away")

        page.wait_for_selector("text=sent while you were away", timeout=MILLISECONDS)
        page.wait_for_selector("#connection", state="hidden", timeout=MILLISECONDS)
        context.close()


def test_keys_move_open_search_and_write(page: Any, daemon: DaemonProcess) -> None:
    """j and k go through the messages, Enter opens one, / searches, r writes, ? helps."""
    one, two = (send(daemon, "keys-a", "keys-b", text) for text in ("one", "two"))
    page.goto(f"{daemon.url}/inbox/mailbox?name=keys-b")

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{daemon.url}/inbox/message?id={one}")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("r?j")
    assert page.input_value("header input") == "r?j"
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.wait_for_url(f"{daemon.url}/inbox/write?to=*")
    assert one < two


def test_a_form_sends_and_the_page_shows_what_became_of_it(
    page: Any, daemon: DaemonProcess
) -> None:
    """A form sends, and the page shows the message's way."""
    page.goto(f"{daemon.url}/inbox/write?to=written-to")
    page.fill("textarea", "from the browser")
    page.click("text=Send")

    page.wait_for_selector("text=Waits to be delivered")
    assert page.inner_text(".body") == "from the browser"


def test_everything_works_without_scripts(chromium: Any, daemon: DaemonProcess) -> None:
    """Entering, reading, searching, writing."""
    send(daemon, "plain-a", "plain-b", "hello without scripts")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(one_time_address(daemon))
    page.wait_for_url(f"{daemon.url}/")
    page.click("text=plain-b")
    assert "hello without scripts" in page.inner_text(".messages")
    page.fill("header input", "scripts")
    page.press("header input", "Enter")
    assert page.inner_text("mark") == "scripts"
    page.click("text=Write")
    page.fill("input[name=to]", "plain-b")
    page.fill("textarea", "written without scripts")
    page.click("text=Send")
    assert "written without scripts" in page.inner_text(".body")
    context.close()


def test_a_message_stays_text(page: Any, daemon: DaemonProcess) -> None:
    """No script runs, nothing is loaded, and a megabyte is no trouble."""
    body = (
        "<script>document.title = 'taken'</script><img src=/x onerror=\"document.title='taken'\">"
        "\u202eolleh <iframe src=http://127.0.0.1:1></iframe> "
    )
    send(daemon, "harm-a", "harm-b", body + "z" * 1_000_000)
    name = "harm-<b>x".replace("<", "-").replace(">", "-")
    send(daemon, name, "harm-b", body)
    page.goto(f"{daemon.url}/inbox/mailbox?name=harm-b")

    assert page.locator("main script, main img, main iframe").count() == 0
    assert "<script>" in page.inner_text(".messages")
    assert "taken" not in page.title()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@contextmanager
def other_site(content: str) -> Iterator[str]:
    """Serve a page at another port, as anybody on this machine could."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield str(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_pages_of_other_sites_cannot_use_the_inbox(
    page: Any, daemon: DaemonProcess, host: str
) -> None:
    """Neither send a form, nor read a page, nor follow events, nor put it into a frame."""
    content = f"""
        <form method=post action="{daemon.url}/inbox/write" target=frame>
          <input name=to value=victim-{host}><input name=body value=forged><input name=token value=x>
        </form>
        <iframe name=frame src="{daemon.url}/"></iframe>
        <script>
          const results = {{}};
          async function attack() {{
            for (const [name, request] of Object.entries({{
              read: () => fetch("{daemon.url}/", {{ credentials: "include" }}),
              send: () => fetch("{daemon.url}/v1/send", {{
                method: "POST", mode: "no-cors", body: '{{"to": "victim-{host}", "body": "forged"}}',
                headers: {{ "Content-Type": "text/plain" }},
              }}).then((response) => {{ if (response.type === "opaque") throw "opaque"; }}),
            }})) results[name] = await request().then(() => "done", () => "refused");
            results.events = await new Promise((resolve) => {{
              const events = new EventSource("{daemon.url}/inbox/events", {{ withCredentials: true }});
              events.onopen = () => resolve("done");
              events.onerror = () => resolve("refused");
            }});
            document.forms[0].submit();
            document.title = "attacked";
          }}
          onload = attack;
        </script>"""
    attacker = page.context.new_page()
    with other_site(content) as port:
        attacker.goto(f"http://{host}:{port}/")
        attacker.wait_for_function("document.title === 'attacked'", timeout=MILLISECONDS)
        results = attacker.evaluate("results")
        attacker.wait_for_load_state("networkidle")
        texts = [frame.evaluate("document.body.innerText") for frame in attacker.frames[1:]]
    attacker.close()

    assert results == {"read": "refused", "send": "refused", "events": "refused"}
    assert not any("Who is here" in text or "Message" in text for text in texts)
    page.goto(f"{daemon.url}/")
    assert f"victim-{host}" not in page.content()


@pytest.fixture(scope="module")
def seen() -> Iterator[DaemonProcess]:
    """A daemon with something on every page: a group, a question, held and hidden things."""
    with DaemonProcess({"guardAfter": 1, "holdAfter": 2}) as process:
        with httpx.Client(base_url=process.url, timeout=PATIENCE_SECONDS) as client:
            for name, state in (("seen-1", "waiting"), ("seen-2", "working")):
                session = {"sessionId": f"{name}-id", "name": name}
                client.post("/v1/session", json=session).raise_for_status()
                event = {"sessionId": f"{name}-id", "state": state, "project": "seen"}
                client.post("/v1/session/event", json=event).raise_for_status()
        send(process, "seen-1", "seen-2", "hello \u202e there", ask=3600)
        send(process, "seen-2", "seen-1", "hello", replyTo=1)
        send(process, "seen-1", "user", "hello you", ask=3600)
        send(process, "peer", "@seen", "hello all", urgency="high")
        yield process


SIZES = ((1280, 800), (360, 740))
# Contrast is all that depends on the colours.
ALL_RULES, CONTRAST = "{}", '{runOnly: ["color-contrast"]}'


def test_pages_are_accessible(chromium: Any, seen: DaemonProcess) -> None:
    """As far as axe-core can tell: no violation on any page, and nothing wider than the screen."""
    source = axe_source()
    if source is None:
        pytest.skip("axe-core cannot be fetched: npm is missing, or has no registry")
    # Otherwise a change of the colours takes its time.
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    found = []

    def look(path: str) -> None:
        page.evaluate(source)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            for scheme, rules in (("light", ALL_RULES), ("dark", CONTRAST)):
                page.emulate_media(color_scheme=scheme)
                violations = page.evaluate(
                    f"axe.run({rules}).then(({{ violations }}) => violations.flatMap("
                    "({ id, nodes }) => nodes.map(({ html }) => [id, html])))"
                )
                found.extend((path, width, scheme, *violation) for violation in violations)

    page.goto(f"{seen.url}/")
    look("without a cookie")
    page.goto(one_time_address(seen))
    page.wait_for_url(f"{seen.url}/")
    for path in (
        *PAGES,
        *(f"/inbox/{kind}?id={number}" for kind in ("message", "thread") for number in (1, 2, 3)),
    ):
        page.goto(seen.url + path)
        look(path)
    page.keyboard.press("?")
    look("the help")
    context.close()

    assert found == []
