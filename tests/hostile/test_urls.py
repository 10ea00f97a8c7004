"""No URL, name or redirect leads a request to where the policy says no: the cases of urls.toml against the real client.

The resolver is the test's own, as an attacker's would be; connections are real, and a server at 127.0.0.2 says whether anybody came.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llmspell_kernel.errors import BridgeError, SpellError
from llmspell_kernel.policy.network import NetworkPolicy
from llmspell_kernel.services.http.options import RequestOptions
from llmspell_kernel.services.http.service import HttpService
from llmspell_kernel.testing.http_server import HttpServer, reply

DATA = tomllib.loads((Path(__file__).parent / "urls.toml").read_text("utf-8"))
FEWEST = 150
OPTIONS = RequestOptions(timeout_s=5.0)


class Case(NamedTuple):
    what: str
    expect: str
    table: dict[str, Any]


def cases_of(kind: str, key: str, default: str = "denied") -> list[Any]:
    cases = []
    for table in DATA[kind]:
        for index, what in enumerate(table[key]):
            expect = table.get("except", {}).get(what, table.get("expect", default)) if isinstance(what, str) else default
            cases.append(pytest.param(Case(what, expect, table), id=f"{table['why']}-{index}"))
    return cases


URLS, ADDRESSES, REDIRECTS = cases_of("urls", "cases"), cases_of("addresses", "cases"), cases_of("redirects", "locations")
REBINDING = [pytest.param(table, id=table["why"]) for table in DATA["rebinding"]]


def no_secret(name: str, host: str, scheme: str) -> str:
    raise AssertionError("no secret was asked for")


class Names:
    """A resolver that says what it was told to, one answer after the other, and remembers what it was asked."""

    def __init__(self, answers: dict[str, list[Sequence[str]]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self._answers.get(host, [])
        if not answers:
            raise BridgeError(f"the host {host} was not found", code="no_such_host")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@asynccontextmanager
async def service(policy: NetworkPolicy, names: Names) -> AsyncIterator[HttpService]:
    made = HttpService(lambda: policy, no_secret, resolve=names)
    try:
        yield made
    finally:
        await made.close()


async def outcome(made: HttpService, url: str) -> str:
    """The code of the error, "" for an answer."""
    try:
        await made.call("GET", url, OPTIONS)
    except SpellError as error:
        return error.code
    return ""


def test_there_are_at_least_150_cases() -> None:
    assert len(URLS) + len(ADDRESSES) + len(REDIRECTS) + sum(len(table.values[0]["expect"]) for table in REBINDING) >= FEWEST


@pytest.mark.parametrize("case", URLS)
def test_a_url_is_judged_before_anything_is_looked_up(case: Case) -> None:
    async def run() -> None:
        names = Names({})
        policy = NetworkPolicy(**{name: tuple(value) for name, value in case.table.get("policy", {}).items()})
        async with service(policy, names) as made:
            code = await outcome(made, case.what)
        if case.expect.startswith("asked "):
            assert (code, names.asked) == ("no_such_host", [case.expect.removeprefix("asked ")])
        else:
            assert (code, names.asked) == (case.expect, [])

    asyncio.run(run())


@pytest.mark.parametrize("case", ADDRESSES)
def test_a_public_name_that_leads_to_any_address_that_is_not_public_is_denied_and_nothing_is_dialled(case: Case) -> None:
    async def run() -> None:
        names = Names({"public.example": [case.what]})
        async with service(NetworkPolicy(connect_s=0.5), names) as made:
            assert await outcome(made, "http://public.example/") == "denied"
        assert names.asked == ["public.example"]

    asyncio.run(run())


@asynccontextmanager
async def site() -> AsyncIterator[tuple[HttpServer, HttpServer, NetworkPolicy]]:
    """A server at 127.0.0.1 that may be called by three names, a victim at 127.0.0.2 with the same port, and their policy."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(HttpServer())
        victim = await stack.enter_async_context(HttpServer("127.0.0.2", server.port))
        hosts = ("site.test", "other.test", "denied.test", "127.0.0.1")
        yield server, victim, NetworkPolicy(allow_private=tuple(f"{host}:{server.port}" for host in hosts), deny=("denied.test",))


