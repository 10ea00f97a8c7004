"""A process that may open no more files starts no new worker, says so, and goes on as soon as it may again."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llmspell_kernel.errors import ConfigError, WorkerLost

from ..session.world import ENGINES, world

CODE = {"lua": "return probe.echo(7)", "javascript": "await probe.echo(7)"}


@contextmanager
def no_more_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, before[1]))
    held = []
    try:
        while True:  # the numbers that were given back in between
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    try:
        yield
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_states_that_are_there_go_on_and_a_new_one_is_one_clear_error(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            assert (await made.session.run(CODE[engine], engine=engine)).value == 7
            files = len(os.listdir("/proc/self/fd"))
            with no_more_files():
                assert (await made.session.run(CODE[engine], engine=engine)).value == 7
                spare = await made.session.run(CODE[engine], engine=engine, state="takes the spare")
                refused = await made.session.run(CODE[engine], engine=engine, state="new")
                assert spare.error is None or isinstance(spare.error, (WorkerLost, ConfigError))
                assert isinstance(refused.error, (WorkerLost, ConfigError)), refused
                assert "may be out of memory, processes or open files" in refused.error.message
            assert (await made.session.run(CODE[engine], engine=engine, state="new")).value == 7
            for name in ("new", "takes the spare"):
                await made.session.forget(name, engine)
            assert len(os.listdir("/proc/self/fd")) <= files + 8

    asyncio.run(play())
