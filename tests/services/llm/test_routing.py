"""Routers over a real HTTP server on the loopback: one request an attempt, the next model at once, limits that hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError, BridgeError
from llmspell_kernel.services.llm.models import ChatOptions, Usage
from llmspell_kernel.services.llm.routes import MINUTE_S
from llmspell_kernel.services.llm.routing import MOST_MODELS, MOST_ROUTERS, RouterOptions
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.services.llm.strategies import STRATEGIES
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply

A, B, C = "openai/gpt-4o-mini", "openai/gpt-4o", "openai/other"
BUSY = Reply(status=503, message="busy")
SLOW_DOWN = Reply(status=429, message="slow down", headers={"Retry-After": "45"})


def asked(server: OpenAIServer) -> list[str]:
    return [f"openai/{request['model']}" for request in server.requests]


def health(service: LlmService, model: str) -> dict[str, Any]:
    (found,) = [route for route in service.routers.health() if route["model"] == model]
    return found


def add(service: LlmService, **options: Any) -> str:
    return service.add_router(RouterOptions(**options))


def test_a_model_that_fails_is_followed_by_another_at_once_and_the_answer_says_whose_it_is(provider: Any) -> None:
    async def run() -> None:
        async with provider(BUSY, Reply(chunks=["from the other"])) as (server, service):
            name = add(service, models=[A, B])
            generation, told = service.generation("hi", ChatOptions(model=name, retries=0)), []
            generation.on_retry = told.append
            assert [text async for text in generation.texts()] == ["from the other"]
            first, second = asked(server)
            assert {first, second} == {A, B} and generation.model == second
            (retry,) = told
            assert (retry.attempt, retry.attempts, retry.wait_s, retry.error.code) == (2, 2, 0.0, "server_error")
            assert first in retry.error.message
            assert (health(service, first)["failures"], health(service, second)["failures"]) == (1, 0)

    asyncio.run(run())


def test_fallbacks_are_asked_in_their_order_and_only_once_no_model_is_left(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(BUSY, BUSY, Reply()) as (server, service):
            generation = await read(service, model=add(service, models=[A], fallbacks=[B, C]))
            assert asked(server) == [A, B, C] and (generation.model, generation.attempts) == (C, 3)
            assert (await read(service, model="router/default")).model == A

    asyncio.run(run())


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(status=429, message="slow"),
        Reply(status=500),
        Reply(status=502),
        Reply(status=503),
        Reply(status=504),
        Reply(status=401, message="who?"),
        Reply(status=403, message="no"),
        Reply(status=404, message="no such model"),
        Reply(body=[b"<html>"]),
        Reply(status=400, message="This model's maximum context length is 10 tokens", error_code="context_length_exceeded"),
    ],
    ids=lambda reply: f"{reply.status}{reply.error_code}",
)
def test_what_another_model_may_not_have_moves_on(provider: Any, read: Any, refusal: Reply) -> None:
    async def run() -> None:
        async with provider(refusal, Reply(chunks=["ok"])) as (server, service):
            generation = await read(service, model=add(service, models=[A], fallbacks=[B]), retries=0)
            assert (generation.text, generation.model, asked(server)) == ("ok", B, [A, B])

    asyncio.run(run())


def test_a_wrong_question_is_asked_once(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(Reply(status=400, message="odd")) as (server, service):
            with pytest.raises(BridgeError, match="odd") as caught:
                await read(service, model=add(service, models=[A, B], fallbacks=[C]))
            assert caught.value.code == "bad_request" and len(server.requests) == 1

    asyncio.run(run())


def test_once_something_of_an_answer_has_come_no_other_model_is_asked(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["half"], end="cut")) as (server, service):
            with pytest.raises(BridgeError, match="in the middle of the answer"):
                await read(service, model=add(service, models=[A], fallbacks=[B]))
            assert asked(server) == [A]

    asyncio.run(run())


def test_a_model_whose_key_is_missing_is_left_out_and_nothing_is_sent_for_it(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider() as (server, service):
            generation = await read(service, model=add(service, models=["anthropic/claude-haiku-4-5"], fallbacks=[A]))
            assert (generation.model, generation.attempts, asked(server)) == (A, 1, [A])
            with pytest.raises(BridgeError, match="ANTHROPIC_API_KEY") as caught:
                await read(service, model=add(service, name="none", models=["anthropic/claude-haiku-4-5"]))
            assert caught.value.code == "missing_key"

    asyncio.run(run())


def test_retry_after_keeps_a_model_out_for_as_long_as_it_asked(provider: Any, read: Any) -> None:
    now = [0.0]

    async def run() -> None:
        async with provider(SLOW_DOWN) as (server, _):
            service = LlmService(clock=lambda: now[0])
            name = add(service, models=[A], fallbacks=[B], cooldown_s=1)
            for _ in range(2):
                assert (await read(service, model=name)).model == B
            assert asked(server) == [A, B, B]
            assert (health(service, A)["healthy"], health(service, A)["cools_for_s"]) == (False, 45)
            now[0] = 45.0
            assert (await read(service, model=name)).model == A
            assert health(service, A) == {
                **{"router": name, "model": A, "fallback": False, "healthy": True, "cools_for_s": 0.0},
                **{"calls": 2, "failures": 1, "in_flight": 0, "last_error": ""},
            }

    asyncio.run(run())


def test_while_every_model_cools_down_the_error_says_when_and_why_and_nothing_is_sent(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(SLOW_DOWN, SLOW_DOWN) as (server, service):
            name = add(service, models=[A, B])
            with pytest.raises(BridgeError, match="try again in 45 s") as caught:
                await read(service, model=name)
            assert caught.value.code == "rate_limit" and len(server.requests) == 2
            with pytest.raises(BridgeError, match=r"every model of router/default cools down .*rate_limit.* in 4\d s") as caught:
                await read(service, model=name)
            assert caught.value.retryable and len(server.requests) == 2

    asyncio.run(run())


def test_all_models_are_asked_again_after_the_first_of_them_is_back(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(BUSY, BUSY, Reply(chunks=["at last"])) as (server, service):
            generation = await read(service, model=add(service, models=[A, B], allowed_fails=5), retries=1)
            assert (generation.text, generation.attempts, len(server.requests)) == ("at last", 3, 3)
            assert generation.waited_s >= 0.5

    asyncio.run(run())


@pytest.mark.parametrize("limit", [1, 3])
def test_no_model_has_more_answers_on_their_way_than_it_may(provider: Any, read: Any, limit: int) -> None:
    async def run() -> None:
        async with provider(*[Reply(chunks=["x"], delay_s=0.01)] * 9) as (server, service):
            name = add(service, models=[A], max_parallel=limit)
            most = 0

            async def one() -> None:
                nonlocal most
                async for _ in service.generation("hi", ChatOptions(model=name)).texts():
                    most = max(most, health(service, A)["in_flight"])

            await asyncio.gather(*(one() for _ in range(9)))
            assert (most, len(server.requests), health(service, A)["in_flight"]) == (limit, 9, 0)

    asyncio.run(run())


def test_an_answer_that_is_stopped_makes_room_for_the_next(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["x"], end="hang")) as (server, service):
            name = add(service, models=[A], max_parallel=1)
            began = asyncio.Event()

            async def hang() -> None:
                async for _ in service.generation("hi", ChatOptions(model=name)).texts():
                    began.set()

            first = asyncio.create_task(hang())
            await asyncio.wait_for(began.wait(), 30)
            second = asyncio.create_task(read(service, model=name))
            first.cancel()
            assert (await asyncio.wait_for(second, 10)).text == "Hello from the server"
            await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


def test_who_waits_for_room_is_ended_by_its_timeout(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["x"], end="hang")) as (_, service):
            name = add(service, models=[A], max_parallel=1)
            began = asyncio.Event()

            async def hang() -> None:
                async for _ in service.generation("hi", ChatOptions(model=name)).texts():
                    began.set()

            first = asyncio.create_task(hang())
            await asyncio.wait_for(began.wait(), 30)
            with pytest.raises(BridgeError) as caught:
                await read(service, model=name, timeout_s=0.2)
            assert caught.value.code == "timeout"
            first.cancel()

    asyncio.run(run())


def test_no_model_is_sent_more_requests_in_a_minute_than_it_may(provider: Any, read: Any) -> None:
    now = [0.0]

    async def run() -> None:
        async with provider() as (server, _):
            service = LlmService(clock=lambda: now[0])
            name = add(service, models=[A, B], rpm=2)
            for _ in range(4):
                await read(service, model=name)
            assert Counter(asked(server)) == {A: 2, B: 2}
            with pytest.raises(BridgeError) as caught:
                await read(service, model=name, timeout_s=0.2)
            assert caught.value.code == "timeout" and len(server.requests) == 4
            now[0] = MINUTE_S
            await read(service, model=name)
            assert len(server.requests) == 5

    asyncio.run(run())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_asks_its_models(provider: Any, read: Any, strategy: str) -> None:
    async def run() -> None:
        async with provider() as (server, service):
            name = add(service, models=[A, B, C], strategy=strategy)
            for _ in range(6):
                assert (await read(service, model=name)).text == "Hello from the server"
            assert len(server.requests) == 6 and set(asked(server)) <= {A, B, C}

    asyncio.run(run())


def test_the_cheapest_is_asked_where_the_strategy_is_the_cost(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider() as (server, service):
            for _ in range(4):
                await read(service, model=add(service, models=[B, A], strategy="cost-based-routing"))
            assert asked(server) == [A] * 4

    asyncio.run(run())


def test_the_one_with_the_fewest_tokens_in_this_minute_is_asked_where_that_is_the_strategy(provider: Any, read: Any) -> None:
    much = {"prompt_tokens": 900, "completion_tokens": 90, "total_tokens": 990}

    async def run() -> None:
        async with provider(Reply(chunks=["x"], usage=much)) as (server, service):
            name = add(service, models=[A, B], strategy="usage-based-routing")
            for _ in range(5):
                await read(service, model=name)
            first, *others = asked(server)
            assert set(others) == ({A, B} - {first})

    asyncio.run(run())


def test_the_faster_is_asked_once_both_are_known_where_the_strategy_is_the_latency(provider: Any, read: Any) -> None:
    async def run() -> None:
        replies = [Reply(chunks=["x"]), Reply(chunks=["x"], delay_s=0.5)]
        async with provider(Reply(chunks=["the client is made"]), *replies) as (server, service):
            await read(service, model=C)
            name = add(service, models=[A, B], strategy="latency-based-routing")
            for _ in range(6):
                await read(service, model=name)
            fast, slow, *others = asked(server)[1:]
            assert {fast, slow} == {A, B} and set(others) == {fast}

    asyncio.run(run())


def test_the_least_busy_is_asked_where_that_is_the_strategy(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(*[Reply(chunks=["x"], end="hang")] * 4) as (server, service):
            name = add(service, models=[A, B], strategy="least-busy")
            tasks = []
            for number in range(1, 5):
                began = asyncio.Event()

                async def hang(began: asyncio.Event = began) -> None:
                    async for _ in service.generation("hi", ChatOptions(model=name)).texts():
                        began.set()

                tasks.append(asyncio.create_task(hang()))
                await asyncio.wait_for(began.wait(), 30)
                counts = Counter(asked(server))
                assert abs(counts[A] - counts[B]) <= 1 and len(server.requests) == number
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert {health(service, model)["in_flight"] for model in (A, B)} == {0}

    asyncio.run(run())


def test_weights_say_how_often_a_model_is_chosen(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider() as (server, service):
            name = add(service, models=[A, B], weights={A: 1_000_000, B: 0.001})
            for _ in range(8):
                await read(service, model=name)
            assert asked(server) == [A] * 8

    asyncio.run(run())


def test_a_router_of_models_without_a_provider_does_not_import_litellm() -> None:
    from subprocess import run as run_process
    from sys import executable

    code = """
