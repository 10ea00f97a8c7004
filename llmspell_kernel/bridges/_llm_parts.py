"""`llm.image` and `llm.file`: parts of messages that are no text.  A part of the bridge `llm`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from llmspell_kernel.errors import ArgumentError, BridgeError
from llmspell_kernel.services.llm.pictures import MAX_BYTES, FileSource, PictureSource

from ._bridge import Context, method


class Parts:
    """Methods of `llm` that make parts of messages.

    What is at an address or in a file is asked of the bridges `http` and `storage`, under their policy: the clients of models would open it
    themselves, past any.
    """

    @method(replay="again")
    async def image(self, ctx: Context, source: str | PictureSource) -> dict[str, Any]:
        """A picture as a part of a message: `{role = "user", content = {{type = "text", text = "..."}, llm.image("cat.png")}}`.

        - source: an address (https://...), the name of a file of `storage`, or {url}, {file} or {data} with {detail}

        Its bytes are fetched or read now, as `http.get` and `storage.read` would, and go with the message.  Raises ArgumentError for what is no
        PNG, JPEG, GIF or WebP, LimitError for more than 8,000,000 bytes, and what those two raise.
        """
        from llmspell_kernel.services.llm.pictures import image_part

        asked = source if isinstance(source, PictureSource) else PictureSource(**_named(source))
        data = await _bytes(ctx, asked.url, asked.file, asked.data)
        return await asyncio.to_thread(image_part, data, asked.detail)

    @method(replay="again")
    async def file(self, ctx: Context, source: str | FileSource) -> dict[str, Any]:
        """A file as a part of a message, such as a PDF, for models that read files.

        - source: an address (https://...), the name of a file of `storage`, or {url}, {file} or {data} with {filename, media_type}

        As `image`; where the first bytes do not tell what it is, it must be said.
        """
        from llmspell_kernel.services.llm.pictures import file_part

        asked = source if isinstance(source, FileSource) else FileSource(**_named(source))
        data = await _bytes(ctx, asked.url, asked.file, asked.data)
        name = asked.filename or (asked.file.rpartition("/")[2] if asked.file else None)
        return await asyncio.to_thread(file_part, data, asked.media_type, name)


def _named(source: str) -> dict[str, Any]:
    return {"url": source} if source.startswith(("http://", "https://", "data:")) else {"file": source}


async def _bytes(ctx: Context, url: str | None, file: str | None, data: bytes | None) -> bytes:
    from llmspell_kernel.services.llm.pictures import bytes_of, checked, data_url_bytes

    if sum(one is not None for one in (url, file, data)) != 1:
        raise ArgumentError("a part of a message needs one of url, file and data")
    if data is not None:
        return await asyncio.to_thread(bytes_of, data)
    if file is not None:
        read = await ctx.call("storage", "read", file)
        return checked(read.encode() if isinstance(read, str) else read)
    assert url is not None
    if url.startswith("data:"):
        return await asyncio.to_thread(partial(data_url_bytes, url))
    answer = await ctx.call("http", "get", url, {"binary": True, "max_bytes": MAX_BYTES})
    if not answer["ok"]:
        raise BridgeError(f"there is nothing at {url[:200]}: it answered with the status {answer['status']}", code="bad_answer")
    return checked(answer["bytes"])
