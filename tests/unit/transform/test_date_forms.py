"""Dates as shops write them, by declared forms."""

import pandas as pd
import pytest

from include.order_sync.transform.date_forms import FORMS, ambiguous, iso_text, known_form
from include.order_sync.transform.times import read_times

READ = [
    ("y-m-d", "2026-1-5 9:05 pm", "2026-01-05 21:05:00"),
    ("y-m-d", "2026-11-20, 10:00:00", "2026-11-20 10:00:00"),
    ("y-m-d", "26-11-20", None),
    ("d.m.y", "пт 20.11.2026 в 10.05", "2026-11-20 10:05:00"),
    ("d.m.y", "20.11.2026\u00a0г.,\u00a010:05", "2026-11-20 10:05:00"),
    ("d/m/y", "20/11/2026 - 10:05", "2026-11-20 10:05:00"),
    ("m/d/y", "11/20/2026 9:05a", "2026-11-20 09:05:00"),
    ("d.m.y", "20.11.2026", "2026-11-20"),
    ("d.m.y", "20.11.0026", None),
    ("d.m.y", "20. 11. 2026 10:05 Uhr", "2026-11-20 10:05:00"),
    ("d.m.y", "20.11.2026г 10:05", "2026-11-20 10:05:00"),
    ("d.m.y", "20.11.2026 10:00 (EET)", None),  # the zone, and no offset that it would repeat
    ("d.m.y", "20.11.2026 10:00 +0200 (EET)", "2026-11-20 10:00:00+0200"),
    ("d.m.y", "20.11.2026 10:00 МСК", "2026-11-20 10:00:00МСК"),
    ("d.m.y", "1.2.26 9:05", "2026-02-01 09:05:00"),
    ("d.m.y", "20.11.2026, 10:00:05.25", "2026-11-20 10:00:05.25"),
    ("d/m/y", "03/04/2026 10:00:00 +0300", "2026-04-03 10:00:00+0300"),
    ("m/d/y", "3/4/26", "2026-03-04"),
    ("m/d/y", "11/20/2026 12:30 AM", "2026-11-20 00:30:00"),
    ("m/d/y", "11/20/2026 12:30:01 p.m.", "2026-11-20 12:30:01"),
    ("m/d/y", "11/20/2026 1:30pm", "2026-11-20 13:30:00"),
    ("m-d-y", "11-20-2026", "2026-11-20"),
    ("d-m-y", "20-11-2026", "2026-11-20"),
    ("y/m/d", "2026/11/20 10:00 UTC", "2026-11-20 10:00:00UTC"),
    ("y.m.d", "2026.1.2", "2026-01-02"),
    ("ymd", "20261120", "2026-11-20"),
    ("ymd", "20261120T100530Z", "2026-11-20 10:05:30Z"),
    ("ymd", "20261120 1005", "2026-11-20 10:05:00"),
    ("ymd", "20261120100530", "2026-11-20 10:05:30"),
    ("ymd", "20261120100530.5", "2026-11-20 10:05:30.5"),
    ("d mon y", "20 Nov 2026 10:00", "2026-11-20 10:00:00"),
    ("d mon y", "Fri, 20 Nov 2026 10:00:00 GMT", "2026-11-20 10:00:00GMT"),
    ("d mon y", "2-ое мар 2026", None),
    ("d mon y", "20 ноября 2026 г. 10:00", "2026-11-20 10:00:00"),
    ("d mon y", "5 травня 2026", "2026-05-05"),
    ("d mon y", "5. März 2026", "2026-03-05"),
    ("d mon y", "20-Nov-26", "2026-11-20"),
    ("d mon y", "20 września 2026", "2026-09-20"),
    ("d mon y", "20 Sept. 2026", "2026-09-20"),
    ("d mon y", "20 marraskuu 2026", None),  # November in Finnish
    ("d mon y", "20 ма 2026", None),
    ("mon d y", "November 2nd, 2026 10:00 am", "2026-11-02 10:00:00"),
    ("mon d y", "Nov. 2, 2026 at 10:00 AM", "2026-11-02 10:00:00"),
    ("mon d y", "Fri Nov 20 2026 10:00:00 GMT+0200 (Eastern European Time)", "2026-11-20 10:00:00GMT+0200"),
    ("unix", "1795168800", "2026-11-20 10:00:00+00:00"),
    ("unix", "1795168800.5", "2026-11-20 10:00:00.500000+00:00"),
    ("unix ms", "1795168800250", "2026-11-20 10:00:00.250000+00:00"),
    ("excel", "46346.4166666667", "2026-11-20 10:00:00"),
    ("excel", "46346", "2026-11-20 00:00:00"),
]


