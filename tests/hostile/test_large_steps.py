"""A step is only as large as its state's limits allow: no worker buys the host's time with millions of tiny objects."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import LimitError, RemoteProtocolError, WorkerLost
from llmspell_kernel.policy.limits import MiB
from llmspell_kernel.protocol.conversation import MAX_OPEN_EFFECTS
from llmspell_kernel.protocol.framing import MAX_FRAME_BYTES, step_bytes
from llmspell_kernel.protocol.messages import Stepped, encode
from llmspell_kernel.protocol.steps import Background, Effect, Finished, Step, Suspended
from llmspell_kernel.protocol.transitions import Phase

from ..protocol.protocol_talk import STATE, at
from ..session.world import ENGINES, LIMITS, world

AT_ONCE = {
    "lua": "kept = 5 local s = ('x'):rep({size}) local ask = function() return probe.echo(s) end async.all({{ask, ask, ask, ask}}) return 'done'",
    "javascript": "var kept = 5; const s = 'x'.repeat({size}); await Promise.all([1, 2, 3, 4].map(() => probe.echo(s))); 'done'",
}
KEPT = {"lua": "return kept", "javascript": "kept"}


@pytest.mark.parametrize(
    "step",
    [
        Suspended([Effect(number, "a", "b") for number in range(1, MAX_OPEN_EFFECTS + 2)]),
        Suspended(abandoned=[1] * (MAX_OPEN_EFFECTS + 1)),
        Finished(background=Background(open=[1] * (MAX_OPEN_EFFECTS + 1))),
    ],
    ids=["effects", "abandoned", "open"],
)
def test_more_effects_than_may_be_open_are_refused_before_any_is_looked_at(step: Step) -> None:
    talk = at(Phase.RUNNING)
    payload = encode(Stepped(STATE, step))
    talk.receive(len(payload).to_bytes(4, "big") + payload)
    with pytest.raises(RemoteProtocolError, match=f"more than {MAX_OPEN_EFFECTS} effects"):
        talk.next_message()


def test_a_message_over_the_states_limit_is_refused_by_its_length_alone() -> None:
    talk = at(Phase.RUNNING)
    talk.limit_received(step_bytes(4 * MiB))
    talk.receive((step_bytes(4 * MiB) + 1).to_bytes(4, "big"))
    with pytest.raises(RemoteProtocolError, match="over the limit of 9437184 bytes"):
        talk.next_message()


def test_no_states_limit_lifts_that_of_the_protocol() -> None:
    assert step_bytes(1 << 40) == MAX_FRAME_BYTES


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cell_that_asks_for_too_much_at_once_meets_a_limit_and_its_state_is_kept(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(value_bytes=MiB)) as made:
            fits = await made.session.run(AT_ONCE[engine].format(size=700_000), engine=engine)
            assert fits.values == ["done"]
            outcome = await made.session.run(AT_ONCE[engine].format(size=1_000_000), engine=engine)
            assert isinstance(outcome.error, LimitError), outcome
            assert "wait for some before you ask for more" in outcome.error.message
            assert (await made.session.run(KEPT[engine], engine=engine)).values == [5]
            assert made.probe.calls == ["echo"] * 4

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_with_an_endless_text_is_still_the_scripts_error(engine: str) -> None:
    code = {"lua": "error(('x'):rep(8e6))", "javascript": "throw new Error('x'.repeat(8e6))"}[engine]

    async def play() -> None:
        async with world(limits=LIMITS._replace(value_bytes=MiB)) as made:
            outcome = await made.session.run(code, engine=engine)
            assert outcome.error is not None
            assert not isinstance(outcome.error, WorkerLost)
            assert (await made.session.run("", engine=engine)).error is None

    asyncio.run(play())
