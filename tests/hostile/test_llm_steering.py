"""A script cannot tell the model's client where to go, what key to show or what to open: it says what to ask, and no more."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.http_server import HttpServer
from llmspell_kernel.testing.openai_server import OpenAIServer

OPTIONS = (
    "base_url",
    "api_base",
    "api_key",
    "api_version",
    "headers",
    "extra_headers",
    "extra_body",
    "extra_query",
    "organization",
    "custom_llm_provider",
    "client",
    "http_client",
    "proxy",
    "fallbacks",
    "mock_response",
    "metadata",
    "litellm_params",
    "model_list",
    "azure_ad_token",
    "aws_access_key_id",
    "vertex_credentials",
    "callbacks",
    "logger_fn",
    "hf_model_name",
    "tools_url",
    "timeout",
    "max_retries",
    "num_retries",
    "stream_options",
    "user",
    "drop_params",
)
CALL = {
    "lua": 'local ok, e = pcall(llm.{method}, "hi", {{ model = "openai/test", {name} = "{value}" }}) return ok, e.code, e.message',
    "javascript": 'try {{ await llm.{method}("hi", {{ model: "openai/test", {name}: "{value}" }}); [true] }}'
    " catch (e) {{ [false, e.code, e.message] }}",
}
CALLS_WITH_MODEL = {
    "lua": ('return llm.chat("hi", {{ model = "{name}" }})', 'return llm.set_model("{name}")'),
    "javascript": ('await llm.chat("hi", {{ model: "{name}" }})', 'await llm.setModel("{name}")'),
}
MODELS = (
    "openai/{address}",
    "huggingface/{address}/v1",
    "openai/../../{authority}",
    "openai/x?api_base={address}",
    "openai/x#y",
    "openai/x\\r\\nHost: evil",
    "openai//{authority}/x",
    "openai/\\\\{authority}",
    "custom_openai/{address}",
    "{address}",
    "openai/%2e%2e",
    "openai/ x",
    "openai/",
)
PARTS = (
    '{{ "type": "image_url", "image_url": {{ "url": "{address}/picture.png" }} }}',
    '{{ "type": "image_url", "image_url": "{address}/picture.png" }}',
    '{{ "type": "image_url", "image_url": {{ "url": "file:///etc/passwd" }} }}',
    '{{ "type": "image_url", "image_url": {{ "url": "/etc/passwd" }} }}',
    '{{ "type": "image_url", "image_url": {{ "url": "data:image/png,{address}" }} }}',
    '{{ "type": "image_url", "image_url": {{ "url": "data:image/png;base64,AAAA", "api_base": "{address}" }} }}',
    '{{ "type": "file", "file": {{ "file_id": "{address}/x.pdf" }} }}',
    '{{ "type": "file", "file": {{ "file_data": "{address}/x.pdf" }} }}',
    '{{ "type": "file", "file": {{ "file_data": "data:application/pdf;base64,AAAA", "filename": "../../etc/passwd" }} }}',
    '{{ "type": "input_audio", "input_audio": {{ "data": "{address}", "format": "wav" }} }}',
    '{{ "type": "video_url", "video_url": {{ "url": "{address}" }} }}',
    '{{ "type": "document", "source": {{ "type": "url", "url": "{address}" }} }}',
    '{{ "type": "text", "text": "x", "url": "{address}" }}',
    '{{ "type": "text" }}',
)


@pytest.mark.parametrize("engine", CALL)
@pytest.mark.parametrize("method", ["chat", "generate", "stream"])
def test_no_option_names_an_address_a_header_or_a_key(engine: str, method: str) -> None:
    async def run() -> None:
        async with HttpServer() as evil, Session() as session:
            for name in OPTIONS:
                code = CALL[engine].format(method=method, name=name, value=evil.address)
                result = await session.run(code, engine=engine)
                found = result.values if engine == "lua" else result.values[0]
                assert found[:2] == [False, "argument"], (name, result.values, result.error)
                assert name in found[2]
            assert evil.connections == 0

    asyncio.run(run())


@pytest.mark.parametrize("engine", CALL)
def test_no_model_s_name_leads_anywhere(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with HttpServer() as evil, OpenAIServer() as own, Session(settings=Settings(model="spell/echo")) as session:
            monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
            monkeypatch.setenv("OPENAI_API_BASE", own.address)
            for model in MODELS:
                name = model.format(address=evil.address, authority=evil.authority)
                for code in CALLS_WITH_MODEL[engine]:
                    result = await session.run(code.format(name=name), engine=engine)
                    assert result.error is not None and result.error.code == "unknown_model", (name, result.values)
            assert (evil.connections, own.requests) == (0, [])

    asyncio.run(run())


@pytest.mark.parametrize("engine", CALL)
def test_no_part_of_a_message_makes_this_machine_open_something(engine: str) -> None:
    async def run() -> None:
        async with HttpServer() as evil, Session(settings=Settings(model="spell/echo")) as session:
            for part in PARTS:
                written = part.format(address=evil.address)
                message = f'[{{ "role": "user", "content": [{written}] }}]'
                if engine == "lua":
                    message = (
                        message.replace("[", "{").replace("]", "}").replace('": ', '"] = ').replace('{ "', '{ ["').replace(', "', ', ["')
                    )
                result = await session.run(
                    f"return llm.chat({message})" if engine == "lua" else f"await llm.chat({message})", engine=engine
                )
                assert result.error is not None and result.error.code == "argument", (part, result.values, result.error)
            assert evil.connections == 0

    asyncio.run(run())


def test_what_a_part_brings_with_it_goes_through() -> None:
    async def run() -> None:
        async with Session(settings=Settings(model="spell/echo")) as session:
            result = await session.run(
                """await llm.chat([{ role: "user", content: [
                    { type: "text", text: "look: " },
                    { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=", detail: "low" } },
                    { type: "image_url", image_url: "data:image/jpeg;base64,/9j/4AAQ" },
                    { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } },
                    { type: "file", file: { file_data: "data:application/pdf;base64,JVBERi0=", filename: "My paper (2).pdf" } },
                ] }])""",
                engine="javascript",
            )
            assert result.error is None and result.values == ["echo: look: "]

    asyncio.run(run())