@pytest.mark.parametrize("case", REDIRECTS)
def test_a_redirect_is_judged_like_a_call(case: Case) -> None:
    async def run() -> None:
        async with site() as (server, victim, policy):
            server.answers["/start"] = reply(status=case.table["status"], location=case.what.format(port=server.port))
            server.answers["*"] = reply(b"arrived")
            names = Names({"site.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]], "denied.test": [["127.0.0.1"]]})
            async with service(policy, names) as made:
                code = await outcome(made, f"http://site.test:{server.port}/start")
            last = server.requests[-1]
            arrived = f"{last.method} {(last.header('host') or '').partition(':')[0]} {last.target}"
            assert (code or arrived) == case.expect.format(port=server.port)
            assert victim.connections == 0
            if code != "limit" and code:
                assert len(server.requests) == 1

    asyncio.run(run())


@pytest.mark.parametrize("table", REBINDING)
def test_a_name_that_changes_its_address_reaches_nothing_that_was_not_judged(table: dict[str, Any]) -> None:
    async def run() -> None:
        async with site() as (server, victim, policy):
            server.answers["*"] = reply(b"arrived", connection="close")
            server.answers["/to-other"] = reply(status=302, location=f"http://other.test:{server.port}/", connection="close")
            look_ups = table["look_ups"]
            names = Names({"site.test": list(look_ups), "public.example": list(look_ups), "other.test": list(look_ups[1:])})
            url = f"http://{table['name']}:{table.get('port', server.port)}{table.get('path', '/')}"
            async with service(policy, names) as made:
                for number, expected in enumerate(table["expect"], 1):
                    before = server.connections
                    code = await outcome(made, url)
                    assert (code or "127.0.0.1") == expected, number
                    hops = 1 if "path" in table else 0
                    assert server.connections - before == (1 if code == "" else hops)
            assert len(names.asked) == len(table["expect"]) + (1 if "path" in table else 0)
            assert victim.connections == 0

    asyncio.run(run())


def test_a_public_site_cannot_lead_to_a_private_host_even_where_that_one_is_listed() -> None:
    policy = NetworkPolicy(allow_private=("127.0.0.1:8888",))
    with pytest.raises(SpellError) as caught:
        policy.redirected(policy.url("http://public.example/"), "http://127.0.0.1:8888/api")
    assert caught.value.code == "denied"
    assert policy.redirected(policy.url("http://127.0.0.1:8888/"), "/api").path == "/api"


def test_a_connection_that_is_open_is_used_again_and_its_name_is_not_looked_up_again() -> None:
    async def run() -> None:
        async with site() as (server, _, policy):
            server.answers["*"] = reply(b"arrived")
            names = Names({"site.test": [["127.0.0.1"], ["169.254.169.254"]]})
            async with service(policy, names) as made:
                assert [await outcome(made, f"http://site.test:{server.port}/") for _ in range(3)] == ["", "", ""]
            assert (names.asked, server.connections) == (["site.test"], 1)

    asyncio.run(run())


def test_connections_of_one_policy_do_not_serve_another() -> None:
    async def run() -> None:
        async with site() as (server, _, policy):
            server.answers["*"] = reply(b"arrived")
            names = Names({"site.test": [["127.0.0.1"], ["169.254.169.254"]]})
            held = [policy]
            made = HttpService(lambda: held[0], no_secret, resolve=names)
            assert await outcome(made, f"http://site.test:{server.port}/") == ""
            held[0] = policy._replace(timeout_s=3.0)
            assert await outcome(made, f"http://site.test:{server.port}/") == "denied"
            await made.close()
            assert server.connections == 1

    asyncio.run(run())


def test_the_name_is_never_given_to_the_system_once_it_was_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with site() as (server, _, policy):
            server.answers["*"] = reply(b"arrived")
            loop, dialled = asyncio.get_running_loop(), []
            connect = loop.create_connection

            async def create_connection(factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
                dialled.append(host)
                return await connect(factory, host, port, **more)

            monkeypatch.setattr(loop, "create_connection", create_connection)
            async with service(policy, Names({"site.test": [["127.0.0.1"]]})) as made:
                assert await outcome(made, f"http://site.test:{server.port}/") == ""
            assert dialled == ["127.0.0.1"]
            assert server.requests[0].header("host") == f"site.test:{server.port}"

    asyncio.run(run())