@pytest.mark.parametrize(("form", "text", "expected"), READ)
def test_forms(form: str, text: str, expected: str | None) -> None:
    """A date in a declared form becomes ISO 8601; a text in no form stays as it is."""
    assert iso_text(f" {text} ", [form]) == (expected or f" {text} ")


def test_every_form_is_tested() -> None:
    """The cases above have every form."""
    assert {form for form, *_ in READ} == set(FORMS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "text", ["", "2026-11-20", "32.13.2026", "13/32/2026", "20.11.2026 25:00", "20.11.2026 UTC", "20 Foo 2026", "99999"]
)
def test_what_no_form_reads(form: str, text: str) -> None:
    """A text that is no date of the form, or none at all, stays as it is."""
    assert iso_text(text, [form]) == text


def test_several_forms() -> None:
    """The first form that fits is taken."""
    forms = ["d.m.y", "unix"]
    assert [iso_text(text, forms) for text in ("1795168800", "20.11.2026")] == [
        "2026-11-20 10:00:00+00:00",
        "2026-11-20",
    ]


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("DD.MM.YYYY", "d.m.y"),
        ("M/D/YY", "m/d/y"),
        ("dd.mm.yyyy HH:MM", "d.m.y"),
        ("yyyymmdd", "ymd"),
        ("YYYYMMDDHHMMSS", "ymd"),
        ("DD MMM YYYY", "d mon y"),
        ("dd-mon-yy", "d mon y"),
        ("MMM D, YYYY HH:MM", "mon d y"),
        ("unix s", "unix"),
    ],
)
def test_names_of_forms(written: str, form: str) -> None:
    """Letters may be repeated and of any case, and a time may follow."""
    assert known_form(written) == form


@pytest.mark.parametrize("written", ["", "iso", "d.m", "m.y.d", "31.12.2026"])
def test_unknown_forms(written: str) -> None:
    """An unknown form is refused with those that are known."""
    with pytest.raises(ValueError, match=r"no such form of dates; known: y-m-d"):
        known_form(written)


@pytest.mark.parametrize(
    ("forms", "both"),
    [(["d/m/y", "unix", "m/d/y"], True), (["d-m-y", "m-d-y"], True), (["d.m.y", "m/d/y", "y/m/d", "d mon y"], False)],
)
def test_day_and_month(forms: list[str], both: bool) -> None:
    """Two forms that read one text as two dates are found."""
    assert (ambiguous(forms) is not None) == both


OFFSETS = [
    "10:00:00 +0200",
    "10:00:00 +02:00",
    "10:00:00+0200",
    "10:00:00  +02",
    "08:00:00 UTC",
    "08:00:00 gmt",
    "08:00:00Z",
    "08:00:00 Z",
    "11:00:00 MSK",
    "11:00:00 МСК",
    "10:00:00 EET",
    "11:00:00 EEST",
    "10:00:00 GMT+2",
    "10:00:00 UTC+02:00",
    "10:00:00+2",
    "10:02:04+02:02:04",
    "10:00:00.000 +0200",
]


def test_offsets() -> None:
    """A blank or a word before an offset, and words that mean one offset alone, are read."""
    texts = pd.Series([f"2026-11-20 {time}" for time in OFFSETS], dtype="str")

    assert set(read_times(texts, "America/New_York").times) == {pd.Timestamp("2026-11-20 08:00:00Z")}


@pytest.mark.parametrize("time", ["10:00:00 EST", "10:00:00 IST", "10:00:00 +", "10:00:00 +02:00 x", "10:00:00 Kyiv"])
def test_words_that_are_no_offset(time: str) -> None:
    """A word that may mean several offsets, or none, is not guessed."""
    assert read_times(pd.Series([f"2026-11-20 {time}"], dtype="str"), "UTC").times.isna().all()
