"""The bridge `timer`."""

import asyncio

import pytest

from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges.timer import Timer
from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.values import Value

SLEEP = declare(Timer).methods["sleep"]


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@pytest.mark.parametrize("seconds", [0, 0.25, 5, 86_400])
def test_sleep_waits_that_many_seconds(context: FakeContext, seconds: float) -> None:
    with asyncio.Runner(loop_factory=FakeTimeLoop) as runner:
        runner.run(Timer().sleep(context, *SLEEP.bind([seconds])))
        assert runner.get_loop().time() == seconds


def test_a_sleep_can_be_cancelled(context: FakeContext) -> None:
    async def stop_it() -> None:
        task = asyncio.create_task(Timer().sleep(context, 86_400))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop_it())


@pytest.mark.parametrize(
    ("seconds", "given"),
    [(-1, "-1"), (86_401, "86401"), (float("nan"), "nan"), (float("inf"), "inf"), ("1", "a string"), (None, "nothing")],
)
def test_any_other_length_is_one_clear_error(seconds: Value, given: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        SLEEP.bind([seconds])
    assert str(caught.value) == f"timer.sleep: argument 1 (seconds) must be a number from 0 to 86400, not {given}"


def test_now_is_the_time_by_the_clock_of_scripts() -> None:
    assert asyncio.run(Timer().now(FakeContext(now_s=1_767_225_600.5))) == 1_767_225_600.5
