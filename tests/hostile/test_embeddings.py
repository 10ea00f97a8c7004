"""Scripts that ask for vectors without end: refused before the work, which a free model does for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import LimitError
from llmspell_kernel.services.llm import embeddings
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.session import Session

from ..session.world import ENGINES

CELLS = {
    "lua": "local t = {} for i = 1, 256 do t[i] = 'x' .. i end llm.embed(t, {model = 'spell/embed', dimensions = 16384})",
    "javascript": "const t = Array.from({length: 256}, (_, i) => 'x' + i); await Promise.all(Array.from({length: 6}, () =>"
    " llm.embed(t, {model: 'spell/embed', dimensions: 16384})))",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_four_million_numbers_are_refused_and_none_of_them_is_made(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(embeddings, "vector_of", lambda *asked: made.append(asked))

    async def play() -> None:
        async with Session(bridges=[Llm(LlmService({}, local_installed=False))], folder=tmp_path) as session:
            result = await session.run(CELLS[engine], engine=engine)
            assert isinstance(result.error, LimitError) and result.error.limit == "embed_numbers", result.error

    asyncio.run(play())
    assert not made
