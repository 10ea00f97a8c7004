"""The one border where litellm's exceptions become ours.

Exceptions are told apart by the names of their classes, so that this file works, and is tested, without importing litellm.
Rules: a message names what happened and what to do; it never holds host paths, Python frames or the value of a key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from llmspell_kernel.errors import BridgeError

from .catalogue import Catalogue, unknown_model
from .providers import Provider, provider_named

MESSAGE_LIMIT = 300
CONNECT_ERRORS = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionRefusedError", "gaierror"})
CONTENT_ERRORS = frozenset(
    {"JSONDecodeError", "UnicodeDecodeError", "RecursionError", "TypeError", "AttributeError", "KeyError", "ValidationError"}
)
"""What the library stumbles over where a provider sends something that is not what it should be."""
CONNECT_WORDS = ("cannot connect", "connection refused", "name or service not known", "connection error", "connect call failed")
_PREFIX = re.compile(r"^(litellm\.)?[A-Za-z_]*(Error|Exception|Timeout): ?")
_PROVIDER_PREFIX = re.compile(r"^[A-Za-z_]+Exception - ?")
_PATH = re.compile(r"(?<![\w:/.])/(?:[\w.+-]+/)+[\w.+-]*")
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$")


class Failure(NamedTuple):
    """What is known where a call failed; `started`: the answer had begun."""

    model: str
    catalogue: Catalogue
    environ: Mapping[str, str]
    started: bool


class Rule(NamedTuple):
    code: str
    retryable: bool
    text: str


# The first class of the exception's ancestry that stands here decides.
RULES: dict[str, Rule] = {
    "ContextWindowExceededError": Rule("context_length", False, "the prompt is too long for {model}; shorten it"),
    "ContentPolicyViolationError": Rule("content_policy", False, "the provider's content policy refused the request to {model}"),
    "UnsupportedParamsError": Rule("unsupported_option", False, "{model} does not take one of the options; leave it out"),
    "RateLimitError": Rule("rate_limit", True, "the provider limits the rate of calls to {model}; try again{after}"),
    "Timeout": Rule("timeout", True, "{model} did not answer in time; try again or raise timeout_s"),
    "PermissionDeniedError": Rule("forbidden", False, "the provider does not let this key use {model}"),
    "ServiceUnavailableError": Rule("server_error", True, "the provider of {model} is overloaded or down; try again{after}"),
    "BadGatewayError": Rule("server_error", True, "the provider of {model} is overloaded or down; try again{after}"),
    "InternalServerError": Rule("server_error", True, "the provider of {model} failed; try again{after}"),
    "APIConnectionError": Rule("server_error", True, "the connection to the provider of {model} failed; try again{after}"),
    "UnprocessableEntityError": Rule("bad_request", False, "the provider of {model} refused the request"),
    "BadRequestError": Rule("bad_request", False, "the provider of {model} refused the request"),
}
# For the bare APIError, which litellm raises for statuses it has no class for.
STATUS_RULES = {403: RULES["PermissionDeniedError"], 408: RULES["Timeout"], 502: RULES["BadGatewayError"], 504: RULES["Timeout"]}
OTHER = Rule("provider", False, "the call of {model} failed")


def bridge_error(error: BaseException, failure: Failure) -> BridgeError:
    """Our error for whatever litellm raised.  The caller chains it to its cause."""
    ancestry = [kind.__name__ for kind in type(error).__mro__]
    said = clean(str(getattr(error, "message", "") or error), failure.environ)
    causes = [type(cause).__name__ for cause in _causes(error)]
    if CONTENT_ERRORS.intersection(causes[1:]):
        return bad_response(failure.model)
    if failure.started:
        if "APIError" in causes:  # the provider itself said so, in the middle of its answer
            rule = RULES["InternalServerError"]
            return BridgeError(f"{rule.text.format(model=failure.model, after=_after(None))}{_said(said)}", code=rule.code, retryable=True)
        return connection_lost(failure.model, said)
    if "AuthenticationError" in ancestry:
        return _refused_key(failure, said)
    if "NotFoundError" in ancestry or "LiteLLMUnknownProvider" in ancestry or "LLM Provider NOT provided" in said:
        return unknown_model(failure.model, failure.catalogue, said)
    if _cannot_connect(error, said):
        return _unreachable(failure)
    status_rule = STATUS_RULES.get(getattr(error, "status_code", 0), OTHER)
    rule = next((RULES[name] for name in ancestry if name in RULES), status_rule)
    after_s = _retry_after_s(error)
    text = rule.text.format(model=failure.model, after=_after(after_s))
    told = BridgeError(f"{text}{_said(said)}", code=rule.code, retryable=rule.retryable)
    told.retry_after_s = after_s
    return told


def missing_key(model: str, variables: tuple[str, ...]) -> BridgeError:
    """No key is set: which variable, and how to set it."""
    return BridgeError(
        f"{model} needs a key: set the environment variable {' or '.join(variables)} before the call, "
        "or choose a model without a key, such as spell/local",
        code="missing_key",
    )


def connection_lost(model: str, said: str = "") -> BridgeError:
    """The answer ended before its end."""
    return BridgeError(
        f"the connection to the provider of {model} broke in the middle of the answer{_said(said)}; try again",
        code="connection_lost",
        retryable=True,
    )


def bad_response(model: str) -> BridgeError:
    """What came is no answer, or not in the form that was asked for."""
    return BridgeError(
        f"what the provider of {model} sent is not an answer in the form of a stream of events; "
        "try again, and check that its address is that of a model's API",
        code="bad_response",
        retryable=True,
    )


def too_large(model: str, what: str) -> BridgeError:
    """An answer that does not end."""
    return BridgeError(f"{model} sent more than {what} in one answer, which was given up; ask for less (max_tokens)", code="too_large")


def clean(text: str, environ: Mapping[str, str]) -> str:
    """The provider's own sentence: first line, without the library's prefixes, host paths and the values of secrets."""
    line = text.strip().partition("\n")[0]
    while (match := _PREFIX.match(line) or _PROVIDER_PREFIX.match(line)) and match.end():
        line = line[match.end() :]
    for name, value in environ.items():
        if len(value) >= 6 and _SECRET_NAME.search(name):
            line = line.replace(value, "***")
    line = _PATH.sub("...", line).strip()
    return line if len(line) <= MESSAGE_LIMIT else line[:MESSAGE_LIMIT] + "..."


def _refused_key(failure: Failure, said: str) -> BridgeError:
    provider = _provider(failure)
    variables = provider.keys if provider else ()
    if variables and not any(failure.environ.get(name) for name in variables):
        return missing_key(failure.model, variables)
    where = f" in {next(name for name in variables if failure.environ.get(name))}" if variables else ""
    code = "bad_key" if variables else "missing_key"
    return BridgeError(f"the provider of {failure.model} refused the key{where}; check it{_said(said)}", code=code)


def _unreachable(failure: Failure) -> BridgeError:
    provider = _provider(failure)
    address = failure.environ.get(provider.address, "") if provider else ""
    if provider and provider.keys == () and not address:
        hint = f"start its server, or set {provider.address} to its address (now the default, http://localhost:11434)"
    elif provider and address:
        hint = f"check that {provider.address} ({_without_login(address)}) is right and its server runs"
    else:
        hint = "check the network" + (f", or set {provider.address} to another address" if provider else "")
    return BridgeError(f"the provider of {failure.model} cannot be reached; {hint}", code="unreachable", retryable=True)


def _provider(failure: Failure) -> Provider | None:
    try:
        return provider_named(failure.catalogue.provider_of(failure.model))
    except BridgeError:
        return None


def _cannot_connect(error: BaseException, said: str) -> bool:
    if any(type(cause).__name__ in CONNECT_ERRORS for cause in _causes(error)):
        return True
    return any(words in said.lower() for words in CONNECT_WORDS)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _after(after_s: float | None) -> str:
    return " later" if after_s is None else f" in {after_s:.3g} s" if after_s < 1 else f" in {after_s:.0f} s"


def _retry_after_s(error: Any) -> float | None:
    """The answer's Retry-After: seconds, or a date; None for none, and for one that makes no sense."""
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
    written = str(headers.get("retry-after", "")).strip()
    if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", written):
        return float(written)
    try:
        return max(0.0, parsedate_to_datetime(written).timestamp() - time.time())
    except (ValueError, OverflowError, OSError):
        return None


def _said(said: str) -> str:
    return f" (it said: {said})" if said else ""


def _without_login(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)
