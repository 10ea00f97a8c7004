"""MCP servers as tools: a real server of the package mcp, over its input and output and over HTTP."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError, ConfigError, LimitError, ScriptError
from llmspell_kernel.services.tools.mcp_servers import McpServers
from llmspell_kernel.services.tools.tool import ToolSpec
from llmspell_kernel.testing.http_server import HttpServer, reply

SERVER = [sys.executable, str(Path(__file__).with_name("mcp_server.py"))]


def no_secret(name: str, host: str, scheme: str) -> str:
    raise AssertionError("no secret is asked for")


@asynccontextmanager
async def servers(environ: Mapping[str, str] = os.environ, secret: Any = no_secret, **declared: Any) -> AsyncIterator[McpServers]:
    made = McpServers(declared, secret, environ)
    try:
        yield made
    finally:
        await made.close()


async def specs(found: McpServers) -> dict[str, ToolSpec]:
    return {spec.name: spec for spec in await found.offered("shop")}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with subprocess.Popen([*SERVER, "http"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
        process.kill()


@pytest.fixture(params=["stdio", "http"])
def shop(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A declaration of the same server in each way."""
    return {"command": SERVER} if request.param == "stdio" else {"url": request.getfixturevalue("address")}


def test_its_tools_are_listed_with_their_schemas_and_are_dangerous_unless_the_settings_say_otherwise(shop: dict[str, Any]) -> None:
    async def play() -> None:
        async with servers(shop=shop) as found:
            add = (await specs(found))["shop_add"]
            assert (add.description, add.level, add.parameters["required"]) == ("Adds two numbers.", "dangerous", ["a"])
            assert add.returns is not None and add.returns["type"] == "integer"
        async with servers(shop={**shop, "level": "network"}) as found:
            assert {spec.level for spec in (await specs(found)).values()} == {"network"}

    asyncio.run(play())


def test_values_texts_and_objects_come_back_as_such(shop: dict[str, Any]) -> None:
    async def play() -> None:
        async with servers(shop=shop) as found:
            assert await found.call("shop_add", {"a": 2, "b": 3}) == 5
            items = [{"name": "pen", "price": 2}, {"name": "cap", "price": 1}]
            assert await found.call("shop_cheapest", {"items": items}) == {"name": "cap", "price": 1.0}
            assert await found.call("shop_say", {"text": "one two"}) == "one\ntwo"

    asyncio.run(play())


def test_calls_at_once_are_answered_each_with_its_own(shop: dict[str, Any]) -> None:
    async def play() -> None:
        async with servers(shop=shop) as found:
            assert await asyncio.gather(*(found.call("shop_add", {"a": a, "b": 0}) for a in range(50))) == list(range(50))

    asyncio.run(play())


def test_a_name_that_models_do_not_take_is_written_in_one_that_they_take(shop: dict[str, Any]) -> None:
    async def play() -> None:
        async with servers(shop=shop) as found:
            assert await found.call("shop_strange_name_1", {}) == "still called"

    asyncio.run(play())


def test_only_the_tools_that_the_settings_name_are_offered_each_with_its_level(shop: dict[str, Any]) -> None:
    async def play() -> None:
        async with servers(shop={**shop, "tools": {"add": "read", "say": "network"}}) as found:
            assert {name: spec.level for name, spec in (await specs(found)).items()} == {"shop_add": "read", "shop_say": "network"}
            with pytest.raises(ScriptError) as caught:
                await found.call("shop_die", {})
            assert caught.value.code == "unknown_tool"

    asyncio.run(play())


@pytest.mark.parametrize(("name", "says"), [("shop_ad", "did you mean 'shop_add'"), ("shp_add", "did you mean 'shop'")])
def test_an_unknown_tool_or_server_is_told_with_the_nearest_name(name: str, says: str) -> None:
    async def play() -> None:
        async with servers(shop={"command": SERVER}) as found:
            with pytest.raises(ScriptError) as caught:
                await found.call(name, {})
            assert says in str(caught.value)

    asyncio.run(play())


