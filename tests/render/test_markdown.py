"""A model's Markdown cannot run, load or hide anything in the notebook's page."""

import pytest

from llmspell_kernel.render.markdown import MAX_MARKDOWN_CHARS, link_host, markdown_html

from .page import HOSTILE, check_safe
from .work import steps

MOST_STEPS = 500_000
"""An eighth of a second.  The answers here take at most 31,000; unguarded, 2 million and more."""


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_answer_gives_only_harmless_elements(text: str) -> None:
    check_safe(markdown_html(text))


def test_common_markdown_is_rendered() -> None:
    page = check_safe(markdown_html("# T\n\n- **b** `c`\n\n```lua\nreturn 1\n```\n\n| a |\n|--:|\n| 1 |\n"))
    assert {"h1", "li", "strong", "code", "pre", "table"} <= page.tags


def test_a_link_shows_the_host_it_leads_to() -> None:
    page = check_safe(markdown_html("[our bank](https://evil.example/login)"))
    assert page.text.strip() == "our bank (evil.example)"


def test_a_link_whose_text_is_its_address_shows_it_once() -> None:
    assert check_safe(markdown_html("<https://a.example/x>")).text.strip() == "https://a.example/x"


@pytest.mark.parametrize("written", ["HTTPS://evil.example/A", "hTTps://evil.example/A"])
def test_a_link_works_however_its_scheme_is_spelled(written: str) -> None:
    page = check_safe(markdown_html(f"[our bank]({written})"))
    assert [link["href"] for link in page.of("a")] == ["https://evil.example/A"]
    assert page.text.strip() == "our bank (evil.example)"


def test_a_link_that_pretends_another_host_shows_the_real_one() -> None:
    assert check_safe(markdown_html("[https://bank.example](https://evil.example)")).text.strip() == "https://bank.example (evil.example)"


@pytest.mark.parametrize(
    "url",
    [
        "https://bank.example@evil.example/",
        "https://bank.example%5C@evil.example/",
        "https://bank.example\\@evil.example",
        "https:///evil.example",
        "https:evil.example",
        "//evil.example",
        "/logout",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://[::1",
        "",
    ],
)
def test_a_link_without_a_plain_host_is_refused(url: str) -> None:
    assert link_host(url) is None


def test_a_refused_link_stays_readable_as_text() -> None:
    page = check_safe(markdown_html("[docs](/lab/tree/x) and [x](https://a@b.example/)"))
    assert not page.of("a")
    assert page.text.strip() == "docs (/lab/tree/x) and x (https://a@b.example/)"


def test_an_image_becomes_its_description_and_host() -> None:
    page = check_safe(markdown_html("![a *cat*](https://pics.example/cat.png)"))
    assert page.text.strip() == "[image: a cat (pics.example)]"


def test_terminal_and_bidi_controls_are_gone() -> None:
    html = markdown_html("\x1b[31mred\x1b[0m \u202etxt")
    assert "\x1b" not in html and "\u202e" not in html


@pytest.mark.parametrize("piece", ["[", "![[", "*a ", "**a _b ", "[a](", "<a ", "> ", "- ", "`", "|a"])
def test_text_made_to_be_slow_is_answered_in_time(piece: str) -> None:
    text = piece * (MAX_MARKDOWN_CHARS // len(piece))
    check_safe(markdown_html(text))
    steps(lambda: markdown_html(text), MOST_STEPS)


@pytest.mark.parametrize(
    "text", ["![" * 499 + "*a_ " * 5_000, "[" * 490 + "![a](b) `" * 6, "[" * 400 + "*a\n" * 3_000, "![" * 100 + "*a" * 600]
)
def test_brackets_before_many_marks_are_not_looked_through_again_and_again(text: str) -> None:
    markdown_html("*a*")
    steps(lambda: markdown_html(text), MOST_STEPS)


def test_an_answer_with_a_hundred_links_is_rendered() -> None:
    assert len(check_safe(markdown_html("- [a](https://a.example/b)\n" * 100)).of("a")) == 100


def test_a_very_long_answer_is_shown_as_it_is() -> None:
    page = check_safe(markdown_html("**x** " * 20_000))
    assert page.tags == {"pre"} and page.text.startswith("**x**")
