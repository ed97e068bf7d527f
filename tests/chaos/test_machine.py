"""The ledger against a model, under any mix of runs, retries, crashes, clears, decisions and source changes."""

import json
import os
import random
import uuid
from dataclasses import dataclass, field, replace

import pandas as pd
import pytest
import sqlalchemy as sa

from include.order_sync import tuning
from include.order_sync.delivery import http
from include.order_sync.delivery.client import Client
from include.order_sync.delivery.decision_table import SendOptions
from include.order_sync.delivery.failing import TRIES_OF_AN_ORDER
from include.order_sync.delivery.loop import Delivery
from include.order_sync.errors import InDoubtError, StopError, TryAgainError
from include.order_sync.ledger import quarantine
from include.order_sync.ledger.opening import open_session
from include.order_sync.providers import rees46
from include.order_sync.providers.base import Answer, Credentials, Provider
from include.order_sync.staging.partition_hash import partition_hash

# The first, second and last kind are like the four services: no code held, all held, some held with one order a
# request. The third is like a destination that sends every change to a service with several orders a request.
KINDS = {
    "sets states": replace(rees46.PROVIDER, max_orders=2),
    "mails": replace(rees46.PROVIDER, max_orders=2, held_codes=frozenset({0, 1, 2})),
    "sets every state": replace(rees46.PROVIDER, max_orders=2, changes="every"),
    "does both": replace(rees46.PROVIDER, max_orders=1, held_codes=frozenset({1, 2}), changes="every"),
}
LAST_HOUR = 5  # few versions, so that they meet
MIXES, STEPS = 40, 12
FATES = ["taken", "no connection", "not taken", "lost before", "lost after", "crash before", "crash after"]


@dataclass
class Service:
    """A service in memory. It checks each request, and keeps the model's view of each order.

    Args:
        provider: with the rule about sends in doubt.
        fates: of the next requests; all later ones are taken.
        history: order -> the changes (hour, code) that the service took.
        reached: order -> the newest hour that a run attempted, or read without a send.
        code: order -> the code that the service certainly has.
        held: order -> the change in doubt that must not be repeated without a decision.
    """

    provider: Provider
    fates: list[str] = field(default_factory=list)
    history: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)
    code: dict[str, str | None] = field(default_factory=dict)
    held: dict[str, tuple[int, str]] = field(default_factory=dict)

    def send(self, _session, _url, request, leave) -> Answer:
        """Check a request, and give it its fate."""
        fate = self.fates.pop(0) if self.fates else "taken"
        if fate == "no connection":
            raise TryAgainError("no connection")
        leave()
        orders = json.loads(request.body)["orders"]
        changes = {order["id"]: (order["hour"], str(order["status"])) for order in orders}
        assert len(changes) == len(orders), "an order stood twice in a request"
        for order, (hour, code) in changes.items():
            self._check(order, hour, code)
        if fate == "not taken":
            raise TryAgainError("not taken")
        if not fate.endswith("before"):
            for order, change in changes.items():
                self.history.setdefault(order, []).append(change)
        for order, (hour, code) in changes.items():
            self.reached[order] = hour
            self.code[order] = code if fate == "taken" else None
            self.held.pop(order, None)
            if fate != "taken" and int(code) in self.provider.held_codes:
                self.held[order] = (hour, code)
        if fate.startswith("crash"):
            raise SystemExit
        if fate.startswith("lost"):
            raise InDoubtError(fate)
        return Answer(200, {}, b'{"status": "success"}')

    def _check(self, order: str, hour: int, code: str) -> None:
        reached, has = self.reached.get(order, -1), self.code.get(order)
        assert hour >= reached, f"{order}: an older state was sent"
        assert hour > reached or has is None, f"{order}: a change was sent twice"
        assert code != has, f"{order}: the service's present code was sent again"
        if order in self.held:
            held_hour, held_code = self.held[order]
            assert hour > held_hour, f"{order}: a held change was sent without a decision"
            assert code != held_code, f"{order}: a held status was sent without a decision"

    def shown(self, newest: dict[str, int]) -> None:
        """Note the newest hours of orders in a run that has ended: no older hour of theirs may be sent."""
        for order, hour in newest.items():
            if order not in self.held:
                self.reached[order] = max(hour, self.reached[order])

    def shows(self, order: str) -> bool:
        """Whether the service shows the held change of the order to a person."""
        return self.held[order] in self.history.get(order, [])

    def decided(self, order: str, decision: str) -> None:
        """Note a person's decision about a held order."""
        _, code = self.held.pop(order)
        self.code[order] = code if decision == "accept" else None