def test_a_tool_that_fails_is_an_error_and_the_server_goes_on(shop: dict[str, Any]) -> None:
    async def play() -> None:
        async with servers(shop=shop) as found:
            with pytest.raises(BridgeError) as caught:
                await found.call("shop_fail", {"reason": "no"})
            assert caught.value.code == "tool_failed" and str(caught.value).startswith("shop_fail: Error executing tool fail")
            assert await found.call("shop_add", {"a": 1}) == 2

    asyncio.run(play())


def test_a_call_that_takes_too_long_meets_a_limit_and_is_given_up() -> None:
    async def play() -> None:
        async with servers(shop={"command": SERVER}) as found:
            await specs(found)
        async with servers(shop={"command": SERVER, "timeout_s": 0.2}) as found:
            with pytest.raises(LimitError) as caught:
                await found.call("shop_sleep", {"seconds": 60})
            assert caught.value.limit == "mcp.shop.timeout_s"

    asyncio.run(play())


def test_the_server_and_what_it_has_started_end_with_the_session() -> None:
    async def play() -> None:
        async with servers(shop={"command": SERVER}) as found:
            started = await found.call("shop_ids", {})
            assert isinstance(started, list) and len(started) == 2
            ends = [os.pidfd_open(pid) for pid in started]
            assert select.select(ends, [], [], 0) == ([], [], [])
        for end in ends:
            assert select.select([end], [], [], 10)[0], "still running"
            os.close(end)
        with pytest.raises(BridgeError, match="was stopped with its session"):
            await found.call("shop_add", {"a": 1})

    asyncio.run(play())


def test_no_server_is_started_before_it_is_asked_for() -> None:
    async def play() -> None:
        async with servers(shop={"command": SERVER}, nothing={"command": ["/nowhere/at/all"]}) as found:
            assert await specs(found)

    asyncio.run(play())


def test_a_server_that_has_ended_is_told_of_and_started_anew_by_the_next_call() -> None:
    async def play() -> None:
        async with servers(shop={"command": SERVER}) as found:
            with pytest.raises(BridgeError) as caught:
                await found.call("shop_die", {})
            assert (caught.value.code, caught.value.retryable) == ("mcp_lost", True) and "something broke" in str(caught.value)
            assert await found.call("shop_add", {"a": 1}) == 2

    asyncio.run(play())


def test_a_message_that_is_too_large_ends_the_conversation_over_the_programs_output() -> None:
    async def play() -> None:
        async with servers(shop={"command": SERVER}) as found:
            with pytest.raises(BridgeError) as caught:
                await found.call("shop_long", {"size": 9_000_000})
            assert caught.value.code == "mcp_lost"
            assert await found.call("shop_long", {"size": 100}) == "x" * 100

    asyncio.run(play())


def test_a_server_that_does_not_start_takes_no_other_with_it_and_says_which_it_is_and_why() -> None:
    async def play() -> None:
        broken = [sys.executable, "-c", "import sys; print('no licence', file=sys.stderr); sys.exit(1)"]
        async with servers(shop={"command": SERVER}, gone={"command": ["/nowhere/at/all"]}, broken={"command": broken}) as found:
            for name, why in (("gone", "cannot start '/nowhere/at/all': No such file or directory"), ("broken", "no licence")):
                with pytest.raises(BridgeError) as caught:
                    await found.offered(name)
                assert caught.value.code == "mcp_start" and why in str(caught.value) and f"the MCP server '{name}'" in str(caught.value)
            assert "shop_add" in await specs(found)

    asyncio.run(play())


def test_the_program_has_the_variables_that_the_settings_name_and_runs_in_the_home_folder() -> None:
    async def play() -> None:
        environ = {**os.environ, "SHOP_KEY": "k1", "OTHER_KEY": "k2"}
        async with servers(environ, shop={"command": SERVER, "env": ["SHOP_KEY"]}) as found:
            assert await found.call("shop_variable", {"name": "SHOP_KEY"}) == "k1"
            assert await found.call("shop_variable", {"name": "OTHER_KEY"}) is None
            assert await found.call("shop_place", {}) == str(Path.home())

    asyncio.run(play())


