"""A disk that is full keeps no cell from running: scripts, workers and answers need no file."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from llmspell_kernel.testing.full_disk import full_disk

from ..session.world import ENGINES, world
from .kernels import KEEP, KEPT

ROOM = 1 << 20
"""Less than any file that matters; the page that a worker shares with its host counts as a file of 4 KiB."""


def test_the_injection_itself_refuses_what_is_too_large_and_ends_with_its_block(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with full_disk(1000), pytest.raises(OSError) as caught:
        file.write_bytes(bytes(2000))
    assert caught.value.errno == errno.EFBIG
    file.write_bytes(bytes(2000))
    assert file.stat().st_size == 2000


@pytest.mark.parametrize("engine", ENGINES)
def test_cells_run_and_new_workers_start(engine: str) -> None:
    code = {"lua": "return probe.echo(7)", "javascript": "await probe.echo(7)"}[engine]

    async def play() -> None:
        with full_disk(ROOM):
            async with world() as made:
                for state in ("main", "b"):
                    assert (await made.session.run(code, engine=engine, state=state)).value == 7

    asyncio.run(play())


def test_a_kernel_whose_history_cannot_be_written_goes_on(kernel, engine):
    limit = "import resource; before = resource.getrlimit(resource.RLIMIT_FSIZE)"
    kernel.run(f"{limit}; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))")
    try:
        for number in range(5):
            ran = kernel.cell(engine, KEEP[engine] + "\n" + "\n" * number)
            assert ran.status == "ok"
        assert kernel.cell(engine, KEPT[engine]).result == "5"
        kernel.survived(ran)
    finally:
        kernel.run("resource.setrlimit(resource.RLIMIT_FSIZE, before)")
