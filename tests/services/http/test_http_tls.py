"""HTTPS: the name that was asked for is the one that TLS speaks of and the certificate must have."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError, ConfigError, DeniedError
from llmspell_kernel.services.http.client import trusted
from llmspell_kernel.services.http.options import RequestOptions
from llmspell_kernel.testing.http_server import HttpServer, reply

from .conftest import Certificates
from .worlds import world


def test_tls_and_the_host_header_keep_the_name_while_the_address_is_dialled(certificates: Certificates) -> None:
    async def run() -> None:
        async with world(tls=certificates.server, trusted=certificates.client) as here:
            here.server.answers["/"] = reply(b"safe")
            assert (await here.call("/")).body == b"safe"
            assert here.server.requests[0].name == "site.test"
            assert here.server.requests[0].header("host") == f"site.test:{here.server.port}"

    asyncio.run(run())


@pytest.mark.parametrize("trust", ["nobody", "another name"])
def test_a_certificate_that_is_not_valid_for_the_name_is_refused_and_nothing_is_sent(certificates: Certificates, trust: str) -> None:
    async def run() -> None:
        client = certificates.client if trust == "another name" else None
        async with world(tls=certificates.server, trusted=client) as here:
            with pytest.raises(BridgeError) as caught:
                await here.call("/", host="127.0.0.1" if trust == "another name" else "site.test")
            assert (caught.value.code, caught.value.retryable) == ("tls", False)
            assert "its certificate is not valid for it" in caught.value.message
            assert here.server.requests == []

    asyncio.run(run())


def test_a_file_of_certificates_is_trusted_beside_the_public_ones(certificates: Certificates) -> None:
    async def run() -> None:
        async with world(tls=certificates.server, ca_file=str(certificates.file)) as here:
            here.server.answers["/"] = reply(b"safe")
            assert (await here.call("/")).body == b"safe"

    asyncio.run(run())


def test_the_environment_names_no_certificates(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.file))

    async def run() -> None:
        async with world(tls=certificates.server) as here:
            with pytest.raises(BridgeError) as caught:
                await here.call("/")
            assert caught.value.code == "tls"

    asyncio.run(run())


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("nothing of the kind", "it holds no certificates")])
def test_a_file_of_certificates_that_is_none_is_one_clear_error(tmp_path: Any, content: str | None, reason: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        trusted(str(file))
    assert caught.value.key == "network.ca_file" and reason in caught.value.message


def test_a_redirect_never_leads_from_https_to_http(certificates: Certificates) -> None:
    async def run() -> None:
        async with HttpServer() as plain, world(tls=certificates.server, trusted=certificates.client, ports=(80, plain.port)) as here:
            here.server.answers["/"] = reply(status=302, location=f"http://site.test:{here.server.port}/")
            with pytest.raises(DeniedError) as caught:
                await here.call("/")
            assert "redirects from https to http" in caught.value.message
            assert len(here.server.requests) == 1

    asyncio.run(run())


def test_a_server_that_speaks_no_tls_is_a_failure_of_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Speak plainly\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with world(allow_private=(f"site.test:{port}",)) as here, server:
            with pytest.raises(BridgeError) as caught:
                await here.service.call("GET", f"https://site.test:{port}/", RequestOptions(timeout_s=5.0))
            assert caught.value.code == "tls"

    asyncio.run(run())


def test_old_versions_of_tls_are_not_spoken() -> None:
    assert trusted("").minimum_version >= ssl.TLSVersion.TLSv1_2
    assert trusted("").verify_mode is ssl.CERT_REQUIRED and trusted("").check_hostname
