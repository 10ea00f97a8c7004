"""Pages that mean harm to whoever reads their text: each ends in time, in a process that is not the host's."""

from __future__ import annotations

import asyncio
import os
import time

import psutil
import pytest

from llmspell_kernel.errors import LimitError
from llmspell_kernel.services.tools.built_in.page_text import MAX_CHARS, readable

from .children import command_of

MANY = 100_000
PAGES = {
    "nested-blocks": "<div>" * MANY + "x",
    "nested-inlines": "<p>" + "<b>" * MANY + "x",
    "nested-tables": "<table><tr><td>" * MANY + "x",
    "nested-lists": "<ul><li>" * MANY + "x",
    "open-tags": "<a " * MANY,
    "many-attributes": "<p " + " ".join(f"a{number}=x" for number in range(MANY)) + ">x</p>",
    "many-links": "<p>x <a href=x>aa</a></p>" * 20_000,
    "entities": "&lt;" * MANY,
    "entity-bomb": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + level)} "{f"&{chr(97 + level)};" * 10}">' for level in range(12)
    ) + "]><html><body><p>&m;</p></body></html>",
    "outside": '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><html><body><p>&f;</p></body></html>',
    "one-long-word": "<article><p>" + "x" * 1_000_000 + "</p></article>",
    "spaces": "<article><p>a" + " " * 1_000_000 + "b</p></article>",
    "nothing": "\x00" * 1_000,
    "surrogates": "<p>\ud800 text</p>",
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_is_read_or_refused_within_its_time_and_leaves_no_process(page: str) -> None:
    started = time.monotonic()
    try:
        found = asyncio.run(readable(page, 1_000, time_s=5.0))
    except LimitError:
        pass
    else:
        assert len(found["text"]) <= 1_000 and "root:" not in found["text"]
    assert time.monotonic() - started < 40
    assert not [child for child in psutil.Process().children() if "page_process" in command_of(child)]


def test_the_host_goes_on_while_a_page_is_read() -> None:
    async def play() -> int:
        reading = asyncio.create_task(readable("<p>aa</p>" * 50_000, 100))
        turns = 0
        while not reading.done():
            await asyncio.wait({reading}, timeout=0.01)
            turns += 1
        await reading
        return turns

    assert asyncio.run(play()) > 10


def test_a_page_beyond_the_most_is_not_read() -> None:
    with pytest.raises(LimitError):
        asyncio.run(readable("x" * (MAX_CHARS + 1), 1))


def test_whoever_reads_a_page_has_no_variable_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    start = asyncio.create_subprocess_exec

    async def watched(*command: str, **options: object) -> asyncio.subprocess.Process:
        process = await start(*command, **options)  # type: ignore[arg-type]
        seen.append(psutil.Process(process.pid).environ())
        return process

    monkeypatch.setenv("CANARY_API_KEY", "k-123456")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    asyncio.run(readable("<p>x</p>", 10))
    assert seen and all("CANARY_API_KEY" not in environ for environ in seen) and "CANARY_API_KEY" in os.environ
