"""Writes docs/bridges.md, the reference of what scripts can call, from the bridges' own signatures and docstrings."""

from __future__ import annotations

from pathlib import Path

from llmspell_kernel.bridges._catalogue import reference_markdown
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges._registry import built_in

PAGE = Path(__file__).parent / "bridges.md"

LANGUAGES = """\
## Beside the bridges

| | Lua | JavaScript |
|---|---|---|
| print | `print(...)`, `eprint(...)` to stderr | `console.log/info/debug`, `console.warn/error` to stderr, `print` |
| wait | `sleep(seconds)` | `await sleep(seconds)` |
| at the same time | `async.all{f, g}`, `async.map(list, f, {concurrency = 8})`, `async.spawn(f)` -> `task:await()`, `task:cancel()` | `Promise.all` and its like |
| loop over a stream | `for chunk in llm.stream(p) do ... end` | `for await (const chunk of llm.stream(p)) ...` |
| JSON | `json.encode(value)`, `json.decode(text)` | `JSON` |
| nothing | `nil`; inside lists `null` | `null`, `undefined` |
| empty list, empty object | `array{}`, `object{}` (a bare `{}` is what the called method wants, else an object) | `[]`, `{}` |
| parameters of `llmspell run -p` | `params.NAME` | `params.NAME` |

Options may be written in `snake_case` in both languages, and in `camelCase` too (`maxTokens`). Not there, on purpose: files, processes, the
environment, `require`/`import`, `io`, `os.execute`, `debug`, `setTimeout` (use `sleep`).

A cell may use, unless a policy says otherwise, 20 s of script time (waiting does not count) and 15 min in all, 128 MB, 5 MB of output and
10,000 calls.
"""


def page() -> str:
    return reference_markdown(declare(bridge) for bridge in built_in().values()) + "\n" + LANGUAGES


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
