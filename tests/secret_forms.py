"""The forms in which a secret may be written down, made by means that share nothing with the redactor."""

import base64
import html
import json
import urllib.parse


def u_escaped(text: str) -> str:
    return "".join(f"\\u{unit:04x}" for char in text for unit in memoryview(char.encode("utf-16-le")).cast("H"))


FORMS = {
    "plain": lambda value: value,
    "base64 at the start": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 after one byte": lambda value: base64.b64encode(b":" + value.encode()).decode(),
    "base64 after two bytes": lambda value: base64.b64encode(b"u:" + value.encode() + b"!").decode(),
    "base64 after a user's name": lambda value: base64.b64encode(b"ada:" + value.encode() + b"\n").decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(b"x" + value.encode()).decode().rstrip("="),
    "hex": lambda value: value.encode().hex(),
    "hex in capitals": lambda value: value.encode().hex().upper(),
    "in a URL": lambda value: urllib.parse.quote(value),
    "in a query": lambda value: urllib.parse.quote_plus(value),
    "in a URL, nothing safe": lambda value: urllib.parse.quote(value, safe=""),
    "in a URL, small letters": lambda value: (
        urllib.parse.quote(value, safe="").replace("%C3%A9", "%c3%a9").lower()
        if value.islower()
        else urllib.parse.quote(value, safe="").replace("%2F", "%2f").replace("%C3%A9", "%c3%a9")
    ),
    "every byte in a URL": lambda value: (
        "".join(f"%{byte:02X}" for byte in value.encode()) if value.isascii() else urllib.parse.quote(value)
    ),
    "in JSON": lambda value: json.dumps(value),
    "in JSON as it is": lambda value: json.dumps(value, ensure_ascii=False),
    "in JSON with slashes escaped": lambda value: json.dumps(value).replace("/", "\\/"),
    "in JSON in JSON": lambda value: json.dumps(json.dumps({"a": value})),
    "in JSON in JSON in JSON": lambda value: json.dumps(json.dumps(json.dumps([value]))),
    "\\u-escaped": u_escaped,
    "\\u-escaped in JSON": lambda value: json.dumps(u_escaped(value)),
    "\\x-escaped": lambda value: "".join(f"\\x{ord(char):02x}" for char in value),
    "\\u{}-escaped": lambda value: "".join(f"\\u{{{ord(char):x}}}" for char in value),
    "in HTML": lambda value: html.escape(value),
    "HTML entities": lambda value: "".join(f"&#{ord(char)};" for char in value),
    "some letters escaped": lambda value: "".join(
        f"%{ord(char):02x}" if at % 3 == 0 and char.isascii() else char for at, char in enumerate(value)
    ),
    "in a Python repr": lambda value: repr({"token": value}),
}
COMMON = (
    "plain",
    "base64 at the start",
    "base64 after a user's name",
    "base64 for URLs",
    "hex",
    "in a URL, nothing safe",
    "in JSON",
    "\\u-escaped",
)
"""A few of them, for tests that go a long way with each."""


def occurrences(text: str, *secrets: str) -> list[str]:
    """The forms that stand in a text."""
    return [name for name, write in FORMS.items() for secret in secrets if write(secret) in text]
