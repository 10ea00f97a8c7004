"""Whose a secret is, where its value comes from, and which hosts get it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmspell_kernel.errors import ConfigError, DeniedError, ScriptError
from llmspell_kernel.redaction import Redactor
from llmspell_kernel.services.llm.providers import PROVIDERS
from llmspell_kernel.services.secrets import Secrets

VALUE = "ghp_n0tAReal0ne"


def secrets(*hosts: str, **environ: str) -> Secrets:
    return Secrets({"github": {"env": "TOKEN", "hosts": list(hosts)}}, {"TOKEN": VALUE, **environ}, Redactor())


@pytest.mark.parametrize(
    "bound, host, scheme",
    [
        ("api.github.com", "api.github.com", "https"),
        ("api.github.com", "API.GitHub.com", "https"),
        ("API.GitHub.com", "api.github.com.", "https"),
        ("api.github.com", "api.github.com:443", "https"),
        ("api.github.com:8443", "api.github.com:8443", "https"),
        ("*.github.com", "api.github.com", "https"),
        ("*.github.com", "a.b.github.com", "https"),
        ("127.0.0.1", "127.0.0.1", "https"),
        ("127.0.0.1", "127.0.0.1:8080", "http"),
        ("127.0.0.1:8080", "127.0.0.1:8080", "http"),
        ("localhost:8080", "localhost:8080", "http"),
        ("[::1]:8080", "[::1]:8080", "http"),
    ],
)
def test_a_host_that_a_secret_is_bound_to_gets_it(bound: str, host: str, scheme: str) -> None:
    assert secrets(bound).value("github", host, scheme=scheme) == VALUE


@pytest.mark.parametrize(
    "bound, host, scheme",
    [
        ("api.github.com", "github.com", "https"),
        ("api.github.com", "evil.com", "https"),
        ("api.github.com", "api.github.com.evil.com", "https"),
        ("api.github.com", "notapi.github.com", "https"),
        ("api.github.com", "api.github.com", "http"),
        ("api.github.com", "api.github.com", "ftp"),
        ("api.github.com", "api.github.com:8443", "https"),
        ("api.github.com:8443", "api.github.com", "https"),
        ("api.github.com", "api.github.com:443@evil.com", "https"),
        ("api.github.com", "api.github.com:99999", "https"),
        ("api.github.com", "", "https"),
        ("*.github.com", "github.com", "https"),
        ("*.github.com", "evilgithub.com", "https"),
        ("*.github.com", ".github.com.evil.com", "https"),
        ("127.0.0.1:8080", "127.0.0.1:8081", "http"),
        ("127.0.0.1", "127.0.0.2", "http"),
        ("127.0.0.1", "localhost", "http"),
        ("10.0.0.1", "10.0.0.1", "http"),
    ],
)
def test_no_other_host_gets_it(bound: str, host: str, scheme: str) -> None:
    with pytest.raises(DeniedError, match="does not go to") as caught:
        secrets(bound).value("github", host, scheme=scheme)
    assert "[secrets.github] hosts" in str(caught.value) and VALUE not in str(caught.value)


def test_a_secret_bound_to_no_host_goes_nowhere() -> None:
    with pytest.raises(DeniedError, match="bound to no host"):
        secrets().value("github", "api.github.com")


def test_an_unknown_secret_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ScriptError, match="did you mean 'github'"):
        secrets("a.example.com").value("githup", "a.example.com")


@pytest.mark.parametrize(
    "host", ["https://api.github.com", "api.github.com/v3", "a b", "*", "*.com", "*", "a*.github.com", "", "user@a.b", "a..b", "x\n"]
)
def test_what_is_no_host_is_refused_where_it_is_declared(host: str) -> None:
    with pytest.raises(ConfigError, match="host"):
        secrets(host)


@pytest.mark.parametrize(
    "table, told",
    [
        ({}, "needs one of env"),
        ({"env": "A", "file": "/a"}, "needs one of env"),
        ({"env": "ghp with spaces 12345"}, "must name a variable"),
        ({"env": 7}, "must name a variable"),
        ({"file": "secret.txt"}, "begins with / or ~/"),
        ({"value": VALUE}, "never stands in a settings file"),
        ({"envv": "A"}, "did you mean 'env'"),
        ({"env": "A", "hosts": "api.github.com"}, "must be a list of hosts"),
        ({"env": "A", "hosts": [1]}, "must be a list of hosts"),
    ],
)
def test_a_wrong_declaration_is_one_clear_error_that_quotes_no_value(table: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        Secrets({"github": table}, {}, Redactor())
    assert "secrets.github" in str(caught.value) and VALUE not in str(caught.value) and "ghp" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "1a", "a b", "a]", "x" * 65, "\x1b[31m", "a\n"])
def test_what_cannot_name_a_secret_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a secret's name is a letter"):
        Secrets({}, {}, Redactor()).set(name, VALUE)


def test_a_variable_that_is_not_set_is_told_when_the_secret_is_asked_for_and_its_name_is_not_quoted() -> None:
    found = Secrets({"github": {"env": "ghp_pasted_by_mistake", "hosts": ["a.example.com"]}}, {}, Redactor())
    assert found.names() == ["github"] and not found.has("github")
    with pytest.raises(ConfigError, match="is not set") as caught:
        found.value("github", "a.example.com")
    assert "ghp_pasted" not in str(caught.value) and "ghp_pasted" not in str(found.faults())


def test_a_variable_set_later_is_found_when_it_is_asked_for() -> None:
    environ: dict[str, str] = {}
    found = Secrets({"github": {"env": "TOKEN", "hosts": ["a.example.com"]}}, environ, redactor := Redactor())
    environ["TOKEN"] = VALUE
    assert found.value("github", "a.example.com") == VALUE
    assert redactor.redact(VALUE) == "[secret github]"


def test_a_value_too_short_to_be_redacted_is_never_given_out() -> None:
    found = Secrets({"pin": {"env": "PIN", "hosts": ["a.example.com"]}}, {"PIN": "1234567"}, Redactor())
    with pytest.raises(ConfigError, match="fewer than 8 characters") as caught:
        found.value("pin", "a.example.com")
    assert "1234567" not in str(caught.value)


def kept(folder: Path, data: bytes = VALUE.encode() + b"\n", mode: int = 0o600) -> Path:
    file = folder / "token"
    file.write_bytes(data)
    file.chmod(mode)
    return file


def from_file(file: Path) -> str:
    return Secrets({"github": {"file": str(file), "hosts": ["a.example.com"]}}, {}, Redactor()).value("github", "a.example.com")


def test_a_file_of_its_owner_alone_holds_a_value(tmp_path: Path) -> None:
    assert from_file(kept(tmp_path)) == VALUE
    assert from_file(kept(tmp_path, mode=0o400)) == VALUE


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o666, 0o610])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        from_file(kept(tmp_path, mode=mode))


def test_a_link_a_pipe_a_folder_and_a_missing_file_are_refused_at_once(tmp_path: Path) -> None:
    kept(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "token")
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name, told in {"link": "cannot be read", "pipe": "is not a file", "folder": "is not a file", "none": "cannot be read"}.items():
        with pytest.raises(ConfigError, match=told):
            from_file(tmp_path / name)


@pytest.mark.parametrize("data, told", [(b"", "fewer than 8"), (b"\xff" * 20, "not UTF-8"), (b"x" * 100_000, "more than")])
def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        from_file(kept(tmp_path, data))


def test_python_sets_a_secret_that_settings_do_not_take_away() -> None:
    found = Secrets({}, {}, redactor := Redactor())
    found.set("api", VALUE, hosts=["a.example.com"])
    found.declare({})
    assert found.names() == ["api"] and found.has("api") and found.hosts("api") == ("a.example.com",)
    assert found.value("api", "a.example.com") == VALUE
    assert redactor.redact(f"<{VALUE}>") == "<[secret api]>"


@pytest.mark.parametrize("value", ["short", 12345678, None, b"12345678"])
def test_python_is_told_of_a_value_that_is_none(value: object) -> None:
    with pytest.raises(ConfigError):
        Secrets({}, {}, Redactor()).set("api", value)  # type: ignore[arg-type]


def test_a_secret_that_is_gone_from_the_settings_is_still_redacted() -> None:
    found = Secrets({"github": {"env": "TOKEN"}}, {"TOKEN": VALUE}, redactor := Redactor())
    found.declare({})
    assert found.names() == [] and redactor.redact(VALUE) == "[secret github]"


@pytest.mark.parametrize("variable", sorted({key for provider in PROVIDERS for key in provider.keys}))
def test_every_key_that_a_provider_is_asked_with_is_redacted(variable: str) -> None:
    Secrets({}, {variable: VALUE}, redactor := Redactor())
    assert redactor.redact(f"Incorrect API key provided: {VALUE}.") == f"Incorrect API key provided: [secret {variable}]."


@pytest.mark.parametrize(
    "variable",
    [
        "AZURE_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
        "HF_TOKEN",
        "WATSONX_APIKEY",
        "LITELLM_MASTER_KEY",
        "SNOWFLAKE_JWT",
    ],
)
def test_keys_by_other_names_that_litellm_reads_are_redacted(variable: str) -> None:
    Secrets({}, {variable: VALUE}, redactor := Redactor())
    assert redactor.redact(VALUE) == f"[secret {variable}]"


def test_placeholders_and_other_variables_are_no_keys() -> None:
    Secrets({}, {"OPENAI_API_KEY": "none", "HOME": "/home/somebody", "LANGFUSE_PUBLIC_KEY": VALUE}, redactor := Redactor())
    assert not redactor.active


def test_a_key_that_a_cell_puts_into_the_environment_is_redacted_in_the_next() -> None:
    environ: dict[str, str] = {}
    found = Secrets({}, environ, redactor := Redactor())
    environ["OPENAI_API_KEY"] = VALUE
    found.refresh()
    assert redactor.active
