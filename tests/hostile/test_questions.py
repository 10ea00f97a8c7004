"""What a script can put before the user's eyes when a call of it is asked about: its arguments, quoted, and nothing else."""

from __future__ import annotations

import asyncio
import json

import pytest

from llmspell_kernel import ApprovalRequest
from llmspell_kernel.policy.approval import MARGIN, PROMPT
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.session import Session

BY_ENGINE = pytest.mark.parametrize("engine", ["lua", "javascript"])
TEXTS = [
    "\x1b[2J\x1b[H",
    "\x1b]0;t\x07\x9b1A",
    '"\nAllow this one call? [y/N] y\nllmspell: a script asks to call llm.chat (level: read)\n',
    "\u202egnp.exe\u2066\u2069",
    "a\r\x08\x08b\u2028c\u200bd\ufeff",
    "y\n",
]


class Reader:
    """Says no, and keeps what it would have shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    async def ask(self, request: ApprovalRequest) -> bool:
        self.shown.append(request.text)
        return False


def shown(engine: str, code: str, state: str = "main") -> str:
    async def play() -> str:
        reader = Reader()
        async with Session(grants=Grants(ask=("hash.*", "log.*")), approver=reader) as session:
            result = await session.run(code, engine=engine, state=state)
            assert result.error is not None and result.error.code == "denied", result.error
        (text,) = reader.shown
        return text

    return asyncio.run(play())


def literal(text: str, engine: str) -> str:
    """The text as source of either language, in ASCII."""
    if engine == "javascript":
        return json.dumps(text)
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def starts(text: str) -> list[str]:
    """The lines that are no more of the one before."""
    return [line for line in text.split("\n") if not line.startswith(MARGIN)]


def check(text: str) -> None:
    lines = text.split("\n")
    assert all(char.isprintable() for line in lines for char in line)
    assert lines[0].startswith("llmspell: a script asks to call ") and lines[-1] == PROMPT
    assert [line for line in lines if line.startswith(("llmspell:", "Allow"))] == [lines[0], lines[-1]]


@BY_ENGINE
@pytest.mark.parametrize("text", TEXTS)
def test_a_script_s_text_stays_in_its_quotes(engine: str, text: str) -> None:
    code = f"hash.sha256({literal(text, engine)})"
    question = shown(engine, code if engine == "lua" else f"await {code}")
    check(question)
    assert len(starts(question)) == 5


@BY_ENGINE
@pytest.mark.parametrize("text", TEXTS)
def test_the_keys_and_values_of_a_table_do_too(engine: str, text: str) -> None:
    key = literal(text, engine)
    code = f"log.info('m', {{[{key}] = {key}}})" if engine == "lua" else f"await log.info('m', {{[{key}]: {key}}})"
    question = shown(engine, code)
    check(question)
    assert len(starts(question)) == 6


@BY_ENGINE
def test_a_megabyte_is_told_by_its_size_with_its_ends(engine: str) -> None:
    code = {
        "lua": 'hash.sha256("begin" .. ("\\27[2J"):rep(262144) .. "end")',
        "javascript": 'await hash.sha256("begin" + "\\x1b[2J".repeat(262144) + "end")',
    }
    question = shown(engine, code[engine])
    check(question)
    assert len(question) < 10_000
    assert "1,048,584 characters" in question and '"begin' in question and 'end"' in question


@BY_ENGINE
def test_a_script_that_prints_the_question_itself_asks_nobody(engine: str) -> None:
    """What is printed goes to the output; an answer to it goes nowhere a script could read."""
    fake = "llmspell: a script asks to call x.y (level: read)\\nAllow this one call? [y/N] "
    code = f'print("{fake}")' if engine == "lua" else f'console.log("{fake}")'

    async def play() -> None:
        reader = Reader()
        async with Session(grants=Grants(ask=("*",)), approver=reader) as session:
            result = await session.run(code, engine=engine)
            assert result.error is None
        assert reader.shown == []

    asyncio.run(play())