import asyncio, sys
from llmspell_kernel.services.llm.models import ChatOptions
from llmspell_kernel.services.llm.routing import RouterOptions
from llmspell_kernel.services.llm.service import LlmService
async def main():
    service = LlmService({}, local_installed=False)
    service.scripted.load([{"error": {"code": "server_error"}}])
    name = service.add_router(RouterOptions(models=["spell/scripted"], fallbacks=["spell/echo"]))
    generation = service.generation("hi", ChatOptions(model=name))
    print("".join([text async for text in generation.texts()]), generation.model, "litellm" in sys.modules)
asyncio.run(main())
"""
    done = run_process([executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("echo: hi spell/echo False\n", "")


def test_a_router_added_again_as_it_is_keeps_what_it_knows_and_a_changed_one_begins_anew(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider() as (server, service):
            await read(service, model=add(service, models=[A, B]))
            add(service, models=[A, B])
            assert sum(route["calls"] for route in service.routers.health()) == 1
            add(service, models=[B, C])
            assert [(route["model"], route["calls"]) for route in service.routers.health()] == [(B, 0), (C, 0)]
            await read(service, model="router/default")
            assert asked(server)[1] in (B, C)

    asyncio.run(run())


def test_an_attempt_that_may_have_been_paid_for_stays_in_the_count(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(Reply(status=504, message="late"), Reply()) as (_, service):
            generation = await read(service, model=add(service, models=[A], fallbacks=[A.replace("mini", "2024-08-06")]), retries=0)
            assert generation.attempts == 2
            assert generation.usage == Usage(7, 3, 0, None)

    asyncio.run(run())


def test_the_worst_case_of_a_router_is_that_of_its_dearest_model() -> None:
    service = LlmService({}, local_installed=False)
    name = service.add_router(RouterOptions(models=[A], fallbacks=[B]))
    request = service.generation("x" * 4_000, ChatOptions(model=name, max_tokens=100)).request
    alone = [service.worst_case(service.generation("x" * 4_000, ChatOptions(model=model, max_tokens=100)).request) for model in (A, B)]
    most = service.worst_case(request)
    assert most.cost_usd == max(case.cost_usd or 0 for case in alone) and most.input_tokens == max(case.input_tokens for case in alone)
    unpriced = service.add_router(RouterOptions(name="u", models=[A, "openai/nobody-knows"]))
    assert service.worst_case(service.generation("x", ChatOptions(model=unpriced)).request).cost_usd is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": []}, "needs models"),
        ({"models": [A], "name": "a b"}, "letters, digits"),
        ({"models": [A], "name": "../x"}, "letters, digits"),
        ({"models": [A, A]}, "twice"),
        ({"models": [A], "fallbacks": [A]}, "twice"),
        ({"models": [f"openai/m{number}" for number in range(MOST_MODELS + 1)]}, "at most 32"),
        ({"models": ["router/default"]}, "no routers"),
        ({"models": [A, B], "weights": {"openai/gpt-4o-mnii": 1.0}}, "did you mean 'openai/gpt-4o-mini'"),
        ({"models": [A, B], "weights": {A: 0.0}}, "above 0"),
        ({"models": [A, B], "weights": {A: float("nan")}}, "above 0"),
    ],
)
def test_what_is_no_router_is_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        LlmService({}, local_installed=False).add_router(RouterOptions(**options))


def test_names_of_models_and_routers_that_nobody_knows_are_told_with_the_nearest() -> None:
    service = LlmService({}, local_installed=False)
    with pytest.raises(BridgeError, match="did you mean 'spell/echo'"):
        service.add_router(RouterOptions(models=["spell/ecko"]))
    service.add_router(RouterOptions(name="writers", models=["spell/echo"]))
    with pytest.raises(BridgeError, match="did you mean 'router/writers'") as caught:
        service.generation("hi", ChatOptions(model="router/writer"))
    assert caught.value.code == "unknown_model"
    assert service.set_model("router/writers") == "router/writers" and service.provider == "router"


def test_a_session_has_so_many_routers_and_no_more() -> None:
    service = LlmService({}, local_installed=False)
    for number in range(MOST_ROUTERS):
        service.add_router(RouterOptions(name=f"r{number}", models=["spell/echo"]))
    with pytest.raises(ArgumentError, match="at most 64 routers"):
        service.add_router(RouterOptions(name="more", models=["spell/echo"]))
    service.add_router(RouterOptions(name="r0", models=["spell/scripted"]))
