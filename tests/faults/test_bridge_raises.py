"""Whatever a bridge raises is an error that a script can catch, with a code and `retryable`, and never ends a cell without its reply."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import BridgeError, SpellError
from llmspell_kernel.journal.events import CallFailed
from llmspell_kernel.session import Session
from llmspell_kernel.testing.chaos import open_calls, open_cells
from llmspell_kernel.testing.raising import MAKERS, Raising

from .kernels import HOST_PATH

LANGUAGES = ("lua", "javascript")
CATCH = {
    "lua": "local ok, err = pcall(raising.throw, '{kind}') return {{ok, err.code, err.retryable, err.message}}",
    "javascript": "let caught; try {{ await raising.throw('{kind}') }} catch (e) {{ caught = [false, e.code, e.retryable, e.message] }}; caught",
}
CODES = {"bridge": "down", "denied": "denied", "limit": "limit", "script": "mine"}
RETRYABLE = {"bridge", "timeout", "connection"}
SECRETS = ("secret", "keys.txt", "someone")


@pytest.mark.parametrize("engine", LANGUAGES)
def test_a_script_can_catch_all_of_it(engine: str) -> None:
    async def play() -> None:
        async with Session(bridges=[Raising()]) as session, asyncio.timeout(60):
            for kind in MAKERS:
                outcome = await session.run(CATCH[engine].format(kind=kind), engine=engine)
                assert outcome.error is None, (kind, outcome)
                ok, code, retryable, message = outcome.value
                assert (ok, code, retryable) == (False, CODES.get(kind, "bridge"), kind in RETRYABLE), (kind, message)
                assert message and not HOST_PATH.search(message) and not any(secret in message for secret in SECRETS), message
            assert open_calls(session.recorder) == []
            failed = [event for event in session.recorder if isinstance(event, CallFailed)]
            assert len(failed) == len(MAKERS) and not any(event.cancelled for event in failed)

    asyncio.run(play())


@pytest.mark.parametrize("engine", LANGUAGES)
@pytest.mark.parametrize("kind", MAKERS)
def test_uncaught_it_is_the_cells_error_and_the_state_is_kept(engine: str, kind: str) -> None:
    call = {"lua": f"kept = 5 raising.after_text('{kind}')", "javascript": f"var kept = 5; await raising.after_text('{kind}')"}[engine]

    async def play() -> None:
        async with Session(bridges=[Raising()]) as session, asyncio.timeout(30):
            outcome = await session.run(call, engine=engine)
            assert isinstance(outcome.error, SpellError)
            assert not HOST_PATH.search(outcome.error.message)
            assert (await session.get("kept", engine=engine)) == 5
            assert open_calls(session.recorder) == open_cells(session.recorder) == []

    asyncio.run(play())


@pytest.mark.parametrize("kind", ["exit", "keyboard", "base"])
def test_a_bridge_that_cannot_open_or_close_because_of_it_is_an_error_too(kind: str) -> None:
    class Unopened(Raising):
        """Does not open."""

        name = "unopened"

        async def open(self, session: object) -> None:
            raise MAKERS[kind]()

    class Unclosed(Raising):
        """Does not close."""

        name = "unclosed"

        async def close(self) -> None:
            raise MAKERS[kind]()

    async def play() -> None:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(str(context["message"])))
        async with Session(bridges=[Unopened(), Unclosed()]) as session:
            with pytest.raises(BridgeError, match="could not be opened"):
                await session.call_bridge("unopened", "throw", "base")
            with pytest.raises(BridgeError):
                await session.call_bridge("unclosed", "throw", "base")
        assert any("the bridge 'unclosed' failed to close" in text for text in told)

    asyncio.run(play())


def test_a_plain_function_that_raises_stop_iteration_is_not_waited_for_for_ever() -> None:
    def ended() -> int:
        """Raises what no future takes."""
        raise StopIteration

    async def play() -> None:
        async with Session() as session, asyncio.timeout(10):
            session.expose(ended)
            outcome = await session.run("host.ended()")
            assert isinstance(outcome.error, BridgeError) and "StopIteration" in outcome.error.message

    asyncio.run(play())


def test_a_kernel_outlives_all_of_it(kernel, engine):
    kernel.run("from llmspell_kernel.testing.raising import Raising")
    kernel.run("if 'raising' not in llmspell.session.declarations: await llmspell.session.add_bridge(Raising)")
    for kind in MAKERS:
        call = {"lua": f"raising.throw('{kind}')", "js": f"await raising.throw('{kind}')"}[engine]
        ran = kernel.cell(engine, call)
        assert ran.status == "error" and ran.reply["ename"] not in ("SystemExit", "KeyboardInterrupt"), kind
    kernel.survived(ran)
