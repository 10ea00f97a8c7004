"""Personal data in texts: one table of kinds, each a pattern of what may be one and a test that tells whether it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from .searching import Found, found_by

IBAN_CHARS: Mapping[str, int] = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "NL", "FO", "GL"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
}
"""How long an IBAN of each country is, by the registry of SWIFT."""


class Kind(NamedTuple):
    """`length` says how many characters of a candidate are one, 0 for none."""

    pattern: str
    length: Callable[[str], int]


def _whole(test: Callable[[str], bool]) -> Callable[[str], int]:
    return lambda text: len(text) if test(text) else 0


def _is_phone(text: str) -> bool:
    """Digits that begin as numbers of telephones do, or have the form of the United States; no date and no address is one."""
    digits = sum(character.isdigit() for character in text)
    return 8 <= digits <= 15 and (text[0] in "+0(" or re.fullmatch(r"\d{3}[ .-]\d{3}[ .-]\d{4}", text) is not None) and not _is_ip(text)


def _iban_length(text: str) -> int:
    wanted, taken = IBAN_CHARS.get(text[:2], 0), 0
    for at, character in enumerate(text):
        taken += character != " "
        if taken == wanted and wanted:
            return at + 1 if _has_iban_checksum(text[: at + 1].replace(" ", "")) else 0
    return 0


def _has_iban_checksum(iban: str) -> bool:
    """ISO 7064, modulo 97, with letters as 10 to 35."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """13 to 19 digits with the check digit of Luhn."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_told_ip(text: str) -> bool:
    """One that says where: `::` and what code has, as `C::`, do not."""
    return _is_ip(text) and sum(map(bool, text.split(":"))) >= (2 if ":" in text else 1)


KINDS: Mapping[str, Kind] = {
    "email": Kind(
        r"(?<![\w.%+-])[\w.%+-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){0,7}\.[\p{L}]{2,24}(?![\p{L}\p{N}-])", _whole(bool)
    ),
    "iban": Kind(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}", _iban_length),
    "card": Kind(r"(?<![0-9A-Za-z.+-])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z])", _whole(_is_card)),
    "ip": Kind(
        r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?![\w:]|\.[0-9])",
        _whole(_is_told_ip),
    ),
    "phone": Kind(
        r"(?<![\w.+-])(?<![0-9] )(?:\+[0-9]{1,3}[ .-]?)?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{2,5}(?:[ ./-]?[0-9]{2,5}){1,5}(?!\w)",
        _whole(_is_phone),
    ),
}


MOMENT_DIGITS = (13, 16, 19)
"""Of the time in milli-, micro- and nanoseconds, which begins with 1 until 2033.  No card of so many digits does, and every tenth moment has
its check digit."""
NUMBERS_A_TEXT = 4_000
"""Each may be one thing that is looked at, and a text with more than searching.MOST_FOUND of them is refused."""


def personal_numbers(numbers: Sequence[str]) -> list[str]:
    """Those that can be somebody's, many in one text: a search of each would take a hundred times longer.  A sign is no part of it."""
    found = [number.lstrip("-") for number in numbers if len(number) >= 8 and not _is_moment(number)]
    return ["\n".join(found[at : at + NUMBERS_A_TEXT]) for at in range(0, len(found), NUMBERS_A_TEXT)]


def _is_moment(number: str) -> bool:
    return number[0] == "1" and len(number.partition(".")[0]) in MOMENT_DIGITS


def personal_data(text: str, kinds: tuple[str, ...], ends: float) -> Iterator[Found]:
    """Where the text has some of those kinds.  A place may be of two.  `ends` as `found_by` has it."""
    for name in kinds:
        kind = KINDS[name]
        for found, candidate in found_by(kind.pattern, text, name, ends):
            if length := kind.length(candidate):
                yield found._replace(end=found.start + length)
