"""Kept texts and their codes."""

import re
import subprocess
import sys
from typing import get_args

import pytest

from include.order_sync.codes import coded, cure_of, mend_of, pattern, reason_of, rejections
from include.order_sync.ledger.reasons import FAILING_REASON, HELD_REASON
from include.order_sync.providers import PROVIDERS
from include.order_sync.reason import Mend
from include.order_sync.transform.order_checks import UNKNOWN_STATUS


@pytest.mark.parametrize("reason", rejections(), ids=lambda reason: reason.code)
def test_a_kept_text_has_its_code(reason):
    """A text is found as its own reason, whatever stands in the part that varies. It has a cure, and what to mend."""
    assert reason_of(reason.reason.replace("*", "REES46 x")) == reason
    assert reason.cure
    assert reason.mend in get_args(Mend)


@pytest.mark.parametrize(
    "reason", [reason for each in PROVIDERS.values() for reason in each.rejections], ids=lambda reason: reason.code
)
def test_what_a_service_has_refused_waits_for_a_row_or_an_account(reason):
    """Nobody can say which of the two: after a mend of the account a redrive sends the stored row again."""
    assert mend_of([reason.reason]) == "either"


@pytest.mark.parametrize(
    ("codes", "mend"),
    [
        (["OS-111"], "row"),
        (["OS-129"], "settings"),
        (["OS-210"], "either"),  # the number, or `phone_country`
        *[
            ([code], "either") for code in ("OS-203", "OS-213", "OS-214", "OS-215", "OS-221")
        ],  # the amount, or `decimal`
        (["OS-207"], "either"),  # the time, or `dates`
        (["OS-302"], "either"),  # the number, or `strip_ids`
        (["OS-218"], "either"),  # the items, or their columns in the configuration
        (["OS-501"], "as the cure says"),
        (["OS-129", "OS-111"], "row"),
        (["OS-129", "OS-210"], "either"),
        (["OS-111", "OS-501"], "as the cure says"),
    ],
)
def test_what_a_row_with_these_faults_waits_for(codes, mend):
    """While one fault is left the row is rejected again: that which a redrive can't cure decides."""
    texts = {reason.code: reason.reason for reason in rejections()}
    assert mend_of([texts[code] for code in codes]) == mend


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{UNKNOWN_STATUS} (нове)", f"OS-129 {UNKNOWN_STATUS} (нове)"),
        (f"{UNKNOWN_STATUS} (a)\n(b)", f"OS-129 {UNKNOWN_STATUS} (a)\n(b)"),
        ("JustClick error_code 77: a code that the documentation does not list", None),
        ("Yespo answered HTTP 413", None),
        (FAILING_REASON, f"OS-503 {FAILING_REASON}"),
        ("a reason of a release to come", "a reason of a release to come"),
    ],
)
def test_coded(text, shown):
    """The code stands before the text, also with a word of the shop behind it; an unknown text stays as it is."""
    assert coded(text) == shown if shown else re.fullmatch(rf"OS-[0-9]{{3}} {re.escape(text)}", coded(text))
    assert bool(cure_of(text)) is (coded(text) != text)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", ""),
        ("status map", "%status map%"),
        ("100%_\\", r"%100\%\_\\%"),
        ("OS-111", r"order\_id: missing%"),
        ("OS-129 status: not in the status map", "status: not in the status map%"),
        ("OS-501", f"{HELD_REASON}%"),
        ("OS-318", r"JustClick error\_code %: a code that the documentation does not list%"),
        ("OS-000", "OS-000%"),
    ],
)
def test_pattern(given, wanted):
    """A code chooses its whole text, with or without it behind the code; another text, each reason with it."""
    assert pattern(given) == wanted


def test_the_codes_are_known_without_pandas():
    """The form of a redrive lists the reasons, and pandas would slow down each parse of the DAGs."""
    code = "import sys, include.order_sync.codes as c; c.rejections(); sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
