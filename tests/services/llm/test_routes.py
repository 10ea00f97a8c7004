"""When a model of a router cools down, and when it may be asked again."""

from __future__ import annotations

import pytest

from llmspell_kernel.errors import BridgeError
from llmspell_kernel.services.llm.routes import MINUTE_S, MOVES_ON, Route


def failure(code: str, after_s: float | None = None) -> BridgeError:
    error = BridgeError("no", code=code, retryable=True)
    error.retry_after_s = after_s
    return error


def test_a_model_cools_down_once_it_has_failed_more_often_in_a_row_than_it_may() -> None:
    route = Route("a")
    for _ in range(2):
        route.failed(failure("server_error"), 100.0, allowed_fails=2, cooldown_s=30)
        assert route.cools_for_s(100.0) == 0
    route.failed(failure("server_error"), 100.0, allowed_fails=2, cooldown_s=30)
    assert (route.cools_for_s(100.0), route.cools_for_s(120.0), route.cools_for_s(130.0)) == (30, 10, 0)
    assert (route.failures, route.last_error) == (3, "server_error")


def test_an_answer_between_failures_begins_the_count_again() -> None:
    route = Route("a")
    for _ in range(5):
        route.failed(failure("server_error"), 0.0, allowed_fails=1, cooldown_s=30)
        route.succeeded()
    assert (route.cools_for_s(0.0), route.failures, route.last_error) == (0, 5, "")


@pytest.mark.parametrize(("after_s", "cools_s"), [(None, 30), (7, 30), (90, 90)])
def test_a_limited_rate_cools_at_once_and_never_shorter_than_it_was_asked(after_s: float | None, cools_s: float) -> None:
    route = Route("a")
    route.failed(failure("rate_limit", after_s), 10.0, allowed_fails=9, cooldown_s=30)
    assert route.cools_for_s(10.0) == cools_s


@pytest.mark.parametrize("code", ["bad_request", "unsupported_option", "content_policy", "context_length"])
def test_what_the_question_is_to_blame_for_counts_against_no_model(code: str) -> None:
    route = Route("a")
    route.failed(failure(code), 0.0, allowed_fails=0, cooldown_s=30)
    assert (route.failures, route.cools_for_s(0.0)) == (0, 0)


def test_a_wrong_question_is_not_asked_of_another_model() -> None:
    assert not MOVES_ON & {"bad_request", "unsupported_option", "content_policy", "too_large", "argument"}


def test_requests_of_a_minute_are_counted_from_their_own_beginning() -> None:
    route = Route("a")
    for now in (0.0, 10.0):
        assert route.full_for_s(now, rpm=2) == 0
        route.begin(now, rpm=2)
    assert route.full_for_s(20.0, rpm=2) == 40
    assert route.full_for_s(MINUTE_S, rpm=2) == 0
    assert route.full_for_s(20.0, rpm=None) == 0


def test_tokens_are_counted_for_a_minute() -> None:
    route = Route("a")
    route.used(100, 0.0)
    route.used(10, 30.0)
    assert [route.tokens_in_minute(now) for now in (30.0, 60.0, 90.0)] == [110, 10, 0]