def test_a_secret_goes_to_the_host_of_the_url_alone() -> None:
    asked = []

    def secret(name: str, host: str, scheme: str) -> str:
        asked.append((name, host, scheme))
        return "s3cret"

    async def play() -> None:
        async with HttpServer() as web, servers(secret=secret, shop={"url": f"{web.address}/mcp", "auth": "key"}) as found:
            web.answers["/mcp"] = reply(b"", 401)
            with pytest.raises(BridgeError) as caught:
                await found.offered("shop")
            assert caught.value.code == "mcp_start" and "s3cret" not in str(caught.value)
            assert asked == [("key", web.authority, "http")]
            assert {received.header("authorization") for received in web.requests} == {"Bearer s3cret"}

    asyncio.run(play())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(b'{"x": "' + b"x" * 9_000_000 + b'"}', content_type="application/json"), "more than 8,388,608 bytes"),
        (reply(b"[" + b"{}," * 300_000 + b"{}]", content_type="application/json"), "held so many objects"),
        (reply(b"data: [" + b"{}," * 300_000 + b"{}]\n\n", content_type="text/event-stream"), "held so many objects"),
        (reply(b"x", content_type="application/json", content_encoding="gzip"), "compressed"),
        (reply(b"<p>hello", content_type="text/html"), ""),
        (reply(b"", 302, location="http://127.0.0.2/"), ""),
    ],
    ids=["too-large", "too-full", "too-full-event", "compressed", "a-page", "elsewhere"],
)
def test_an_answer_over_http_that_is_none_is_a_server_that_does_not_start(answer: bytes, says: str) -> None:
    async def play() -> None:
        async with HttpServer() as web, servers(shop={"url": f"{web.address}/mcp", "start_s": 10}) as found:
            web.answers["/mcp"] = answer
            with pytest.raises((BridgeError, LimitError)) as caught:
                await found.offered("shop")
            assert says in str(caught.value) and "'shop'" in str(caught.value)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("name", "table", "says"),
    [
        ("a_b", {"command": ["x"]}, "a server's name is a small letter"),
        ("a", "x", "must be a table"),
        ("a", {}, "needs one of command"),
        ("a", {"command": ["x"], "url": "https://x.test/"}, "needs one of command"),
        ("a", {"command": "x y"}, "command must be a list of texts"),
        ("a", {"command": []}, "command is empty"),
        ("a", {"comand": ["x"]}, "did you mean 'command'"),
        ("a", {"command": ["x"], "auth": "key"}, "'auth', which goes with url"),
        ("a", {"url": "https://x.test/", "env": ["X"]}, "'env', which goes with command"),
        ("a", {"command": ["x"], "env": ["X=1"]}, "holds no values"),
        ("a", {"url": "file:///etc/passwd"}, "url must be such as"),
        ("a", {"url": "https://me:pass@x.test/"}, "without a user in it"),
        ("a", {"url": "https://x.test:99999/"}, "url must be such as"),
        ("a", {"command": ["x"], "level": "harmless"}, "level must be one of read, write, network, dangerous"),
        ("a", {"command": ["x"], "tools": {"t": "harmless"}}, "the level of the tool 't' must be one of"),
        ("a", {"command": ["x"], "tools": "t"}, "tools must be a list"),
        ("a", {"command": ["x"], "start_s": 0}, "start_s must be a number of seconds"),
        ("a", {"command": ["x"], "timeout_s": True}, "timeout_s must be a number of seconds"),
    ],
)
def test_a_wrong_declaration_is_told_with_its_key(name: str, table: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        McpServers({name: table}, no_secret, {})
    assert caught.value.key == f"mcp.{name}" and says in str(caught.value)
