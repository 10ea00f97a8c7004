"""A call with a million small items costs the journal no look at each of them."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.journal.canonical import canonical
from llmspell_kernel.journal.events import AnyEvent, CallFinished, CallStarted, Logged
from llmspell_kernel.journal.recorder import MAX_VALUE_BYTES, Recorder
from llmspell_kernel.values import dumps

from ..render.work import steps

VALUES: dict[str, Any] = {
    "list": list(range(900_000)),
    "rows": [{f"k{number}": number for number in range(1_000)} for _ in range(500)],
    "deep": [[[number] * 10 for number in range(100)] for _ in range(500)],
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_recording_a_huge_value_takes_work_in_proportion_to_what_is_kept(value: Any) -> None:
    events: list[AnyEvent] = [
        CallStarted(1, 0.0, 1, "probe", "echo", [value]),
        CallFinished(1, 0.0, 1, value, 0.0),
        Logged(1, 0.0, "info", "text", {"value": value}),
    ]
    recorder = Recorder()
    for event in events:
        assert steps(lambda event=event: recorder.record(event), 300_000) > 0  # type: ignore[misc]
    assert recorder.bytes < len(events) * MAX_VALUE_BYTES


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_the_key_of_a_huge_call_is_found_without_a_look_at_each_item(value: Any) -> None:
    written = dumps([value])
    assert steps(lambda: canonical(written), 300_000) > 0
