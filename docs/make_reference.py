"""Writes docs/bridges.md, the reference of what scripts can call, from the bridges' own signatures and docstrings."""

from __future__ import annotations

from pathlib import Path

from llmspell_kernel.bridges._catalogue import reference_markdown
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges._registry import built_in
from llmspell_kernel.policy.limits import PRESETS, MiB

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
environment, `import`, `io`, `os.execute`, `debug`.
"""


def limits() -> str:
    """The default limits, from the one place that holds them."""
    found = PRESETS["standard"]
    return (
        f"A cell may use {found.script_time_s:g} s of script time (waiting does not count) and {found.total_time_s / 60:g} min in all, "
        f"{found.output_bytes // MiB} MB of output and {found.effects:,} calls; a state {found.memory_bytes // MiB} MB of memory and "
        f"{found.resources:,} streams at a time; one value at most {found.value_bytes // MiB} MB.\n"
    )


def page() -> str:
    return reference_markdown(declare(bridge) for bridge in built_in().values()) + "\n" + LANGUAGES + "\n" + limits()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