class LedgerMachine:
    """Runs of one destination; an hour is a version, and three hours share one time and differ in rank.

    Chance makes each choice. Hypothesis would omit rules and repeat examples, so that fewer runs meet.
    """

    def __init__(self, engine: sa.Engine, patch: pytest.MonkeyPatch, dice: random.Random) -> None:
        self.engine, self.patch, self.dice = engine, patch, dice
        self.destination = str(uuid.uuid4())
        self.source: dict[tuple[int, str], str] = {}
        self.windows: list[tuple[int, int]] = []
        self.begun = 0
        self.unfinished: dict[str, tuple[pd.DataFrame, int]] = {}
        self.provider = KINDS[dice.choice(sorted(KINDS))]
        self.service = Service(self.provider)
        self.patch.setattr(http, "send", self.service.send)

    def step(self):
        """Do one possible next step."""
        may = [self.run, self.run]
        may += [self.clear] if self.windows else []
        may += [self.retry, self.retry] if self.unfinished else []
        may += [self.decide] if self.service.held else []
        self.dice.choice(may)()

    def run(self):
        """Add some changes to the source, maybe late ones, and let a new run read a window."""
        for _ in range(self.dice.randint(0, 3)):
            change = (self.dice.randint(0, LAST_HOUR), self.dice.choice("AB"))
            self.source.setdefault(change, self.dice.choice("012"))
        start, end = sorted(self.dice.choices(range(LAST_HOUR + 1), k=2))
        self.windows.append((start, end))
        self._begin((start, end), self._fates())

    def clear(self):
        """Clear a run: it reads its window again, and counts from zero."""
        self._begin(self.dice.choice(self.windows), self._fates())

    def retry(self):
        """Try a run again, with its staged parts."""
        self._try(self.dice.choice(list(self.unfinished)), self._fates())

    def decide(self):
        """Let a person decide about a held order."""
        self._decide(self.dice.choice(sorted(self.service.held)))

    def end(self):
        """After all decisions and a run over all hours, the service has the newest statuses; nothing is sent again."""
        for order in list(self.service.held):
            self._decide(order)
        for requests_allowed in (True, False):
            if not requests_allowed:
                self.patch.setattr(http, "send", lambda *_: pytest.fail("a delivered order was sent again"))
            self._begin((0, LAST_HOUR), [], reads_present=True)
        newest = {order: code for (_, order), code in sorted(self.source.items())}
        assert {order: taken[-1][1] for order, taken in self.service.history.items()} == newest

    def _fates(self) -> list[str]:
        """Return the fates of a try's first requests; in every second try all are taken."""
        return self.dice.choices(FATES, k=self.dice.choice([0, 0, 0, 1, 2, 3]))

    def _begin(self, window: tuple[int, int], fates: list[str], *, reads_present: bool = False) -> None:
        self.begun += 1
        run = f"run {self.begun}"
        self.unfinished[run] = (self._ready(*window), 0)
        self._try(run, fates, reads_present=reads_present)

    def _try(self, run: str, fates: list[str], *, reads_present: bool = False) -> None:
        ready, tries = self.unfinished[run]
        self.unfinished[run] = (ready, tries + 1)
        self.service.fates = [*fates]
        try:
            with open_session(
                self.engine, "ledger", destination=self.destination, run=run, try_number=tries + 1
            ) as ledger:
                options = SendOptions(reads_present=reads_present)
                client = Client(self.provider, Credentials("", "", ""), None)
                delivery = Delivery(client, ledger, _encrypt_nothing, options)
                stopped = False
                try:
                    delivery.run([ready])
                except StopError:
                    stopped = True
                accepted = ledger.own_accepted()
        except (TryAgainError, SystemExit):
            met = fates[: len(fates) - len(self.service.fates)]
            assert any(fate != "taken" for fate in met), "a try ended early, though each of its requests was taken"
            return
        failing = delivery.result.failing
        assert not failing or tries + 1 >= TRIES_OF_AN_ORDER, "an order was given up too early"
        assert stopped == (bool(failing) or any(order in self.service.held for order in delivery.result.held))
        assert sum(delivery.result.orders.values()) == len(ready)
        assert delivery.result.orders["accepted"] == accepted
        done = ready[~ready["order_id"].isin(failing)]
        self.service.shown(done.groupby("order_id")["hour"].max().to_dict())
        del self.unfinished[run]

    def _ready(self, start: int, end: int) -> pd.DataFrame:
        """Return the ready orders of a window."""
        rows = [(order, hour, code) for (hour, order), code in sorted(self.source.items()) if start <= hour <= end]
        ready = pd.DataFrame(rows, columns=["order_id", "hour", "code"]).astype({"order_id": "str", "code": "str"})
        time, ready["rank"] = divmod(ready["hour"].astype("int64"), 3)
        ready["status_changed_at"] = (
            pd.Timestamp("2026-11-21", tz="UTC") + pd.to_timedelta(time, unit="h")
        ).dt.as_unit("us")
        ready["updated_at"], ready["position"] = ready["status_changed_at"], range(len(ready))
        is_last = ~ready.duplicated(["order_id", "status_changed_at"], keep="last")
        said = ready["code"].astype("int64").add(1).mul(10 ** ready["rank"])
        ready["source_hash"] = said.groupby([ready["order_id"], time]).transform("sum").where(is_last, 0)
        ready["partition_hash"] = [partition_hash(order) for order in ready["order_id"]]
        ready["payload"] = [json.dumps({"id": order, "status": int(code), "hour": hour}) for order, hour, code in rows]
        return ready if self.provider.changes == "every" else ready.drop_duplicates("order_id", keep="last")

    def _decide(self, order: str) -> None:
        # The next session lists the orders of a crash as held.
        with open_session(self.engine, "ledger", destination=self.destination, run="look", try_number=1) as ledger:
            decision = "accept" if self.service.shows(order) else "resend"
            with ledger.transaction() as cursor:
                quarantine.decide(cursor, self.destination, decision, "a person", order_ids=[order])
        self.service.decided(order, decision)


def _encrypt_nothing(_orders, _reasons, _messages) -> list:
    """Return no entries: the machine's orders have no staged rows."""
    return []


def test_the_ledger_keeps_the_promise(ledger, monkeypatch):
    """No older state, no repetition but by rule, no held order without a decision; in the end the newest status."""
    # The service is part of this process: after a crash of its sender it processes nothing.
    monkeypatch.setattr(tuning, "CONNECT_S", 0)
    monkeypatch.setattr(tuning, "ANSWER_S", 0)
    given = os.environ.get("MIX")
    for mix in [int(given)] if given else random.sample(range(10**9), MIXES):
        machine = LedgerMachine(ledger, monkeypatch, random.Random(mix))
        try:
            for _ in range(STEPS):
                machine.step()
            machine.end()
        except BaseException as error:
            error.add_note(f"MIX={mix} repeats it.")
            raise
