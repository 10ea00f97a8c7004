"""An error that went to a script and comes back from it is of the same kind."""

from __future__ import annotations

import pytest

from llmspell_kernel.errors import (
    ArgumentError,
    BridgeError,
    DeniedError,
    InternalError,
    Interrupted,
    LimitError,
    ReplayError,
    ScriptError,
    SpellError,
    StoppedError,
)
from llmspell_kernel.session.faults import error_of, fault_of


@pytest.mark.parametrize(
    "error", [ArgumentError("x"), BridgeError("x", code="timeout"), DeniedError("x"), LimitError("x"), ReplayError("x")]
)
def test_an_error_keeps_its_kind_through_a_script(error: SpellError) -> None:
    back = error_of(fault_of(error, "probe.echo"), "lua")
    assert isinstance(back, type(error))
    assert (back.code, back.of_one_call) == (error.code, error.of_one_call)


def test_what_is_not_recorded_is_told_by_the_name_that_scripts_know() -> None:
    fault = fault_of(ReplayError("x"), "probe.echo")
    assert (fault.name, fault.code) == ("ReplayError", "replay")


def test_only_failures_of_one_call_leave_the_others_going() -> None:
    assert all(error.of_one_call for error in (BridgeError("x", code="timeout"), ArgumentError("x"), StoppedError("x")))
    ends = (LimitError("x"), DeniedError("x"), Interrupted("x"), InternalError("x"), ReplayError("x"), ScriptError("x"))
    assert not any(error.of_one_call for error in ends)
