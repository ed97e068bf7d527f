"""The cells of a storm: what they are called, and which of them are missing."""

from collections import Counter

from chaos import cells
from chaos.faults import each_once


def test_a_storm_that_met_all_misses_nothing_and_each_gap_is_named():
    """Each fault at each of its services, both signals, each kind of row and each outcome must have occurred."""
    once = each_once(100)
    met = Counter((name, service, "accepted") for name, service in cells.meetings(once))
    met.update(("all runs", service, outcome) for service, outcome in cells.outcomes())
    assert cells.missing(met, once) == []
    del met["SIGKILL", "yespo", "accepted"]
    met["SIGKILL", "yespo", "no request"] = 3
    del met["all runs", "justclick", "rejected"]
    del met["login after", "rees46", "accepted"]
    met[cells.SECOND_DEPLOYMENT, "yespo", "sent"] = 1
    assert cells.missing(met, once) == [
        "a second deployment has sent to yespo",
        "no SIGKILL met a request to yespo",
        "no login after met a request to rees46",
        "no order of justclick was rejected",
    ]


def test_the_services_outcomes_are_theirs():
    """Yespo never repeats a send in doubt, REES46 always does and names no order, JustClick takes single orders."""
    outcomes = cells.outcomes()
    assert {("yespo", "held"), ("yespo", "rejected"), ("rees46", "resent"), ("justclick", "held")} <= outcomes
    assert outcomes.isdisjoint(
        {("yespo", "resent"), ("rees46", "held"), ("rees46", "rejected"), ("justclick", "halved")}
    )


def test_each_fault_has_a_name_of_its_own():
    """Two faults of one service that differ have names that differ."""
    once = each_once(100)
    others = 2 + 1 + len(cells.ROWS)  # signals, a second deployment, kinds of rows
    assert len(cells.meetings(once)) == len(once) + others * 4
