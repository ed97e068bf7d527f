"""Reads telephone numbers and e-mail addresses: plain ones by a pattern, all others by well-kept libraries."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of, series_of, without_invisible

# Around a number: the fraction that a program has given it, and what makes a text of it in a spreadsheet.
_MARKS = r"""^(?:="|')?(\+?[0-9]+)(?:\.0+|")?$"""
# What people put between the digits.
_BETWEEN = r"[\s\x{00a0}\x{2009}\x{202f}()./\-‐-―−]"
# Numbers of some countries, which need no library: United States, Russia and Kazakhstan, Poland, Belarus, Ukraine.
_COMMON = r"^(?:[17][0-9]{10}|48[0-9]{9}|375[0-9]{9}|380[0-9]{9})$"
# An address that needs no library: of a domain with a dot, in ASCII. Lengths: RFC 5321, section 4.5.3.1.
_ADDRESS = r"^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$"
_LOCAL_PART = r"^[^@]{1,64}@.{1,189}$"


class Contacts(NamedTuple):
    """Contacts of a column, and a mask of those that are none: they stay as they were."""

    texts: pd.Series
    unreadable: pd.Series


def phones(texts: pd.Series, country: str | None) -> Contacts:
    """Return telephone numbers as the digits of E.164: the country's code, then the rest.

    Args:
        texts: trimmed.
        country: of numbers without a country's code, as UA; None if there may be none.
    """
    given = pc.replace_substring_regex(without_invisible(array_of(texts)), _MARKS, r"\1")
    digits = pc.replace_substring_regex(given, _BETWEEN, "")
    international = pc.match_substring_regex(digits, r"^(?:\+|00)")
    digits = pc.replace_substring_regex(digits, r"^(?:\+|00)", "")
    if country is None:
        good = pc.match_substring_regex(digits, _COMMON)
        if not pc.all(good).as_py():
            good = pc.match_substring_regex(digits, _any_number())
    else:
        good = pc.match_substring_regex(digits, _whole_number(country))
        doubtful = pc.and_(digits.is_valid(), pc.invert(good))
        if pc.any(doubtful).as_py():
            plus = pc.if_else(international, "+", "")
            asked = pc.binary_join_element_wise(plus.cast(pa.large_string()), digits, pa.scalar("", pa.large_string()))
            read = [_phone(text, country) for text in asked.filter(doubtful).to_pylist()]
            digits = pc.replace_with_mask(digits, doubtful, pa.array(read, pa.large_string()))
            good = pc.or_(good, pc.and_(doubtful, digits.is_valid()))
    good = pc.fill_null(good, fill_value=False)
    unreadable = series_of(pc.and_(array_of(texts).is_valid(), pc.invert(good)), texts.index)
    return Contacts(series_of(pc.if_else(good, digits, array_of(texts)), texts.index), unreadable)


def emails(texts: pd.Series) -> Contacts:
    """Return e-mail addresses as they are, with a mask of those that no mail can be sent to."""
    given = array_of(texts)
    good = pc.and_(pc.match_substring_regex(given, _ADDRESS), pc.match_substring_regex(given, _LOCAL_PART))
    doubtful = pc.fill_null(pc.invert(good), fill_value=False)
    if pc.any(doubtful).as_py():
        read = [_is_address(text) for text in given.filter(doubtful).to_pylist()]
        doubtful = pc.replace_with_mask(doubtful, doubtful, pa.array([not one for one in read]))
    return Contacts(texts, series_of(doubtful, texts.index))


@cache
def _any_number() -> str:
    """Return a pattern of all numbers that begin with a country's code and are as long as its numbers are."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata  # as below

    codes_by_lengths: dict[tuple[int, ...], list[str]] = {}
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        all_metadata = [
            PhoneMetadata.metadata_for_region(region) or PhoneMetadata.metadata_for_nongeo_region(code)
            for region in regions
        ]
        known = [metadata.general_desc for metadata in all_metadata if metadata]
        lengths = {length for numbers in known if numbers for length in numbers.possible_length}
        codes_by_lengths.setdefault(tuple(sorted(lengths)), []).append(str(code))
    each = [
        f"(?:{'|'.join(codes)})(?:{'|'.join(f'[0-9]{{{length}}}' for length in lengths)})"
        for lengths, codes in codes_by_lengths.items()
    ]
    return f"^(?:{'|'.join(each)})$"


@cache
def _whole_number(country: str) -> str:
    """Return a pattern of the country's numbers with its code, so plain that they need no library."""
    from phonenumbers import PhoneMetadata, country_code_for_region  # takes long to import; few sources need it

    metadata = PhoneMetadata.metadata_for_region(country)
    mobile = metadata.mobile.national_number_pattern if metadata and metadata.mobile else None
    return f"^{country_code_for_region(country)}(?:{mobile})$" if mobile else "^$"


def _phone(text: str, country: str) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def _is_address(text: str) -> bool:
    from email_validator import EmailNotValidError, validate_email  # as above

    try:
        validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError:
        return False
    return True
