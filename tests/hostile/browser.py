"""A page opened in headless Chromium by a server that counts what it asks for: which marks it set, and which addresses it called."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LOADED_S = 90
VIRTUAL_MS = 4_000
"""Of the page's own time, which runs as fast as the page has nothing to do."""
OWN_PATHS = {"/page", "/favicon.ico"}
MARK, MARKS = "pwn", 200

# Whatever waits for a reader's hand is set off, too: pointers, keys, and every link that would not simply leave the page.
_PROBE = """
<script>
addEventListener("load", () => setTimeout(() => {
  for (const node of document.querySelectorAll("*")) {
    for (const kind of ["pointerenter", "mouseover", "focus", "toggle", "animationstart", "error", "keydown"])
      try { node.dispatchEvent(new Event(kind)) } catch (e) {}
    if (node.localName === "a" && /^(https?|mailto):$/.test(node.protocol)) continue
    if (node.localName !== "summary") try { node.dispatchEvent(new MouseEvent("click", {bubbles: false, cancelable: true})) } catch (e) {}
  }
  setTimeout(() => {
    const found = []
    for (let number = 0; number < COUNT; number++)
      for (const name of [MARK + number, "NAME" + number]) if (window[name] !== undefined || document[name] !== undefined) found.push(name)
    const verdict = document.createElement("pre")
    verdict.id = "the-verdict"
    const end = !!document.getElementById("the-end")
    verdict.textContent = JSON.stringify({found, end, title: document.title, panes: document.querySelectorAll(".llmspell-pane").length})
    document.documentElement.append(verdict)
  }, 1000)
}, 500))
</script>
""".replace("MARK", repr(MARK)).replace("COUNT", str(MARKS))
_VERDICT = re.compile(r'<pre id="the-verdict">(.*?)</pre>', re.DOTALL)


class Seen(NamedTuple):
    """`marks` are the names that appeared in the page's window, `requests` the paths asked of any host, `panes` those of the live view;
    `whole` = the page's end is there."""

    marks: list[str]
    requests: list[str]
    title: str
    whole: bool
    panes: int


class Site:
    """`hit(n)` is an address whose request is counted."""

    def __init__(self) -> None:
        self.page = b""
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path
                if path not in OWN_PATHS:
                    site.requests.append(f"{self.headers.get('Host', '')}{path}")
                self.send_response(200 if path == "/page" else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(site.page if path == "/page" else b"")

            do_POST = do_HEAD = do_OPTIONS = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def hit(self, number: int) -> str:
        return f"http://127.0.0.1:{self.port}/hit/{number}"

    def open(self, body: str, folder: Path) -> Seen:
        assert CHROMIUM is not None
        head = f'<head><meta charset="utf-8"><title>saved</title>{_PROBE}</head>'
        page = f'<!doctype html><html>{head}<body>{body}<p id="the-end"></p></body></html>'
        self.page, self.requests = page.encode("utf-8", "replace"), []
        options = [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps"),
            # a request to any other machine comes here, too
            f"--host-resolver-rules=MAP * 127.0.0.1:{self.port}",
            f"--user-data-dir={folder / 'profile'}",
            f"--virtual-time-budget={VIRTUAL_MS}",
            "--dump-dom",
        ]
        address = f"http://127.0.0.1:{self.port}/page"
        done = subprocess.run([CHROMIUM, *options, address], capture_output=True, timeout=LOADED_S, cwd=folder)
        found = _VERDICT.search(done.stdout.decode("utf-8", "replace"))
        assert found, f"Chromium gave no verdict: {done.stderr.decode('utf-8', 'replace')[-2000:]}"
        verdict = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        own = [path for path in self.requests if path.startswith((f"127.0.0.1:{self.port}/", "evil", "a.example", "good"))]
        return Seen(verdict["found"], own, verdict["title"], verdict["end"], verdict["panes"])


@contextmanager
def site() -> Iterator[Site]:
    made = Site()
    thread = Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
