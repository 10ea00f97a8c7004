"""A front end that reads nothing for ten seconds loses no idle and no reply, and holds up nobody else."""

from __future__ import annotations

import time

import pytest

from llmspell_kernel.testing.front_end import FrontEnd

from .kernels import ENGINES, KEEP, KEPT

PAUSE_S = 10.0
MUCH = {
    "lua": "for i = 1, 20000 do print('line ' .. i) end for i = 1, 300 do ui.display(i) end return 'done'",
    "js": "for (let i = 1; i <= 20000; i++) console.log('line ' + i); for (let i = 0; i < 300; i++) await ui.display(i); 'done'",
}


@pytest.mark.timeout(180)
def test_all_is_there_when_it_reads_again(kernel):
    with FrontEnd(kernel.manager.connection_file) as front_end:
        requests = {engine: front_end.execute(f"%%{engine}\n{MUCH[engine]}") for engine in ENGINES}
        paused = time.monotonic()
        # another front end works meanwhile
        for engine in ENGINES:
            assert kernel.cell(engine, KEEP[engine], 30).status == "ok"
            assert kernel.cell(engine, KEPT[engine], 30).result == "5"
        time.sleep(max(0.0, paused + PAUSE_S - time.monotonic()))  # the pause is what is tested
        for engine, request in requests.items():
            seen = front_end.until_idle(request, timeout_s=60)
            text = "".join(message["content"]["text"] for message in seen if message["msg_type"] == "stream")
            assert text.splitlines() == [f"line {number}" for number in range(1, 20_001)], engine
            assert sum(message["msg_type"] == "display_data" for message in seen) == 300
            assert [message["content"]["data"]["text/plain"] for message in seen if message["msg_type"] == "execute_result"] == ["done"]
        replies = front_end.replies(list(requests.values()), timeout_s=10)
        assert [[reply["content"]["status"] for reply in found] for found in replies.values()] == [["ok"], ["ok"]]
    kernel.extra()
    kernel.survived()
