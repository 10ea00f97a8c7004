"""Pictures and files as parts of messages: from bytes, storage and the web, to the provider."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import Session
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import ArgumentError, BridgeError, LimitError
from llmspell_kernel.services.llm.pictures import MAX_BYTES, FileSource, PictureSource
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\xff"
PDF = b"%PDF-1.4\xff"


def written(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image(source: Any, **answers: Any) -> Any:
    return asyncio.run(Llm(LlmService({}, local_installed=False)).image(FakeContext(answers=answers.get("answers")), source))


def file(source: Any, **answers: Any) -> Any:
    return asyncio.run(Llm(LlmService({}, local_installed=False)).file(FakeContext(answers=answers.get("answers")), source))


def test_bytes_base64_and_data_urls_are_the_same_picture() -> None:
    part = {"type": "image_url", "image_url": {"url": written(PNG, "image/png")}}
    assert image(PictureSource(data=PNG)) == image(PictureSource(data=base64.b64encode(PNG))) == image(written(PNG, "image/png")) == part
    assert image(PictureSource(data=PNG, detail="low"))["image_url"]["detail"] == "low"


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a\xff", "image/gif"), (b"RIFF\x10\x00\x00\x00WEBPVP8 \xff", "image/webp")],
)
def test_the_kind_of_a_picture_is_told_from_its_bytes(data: bytes, kind: str) -> None:
    assert image(PictureSource(data=data))["image_url"]["url"] == written(data, kind)
    assert image(f"data:text/html;base64,{base64.b64encode(data).decode()}")["image_url"]["url"].startswith(f"data:{kind};")


def test_files_say_what_they_are_or_must_be_told() -> None:
    assert file(FileSource(data=PDF)) == {"type": "file", "file": {"file_data": written(PDF, "application/pdf")}}
    assert file(FileSource(data="größer".encode(), filename="a.txt"))["file"] == {
        "file_data": written("größer".encode(), "text/plain"),
        "filename": "a.txt",
    }
    with pytest.raises(ArgumentError, match="say the media_type"):
        file(FileSource(data=b"\xd0\xcf\x11\xe0"))
    assert file(FileSource(data=b"\xd0\xcf\x11\xe0", media_type="application/msword"))["file"]["file_data"].startswith(
        "data:application/msword;"
    )
    with pytest.raises(ArgumentError, match="media_type must be"):
        file(FileSource(data=b"\xd0", media_type="x/y;base64,AAAA"))


def test_an_address_is_asked_of_http_and_a_name_of_storage() -> None:
    fetched: list[Any] = []

    def get(*args: Any) -> Any:
        fetched.append(args)
        return {"ok": True, "status": 200, "bytes": PNG}

    assert image("https://example.com/a.png", answers={"http.get": get})["image_url"]["url"] == written(PNG, "image/png")
    assert fetched == [("https://example.com/a.png", {"binary": True, "max_bytes": MAX_BYTES})]
    assert file("papers/a.pdf", answers={"storage.read": lambda path: PDF})["file"]["filename"] == "a.pdf"
    with pytest.raises(BridgeError, match="status 404"):
        image("https://example.com/a.png", answers={"http.get": lambda *_: {"ok": False, "status": 404, "bytes": b""}})


@pytest.mark.parametrize(
    "source",
    [
        PictureSource(),
        PictureSource(data=PNG, file="x"),
        PictureSource(data=b"words"),
        PictureSource(data=b""),
        "data:,x",
        "data:image/png;base64,*",
    ],
)
def test_what_is_no_picture_is_refused(source: Any) -> None:
    with pytest.raises(ArgumentError):
        image(source)


def test_more_bytes_than_a_message_takes_are_refused() -> None:
    with pytest.raises(LimitError, match="8,000,000"):
        image(PictureSource(data=PNG + bytes(MAX_BYTES)))
    with pytest.raises(LimitError, match="8,000,000"):
        image("big.png", answers={"storage.read": lambda path: PNG + bytes(MAX_BYTES)})


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_picture_of_storage_goes_to_the_provider_and_is_under_policy(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = {
        "lua": """storage.write("a.png", base64.decode("PNG"))
            local parts = {{type = "text", text = "What?"}, llm.image("a.png"), llm.file{data = "words"}}
            return llm.chat({{role = "user", content = parts}})""",
        "javascript": """await storage.write("a.png", Uint8Array.from(atob("PNG"), c => c.charCodeAt(0)));
            const parts = [{type: "text", text: "What?"}, await llm.image("a.png"), await llm.file({data: "words"})];
            await llm.chat([{role: "user", content: parts}])""",
    }

    async def run() -> None:
        async with OpenAIServer(Reply(chunks=["a dot"])) as server:
            monkeypatch.setenv("OPENAI_API_BASE", server.address)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
            async with Session(settings=Settings(model="openai/gpt-4o-mini"), folder=tmp_path) as session:
                result = await session.run(cells[engine].replace("PNG", base64.b64encode(PNG).decode()), engine=engine)
                assert result.error is None and result.values == ["a dot"], result.error
                words, picture, text = server.requests[0]["messages"][0]["content"]
                assert words == {"type": "text", "text": "What?"}
                assert picture["image_url"]["url"] == written(PNG, "image/png")
                assert text["file"]["file_data"] == written(b"words", "text/plain")
                refused = {
                    "lua": 'return llm.image("http://127.0.0.1:1/a.png")',
                    "javascript": 'await llm.image("http://127.0.0.1:1/a.png")',
                }
                result = await session.run(refused[engine], engine=engine)
                assert result.error is not None and result.error.code == "denied"

    asyncio.run(run())
