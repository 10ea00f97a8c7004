"""The bridge `hash`."""

import asyncio
from typing import Any

import pytest

from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges.hash import Hash
from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.values import Value

METHODS = declare(Hash).methods

# FIPS 180, RFC 1321 and RFC 4231, case 2
PUBLISHED = [
    ("sha256", ["abc"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha256", [""], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("sha1", ["abc"], "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("md5", ["abc"], "900150983cd24fb0d6963f7d28e17f72"),
    ("hmac_sha256", ["Jefe", "what do ya want for nothing?"], "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
]


def digest(context: FakeContext, name: str, *given: Value) -> Any:
    return asyncio.run(getattr(Hash(), name)(context, *METHODS[name].bind(list(given))))


@pytest.mark.parametrize(("name", "given", "hex_digits"), PUBLISHED)
def test_digests_are_the_published_ones(context: FakeContext, name: str, given: list[str], hex_digits: str) -> None:
    assert digest(context, name, *given) == hex_digits


@pytest.mark.parametrize("name", ["sha256", "sha1", "md5"])
def test_a_text_counts_as_its_utf8_bytes(context: FakeContext, name: str) -> None:
    assert digest(context, name, "h\u00e9") == digest(context, name, b"h\xc3\xa9")
    assert digest(context, name, b"\xff\x00") != digest(context, name, b"")


def test_anything_else_is_an_argument_error(context: FakeContext) -> None:
    with pytest.raises(ArgumentError, match=r"hash\.sha256.*data"):
        digest(context, "sha256", 1)
