"""The chat page: what is served, and what a person sees and does in a real browser."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from pathlib import Path

from runtime.contract.version import Method
from runtime.knowledge.base import KnowledgeBase
from tests.needs import needs
from tests.runtime.knowledge.embedder import BagOfWords
from tests.runtime.replica.harness import PREFIX, TOKEN, running, until
from tests.runtime.web.browser import CHROMIUM, browser

in_browser = needs("Chromium", CHROMIUM is not None)

MARKDOWN = """## Ottawa

The **capital** is *Ottawa*, `Ottawa River`, <https://example.org/a_b?x=1>.

1. first
2. second
   - nested

| City | People |
|---|---|
| Ottawa | 1 |

```python
print("<b>")
```

<img src=x onerror=alert(1)> [bad](javascript:alert(1)) <script>alert(1)</script>
"""
DONE = "document.querySelectorAll('.assistant:not(.busy)').length === {} && !document.querySelector('.busy')"


async def test_3_1_the_page_is_served_at_the_root_without_a_token_and_nothing_in_it_may_run_but_its_own(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, webui=True) as replica:
        answer = await replica.ask(path=PREFIX, Authorization="")
        head = await replica.ask(path=PREFIX, method="HEAD", Authorization="")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert head.headers["Content-Length"] == str(len(answer.body))
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = answer.body.decode()
    for name in ("script", "style"):
        (inside,) = re.findall(rf"<{name}[^>]*>(.*?)</{name}>", page, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode() in policy
    assert "{{" not in page
    assert TOKEN not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "nothing is fetched from elsewhere"


async def test_without_webui_the_root_is_a_short_status(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        assert (await replica.ask(path=PREFIX)).json()["status"] == "ready"


@in_browser
async def test_a_person_chats_with_history_and_settings_and_the_token_is_asked_once(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": MARKDOWN}, webui=True) as replica, browser(tmp_path) as tab:
        await tab.open(replica.url)
        await tab.type("#prompt", "first question")
        await tab.press("Enter", 13)
        await tab.until("document.getElementById('ask-token').open")
        await tab.type("#token", "wrong")
        await tab.press("Enter", 13, text="\r")
        await tab.until("!document.getElementById('token-error').hidden && document.getElementById('ask-token').open")
        await tab.type("#token", TOKEN)
        await tab.press("Enter", 13, text="\r")
        await tab.until(DONE.format(1))
        shown = await tab.js("document.querySelector('.assistant .text').innerHTML")
        for part in ("<h2>Ottawa</h2>", "<strong>capital</strong>", "<em>Ottawa</em>", "<code>Ottawa River</code>",
                     'rel="noopener noreferrer">https://example.org/a_b?x=1</a>', "<li>nested</li>", "<td>Ottawa</td>",
                     "print(\"&lt;b&gt;\")", "&lt;img src=x", "&lt;script&gt;"):  # fmt: skip
            assert part in shown
        assert (
            await tab.js("document.querySelectorAll('.text img, .text script, .text [href^=javascript]').length") == 0
        )
        assert re.search(r"\d+ tokens in", await tab.js("document.querySelector('.assistant .tools').textContent"))

        await tab.js("document.querySelector('[name=system_prompt]').value = 'be brief'")
        await tab.js("document.querySelector('[name=max_new_tokens]').value = '1'")
        await tab.js("document.getElementById('settings').dispatchEvent(new Event('input'))")
        await tab.type("#prompt", "second question")
        await tab.click("#send")
        await tab.until(DONE.format(2))
        assert await tab.js("[...document.querySelectorAll('.assistant .text')].at(-1).textContent") == "##"
        history = json.loads(await tab.js("sessionStorage.getItem('inferform.dialogue.demo')"))
        assert [question for question, _ in history] == ["first question", "second question"]
        assert history[1][1] == "##"

        assert await tab.js("location.href") == replica.url
        assert await tab.js("JSON.stringify(localStorage)") == "{}"
        await tab.open(replica.url)
        assert await tab.js("document.querySelectorAll('#turns > li').length") == 4
        await tab.click("#new")
        assert await tab.js("document.querySelectorAll('#turns > li').length") == 0
        assert tab.complaints == []


@in_browser
async def test_a_person_stops_an_answer_and_its_place_is_free_at_once(tmp_path: Path) -> None:
    async with running(
        tmp_path, {"text": "one two three", "tokensPerSecond": 0.02}, auth="none", webui=True
    ) as replica:
        async with browser(tmp_path) as tab:
            await tab.open(replica.url)
            await tab.type("#prompt", "Q")
            await tab.press("Enter", 13)
            await tab.until("document.querySelector('.assistant .text')?.textContent === 'one'")
            assert await tab.js("document.getElementById('send').hidden && !document.getElementById('stop').hidden")
            await tab.press("Escape", 27)
            await tab.until("document.querySelector('.assistant .tools').textContent.includes('Stopped')")
            await until(lambda: replica.replica.load().running == 0)
            assert tab.complaints == []


@in_browser
async def test_an_error_is_shown_with_a_way_on_and_the_page_fits_a_phone_in_the_dark(tmp_path: Path) -> None:
    async with (
        running(tmp_path, template={"context": 8}, method=Method.BLADELLM, auth="none", webui=True) as replica,
        browser(tmp_path) as tab,
    ):
        await tab.open(replica.url, width=360, height=640, dark=True, phone=True)
        assert await tab.js("document.documentElement.dataset.theme") == "dark"
        assert not await tab.js("document.getElementById('extension').hidden")  # EAS has no page on this method
        await tab.type("#prompt", "a b c d e f g h i")
        await tab.click("#send")
        await tab.until(DONE.format(1))
        tools = await tab.js("document.querySelector('.assistant .tools').textContent")
        assert "10 tokens" in tools
        assert "Try again" in tools
        await tab.click("#open-panel")
        for width in ("document.documentElement.scrollWidth", "document.getElementById('panel').scrollWidth"):
            assert await tab.js(width) <= 360
        await tab.click("#theme")
        assert await tab.js("document.documentElement.dataset.theme") == "light"
        assert tab.complaints == []


@in_browser
async def test_5_the_browsers_own_websocket_speaks_with_the_token_as_a_sub_protocol(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b"}, webui=True) as replica, browser(tmp_path) as tab:
        await tab.open(replica.url)
        offered = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
        async with asyncio.timeout(20):
            frames = await tab.js(f"""new Promise((resolve, reject) => {{
                const offered = ['inferform.chat', 'inferform.token.{offered}'];
                const socket = new WebSocket(location.href.replace('http', 'ws'), offered);
                const frames = [];
                socket.onopen = () => {{ frames.push(socket.protocol); socket.send(JSON.stringify({{prompt: 'Q'}})); }};
                socket.onmessage = ({{ data }}) => {{ frames.push(data); if (data === '<EOS>') socket.close(1000); }};
                socket.onclose = (event) => {{ frames.push(event.code); resolve(frames); }};
                socket.onerror = () => reject(new Error('refused'));
            }})""")
        assert frames == ["inferform.chat", "a", "a b", "<EOS>", 1000]
        assert tab.complaints == []


@in_browser
async def test_6_a_person_uploads_asks_from_and_removes_a_document(tmp_path: Path) -> None:
    (tmp_path / "canada.md").write_text("The capital of Canada is Ottawa.")
    (tmp_path / "broken.pdf").write_text("no pdf")
    async with running(tmp_path, {"text": "Ottawa"}, webui=True) as replica, browser(tmp_path) as tab:
        replica.replica.knowledge = KnowledgeBase(tmp_path / "data", BagOfWords())
        await tab.open(replica.url)
        await tab.js(f"sessionStorage.setItem('inferform.token.demo', '{TOKEN}')")
        await tab.click("#open-panel")
        await tab.click("#tab-knowledge")
        await tab.until("document.getElementById('documents').textContent === 'No documents yet.'")
        root = (await tab.send("DOM.getDocument"))["root"]["nodeId"]
        picker = (await tab.send("DOM.querySelector", nodeId=root, selector="#file"))["nodeId"]
        files = [str(tmp_path / "canada.md"), str(tmp_path / "broken.pdf")]
        await tab.send("DOM.setFileInputFiles", nodeId=picker, files=files)
        await tab.until("document.getElementById('documents').textContent.includes('1 passages, uploaded')")
        assert "broken.pdf is broken" in await tab.js("document.getElementById('uploads').textContent")
        await tab.js("document.querySelector('[name=langchain]').click()")
        await tab.type("#prompt", "What is the capital of Canada?")
        await tab.click("#send")
        await tab.until(DONE.format(1))
        assert "canada.md" in await tab.until("document.querySelector('.sources')?.textContent")
        await tab.click("#documents button")
        await tab.until("document.getElementById('documents').textContent === 'No documents yet.'")
        assert tab.complaints == []
