"""Bridge `hash`: digests of texts and bytes, as lower-case hex."""

from __future__ import annotations

import hashlib
import hmac

from llmspell_kernel import Bridge, Context, method


class Hash(Bridge):
    """Digests of texts (their UTF-8 bytes) and of bytes, as lower-case hex."""

    name = "hash"

    @method(replay="call")
    async def sha256(self, ctx: Context, data: bytes) -> str:
        """The SHA-256 digest, 64 hex digits.

        - data: a text or bytes
        """
        return hashlib.sha256(data).hexdigest()

    @method(replay="call")
    async def sha1(self, ctx: Context, data: bytes) -> str:
        """The SHA-1 digest, 40 hex digits: for names of content only, as it can be forged.

        - data: a text or bytes
        """
        return hashlib.sha1(data, usedforsecurity=False).hexdigest()

    @method(replay="call")
    async def md5(self, ctx: Context, data: bytes) -> str:
        """The MD5 digest, 32 hex digits: for old checksums only, as it can be forged.

        - data: a text or bytes
        """
        return hashlib.md5(data, usedforsecurity=False).hexdigest()

    @method(replay="call")
    async def hmac_sha256(self, ctx: Context, key: bytes, data: bytes) -> str:
        """The keyed digest HMAC-SHA-256, 64 hex digits.

        - key: the key, a text or bytes
        - data: a text or bytes
        """
        return hmac.new(key, data, hashlib.sha256).hexdigest()
