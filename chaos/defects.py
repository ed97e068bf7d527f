"""The planted defects: what each breaks, the change of the code, and what must notice it.

A defect that chaos and the state machine can't see (who may read a file, what a log shows, what a person's params
choose) has a fast test.
"""

from __future__ import annotations

from dataclasses import dataclass

# What can notice a defect: the short form of `make chaos`, or tests, as pytest names them.
STORM = "make chaos SHORT=1"
MACHINE = "tests/chaos/test_machine.py"

# An assertion that does not hold, or a test's own word.
FAILED = "E +([Aa]ssert|Failed: )"

DELIVERY = "include/order_sync/delivery"
LEDGER = "include/order_sync/ledger"
PROVIDERS = "include/order_sync/providers"
PLUGINS = "plugins/order_sync_airflow"


@dataclass(frozen=True)
class Defect:
    """A mistake that the project must notice.

    Args:
        name: what is wrong, in some words.
        file: to change.
        old: a text that stands in it exactly once.
        new: the text that replaces it.
        noticed_by: STORM, or tests.
        says: a regular expression for what that says.
    """

    name: str
    file: str
    old: str
    new: str
    noticed_by: str
    says: str


def _table(name: str, old: str, new: str, says: str, noticed_by: str = MACHINE) -> Defect:
    return Defect(name, f"{DELIVERY}/decision_table.py", old, new, noticed_by, says)


DEFECTS = (
    # What is sent, and when: the decision table.
    _table(
        "an older state over a newer one",
        "Rule(relation=(Relation.OLDER,), action=Action.STALE,",
        "Rule(relation=(Relation.OLDER,), action=Action.SEND,",
        "an older state was sent",
    ),
    *[
        Defect(
            name,
            f"{DELIVERY}/relations.py",
            "    for column in VERSION:\n        newer",
            f"    for column in VERSION[:{parts}]:\n        newer",
            MACHINE,
            FAILED,
        )
        for name, parts in (("versions compared by one part", 1), ("versions compared without the rank", 2))
    ],
    _table(
        "a held order sent again",
        'Rule(relation=_SAME, verdict="held", action=Action.HELD,',
        'Rule(relation=_SAME, verdict="held", action=Action.SEND,',
        "a held change was sent without a decision",
    ),
    _table(
        "a held status sent again by a newer row",
        "        repeats_held=True,\n        action=Action.HELD,",
        "        repeats_held=True,\n        action=Action.SEND,",
        "a held status was sent without a decision",
    ),
    _table(
        "an accepted version sent again",
        'Rule(relation=_SAME, action=Action.UNCHANGED, why="the service accepted',
        'Rule(relation=_SAME, action=Action.SEND, why="the service accepted',
        FAILED,
    ),
    _table(
        "the present status sent again by a newer row",
        "Rule(relation=_UNKNOWN_OR_NEWER, changed=False, action=Action.UNCHANGED,",
        "Rule(relation=_UNKNOWN_OR_NEWER, changed=False, action=Action.SEND,",
        "present code was sent again",
    ),
    _table(
        "a send in doubt counts as taken",
        'taken = known[column].where(~relation[Relation.UNKNOWN] & ~verdict["in_doubt"])',
        "taken = known[column].where(~relation[Relation.UNKNOWN])",
        FAILED,
    ),
    _table(
        "a send in doubt never repeated",
        'Rule(relation=_SAME, verdict="in_doubt", action=Action.SEND,',
        'Rule(relation=_SAME, verdict="in_doubt", action=Action.UNCHANGED,',
        FAILED,
    ),
    _table(
        "another try forgets what the first has delivered",
        'Rule(own="accepted", action=Action.ACCEPTED,',
        'Rule(own="accepted", action=Action.UNCHANGED,',
        FAILED,
    ),
    _table(
        "another row of the very same times sent by a run of the past",
        "        changed=True,\n        action=Action.STALE,",
        "        changed=True,\n        action=Action.SEND,",
        FAILED,
    ),
    # What the ledger knows of a send.
    Defect(
        "the intent after the request",
        f"{DELIVERY}/in_flight.py",
        "            begin()\n            self._batches[future] = batch\n"
        "        except BaseException:\n            may_leave.put(False)\n            raise\n"
        "        may_leave.put(True)\n",
        # The state machine's crash is this error.
        "            may_leave.put(True)\n"
        "            if isinstance(future.exception(), SystemExit):\n                raise SystemExit\n"
        "            begin()\n"
        "            self._batches[future] = batch\n"
        "        except BaseException:\n            may_leave.put(False)\n            raise\n",
        MACHINE,
        "sent twice|sent again|sent without a decision",
    ),
    Defect(
        "a doubt recorded as not taken",
        f"{DELIVERY}/settlement.py",
        'self.ledger.conclude(batch.number, "in_doubt", reason=str(doubt))',
        'self.ledger.conclude(batch.number, "not_taken", reason=str(doubt))',
        MACHINE,
        FAILED,
    ),
    Defect(
        "a lost sender's batch recorded as not taken",
        f"{LEDGER}/lost_sender.py",
        "update batches set outcome = 'in_doubt', concluded_at = now(),",
        "update batches set outcome = 'not_taken', concluded_at = now(),",
        MACHINE,
        "sent twice|sent again|sent without a decision|an older state was sent",
    ),
    Defect(
        "no send is held",
        f"{DELIVERY}/planning.py",
        "held_if_in_doubt=is_held & (not self.options.resend_in_doubt),",
        "held_if_in_doubt=is_held & False,",
        MACHINE,
        FAILED,
    ),
    Defect(
        "one verdict forgotten",
        f"{DELIVERY}/settlement.py",
        "            self.ledger.answered(batch.number)\n",
        "            pass\n",
        MACHINE,
        FAILED,
    ),
    Defect(
        "one accepted order not counted",
        f"{DELIVERY}/settlement.py",
        "self.result.orders[Action.ACCEPTED] += refused.count(False)",
        "self.result.orders[Action.ACCEPTED] += 1",
        MACHINE,
        FAILED,
    ),
    Defect(
        "stale orders not counted",
        f"{DELIVERY}/planning.py",
        "if action not in counted_elsewhere}",
        'if action not in (*counted_elsewhere, "stale")}',
        MACHINE,
        FAILED,
    ),
    Defect(
        "an unchanged newer row not recorded",
        f"{DELIVERY}/loop.py",
        '        self.ledger.record(plan.newer, "unchanged")\n',
        "",
        MACHINE,
        FAILED,
    ),
    Defect(
        "a change that waits for an earlier one is dropped",
        f"{DELIVERY}/loop.py",
        "        if any(map(len, recheck)):\n",
        "        if False:\n",
        MACHINE,
        FAILED,
    ),
    Defect(
        "two changes of an order in one request",
        f"{DELIVERY}/batching.py",
        'several = not part["partition_hash"].is_unique',
        "several = False",
        MACHINE,
        f"{FAILED}|UniqueViolation",
    ),
    Defect(
        "a decision to accept sends the order again",
        f"{LEDGER}/quarantine.py",
        "insert into decisions (destination, order_id, batch_id, decision, decided_by)\n"
        "            select %(destination)s, order_id, batch_id, %(decision)s, %(who)s",
        "insert into decisions (destination, order_id, batch_id, decision, decided_by)\n"
        "            select %(destination)s, order_id, batch_id, 'resend', %(who)s",
        MACHINE,
        FAILED,
    ),
    Defect(
        "a decision to resend sends nothing",
        f"{LEDGER}/quarantine.py",
        "insert into decisions (destination, order_id, batch_id, decision, decided_by)\n"
        "            select %(destination)s, order_id, batch_id, %(decision)s, %(who)s",
        "insert into decisions (destination, order_id, batch_id, decision, decided_by)\n"
        "            select %(destination)s, order_id, batch_id, 'accept', %(who)s",
        MACHINE,
        FAILED,
    ),
    Defect(
        "no lock",
        f"{LEDGER}/opening.py",
        'connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (f"order_sync {destination}",))',
        'connection.execute("select pg_advisory_lock(hashtextextended(%s, pg_backend_pid()))", (destination,))',
        STORM,
        "taken \\d+ times|an older state|do not balance|rows in its window|ChaosError|does not hold|ended with",
    ),
    # What the rows become: only the source and the service can tell.
    Defect(
        "the oldest row of a window instead of the newest",
        "include/order_sync/transform/transform.py",
        '        older = by_version.duplicated("order_id", keep="last")\n',
        '        older = by_version.duplicated("order_id", keep="first")\n',
        STORM,
        "the newest is",
    ),
    Defect(
        "a change in between that is dropped",
        "include/order_sync/transform/transform.py",
        '    if rules.changes == "newest" and alike.any():\n',
        "    if alike.any():\n",
        STORM,
        "never came",
    ),
    Defect(
        "a wrong code for a status",
        f"{PROVIDERS}/rees46.py",
        "OrderStatus.CANCELLED: CANCELLED,",
        "OrderStatus.CANCELLED: PAID_AND_DELIVERED,",
        STORM,
        "the newest is 2",
    ),
    Defect(
        "a window that ends a minute early",
        "include/order_sync/sources/window_values.py",
        '"window_end": render(end)}',
        '"window_end": render(end - timedelta(minutes=1))}',
        STORM,
        "rows in its window",
    ),
    Defect(
        "a staged part that is lost",
        "include/order_sync/staging/run_folder.py",
        "        for path in self.paths:\n            yield",
        "        for path in self.paths[1:] or self.paths[:0]:\n            yield",
        STORM,
        "the newest is|rows in its window",
    ),
    Defect(
        "the answers swapped between two orders",
        f"{DELIVERY}/settlement.py",
        "        refused = [verdict.outcome is Outcome.REJECTED for verdict in verdicts]\n",
        "        refused = [verdict.outcome is Outcome.REJECTED for verdict in verdicts][::-1]\n",
        "tests/contract/test_verdicts.py::test_yespo_failed_orders_are_rejected_alone",
        FAILED,
    ),
    Defect(
        "half of a refused batch forgotten",
        f"{DELIVERY}/sending.py",
        "write_batches(self.ledger, batch.orders, size)[::-1]",
        "write_batches(self.ledger, batch.orders, size)[:1]",
        "tests/contract/test_verdicts.py::test_yespo_a_refused_batch_is_halved_until_the_bad_order_is_alone",
        FAILED,
    ),
    # The sums, and the thresholds of a destination.
    Defect(
        "the sums skipped",
        f"{PLUGINS}/operators/load.py",
        "                        check_balance(run.before | outcomes, ledger.own_accepted())\n",
        "",
        "tests/airflow/test_red_runs.py::test_a_run_whose_sums_are_off_is_red_and_finishes_no_window",
        "DID NOT RAISE",
    ),
    Defect(
        "the sum of rows skipped",
        f"{DELIVERY}/accounting.py",
        '    if (rows, orders, accepted_in_ledger) != (counts["rows"], counts["orders"], counts["accepted"]):',
        '    if (orders, accepted_in_ledger) != (counts["orders"], counts["accepted"]):',
        "tests/unit/delivery/test_accounting.py",
        "DID NOT RAISE",
    ),
    Defect(
        "the sum of orders skipped",
        f"{DELIVERY}/accounting.py",
        '    if (rows, orders, accepted_in_ledger) != (counts["rows"], counts["orders"], counts["accepted"]):',
        '    if (rows, accepted_in_ledger) != (counts["rows"], counts["accepted"]):',
        "tests/unit/delivery/test_accounting.py",
        "DID NOT RAISE",
    ),
    Defect(
        "the ledger's own count not compared",
        f"{DELIVERY}/accounting.py",
        '    if (rows, orders, accepted_in_ledger) != (counts["rows"], counts["orders"], counts["accepted"]):',
        '    if (rows, orders) != (counts["rows"], counts["orders"]):',
        "tests/unit/delivery/test_accounting.py",
        "DID NOT RAISE",
    ),
    Defect(
        "a window finished before its sums are checked",
        f"{PLUGINS}/operators/load.py",
        "                    if result.complete:\n",
        "                    self.finish_window(ledger.sender.run, run.source, self.staged, run.window)\n"
        "                    if result.complete:\n",
        "tests/airflow/test_red_runs.py::test_a_run_whose_sums_are_off_is_red_and_finishes_no_window",
        "assert 1 == 0",
    ),
    *(
        Defect(
            f"{setting} ignored",
            f"{DELIVERY}/accounting.py",
            old,
            "    if False:\n",
            "tests/airflow/test_red_runs.py::test_each_threshold_makes_a_run_red",
            "DID NOT RAISE",
        )
        for setting, old in (
            ("max_rejected", "    if rejected > destination.max_rejected:\n"),
            (
                "max_rejected_share",
                "    if tried >= SHARE_COUNTS_FROM and share > destination.max_rejected_share:\n",
            ),
            ("none_good_of", '    if counts["newly_rejected"] >= destination.none_good_of and not good:\n'),
        )
    ),
    # What a service's silence means.
    Defect(
        "TLS, proxy or connect failed, taken for in doubt",
        f"{DELIVERY}/http.py",
        "                raise\n            raise TryAgainError(\n",
        "                raise\n            raise InDoubtError(\n",
        "tests/unit/delivery/test_http.py::test_what_ends_before_the_request_leaves_was_not_sent",
        "InDoubtError",
    ),
    Defect(
        "no time limit for the whole answer",
        f"{DELIVERY}/http.py",
        "        left_s = self._ends_at - time.monotonic()\n",
        "        left_s = tuning.ANSWER_S\n",
        "tests/unit/delivery/test_http.py::test_an_answer_that_drips_ends",
        FAILED,
    ),
    Defect(
        "408 stops the load",
        f"{PROVIDERS}/base.py",
        "if status in try_again or status == 408:",
        "if status in try_again:",
        "tests/unit/providers/test_answers.py::test_each_status_has_one_meaning",
        "StopError",
    ),
    Defect(
        "no stop after three doubts in a row",
        f"{DELIVERY}/result.py",
        "    if result.unanswered >= UNANSWERED_BATCHES_IN_A_ROW:\n",
        "    if result.unanswered > 1000:\n",
        "tests/unit/delivery/test_result.py",
        "DID NOT RAISE",
    ),
    Defect(
        "an answer with fewer verdicts than orders believed",
        f"{DELIVERY}/client.py",
        "        if len(verdicts) != len(batch):\n",
        "        if len(verdicts) > len(batch):\n",
        "tests/contract/test_hard_cases.py::test_a_missing_result_is_in_doubt",
        f"{FAILED}|DID NOT RAISE",
    ),
    Defect(
        "the wait for a lost sender's request skipped",
        f"{LEDGER}/lost_sender.py",
        "    if left_ms > 0:\n",
        "    if False:\n",
        "tests/contract/test_lost_senders.py::test_a_request_of_a_lost_sender_comes_first",
        FAILED,
    ),
    # The ledger's server.
    Defect(
        "a pooler accepted",
        f"{LEDGER}/opening.py",
        "    if row is None or row[0] != connection.info.backend_pid:\n",
        "    if row is None:\n",
        "tests/unit/ledger/test_opening.py::test_a_pooler_is_refused",
        "a session was opened through a pooler",
    ),
    Defect(
        "an intent that does not wait for the disk",
        f"{LEDGER}/session.py",
        " set local synchronous_commit = on; {begin}",
        " {begin}",
        "tests/unit/ledger/test_opening.py::test_only_the_intent_waits_for_the_disk",
        FAILED,
    ),
    Defect(
        "every write waits for the disk",
        f"{LEDGER}/opening.py",
        '            raw.execute("set synchronous_commit = off")\n',
        "",
        "tests/unit/ledger/test_opening.py::test_only_the_intent_waits_for_the_disk",
        FAILED,
    ),
    # Personal data and secrets.
    Defect(
        "staged rows that every user can read",
        f"{PLUGINS}/operators/base.py",
        "        os.umask(0o077)\n",
        "",
        "tests/airflow/test_secrets.py::test_what_is_staged_only_its_user_can_read",
        FAILED,
    ),
    Defect(
        # Airflow masks the passwords of connections in all logs: tests/airflow/test_hooks.py.
        "the secret of an account in what is shown of it",
        f"{PROVIDERS}/base.py",
        "    login: str\n    secret: str = field(repr=False)\n",
        "    login: str\n    secret: str\n",
        "tests/unit/delivery/test_http.py::test_nothing_shows_secrets_or_personal_data",
        FAILED,
    ),
    Defect(
        "a secret of the configuration in the log",
        f"{PLUGINS}/operators/base.py",
        "            mask_secret(value, name)\n",
        "            pass\n",
        "tests/airflow/test_secrets.py::test_a_secret_in_the_configuration_is_masked_in_logs",
        FAILED,
    ),
    Defect(
        "rows of the quarantine without a key",
        f"{PLUGINS}/ledger_connection.py",
        "    if not cipher.is_encrypted:\n",
        "    if False:\n",
        "tests/airflow/test_secrets.py::test_without_a_key_nothing_is_sent",
        "DID NOT RAISE",
    ),
    # A person's redrive.
    *(
        Defect(
            f"a redrive without its {param}",
            f"{LEDGER}/quarantine.py",
            old,
            new,
            "tests/airflow/test_redrive.py::test_a_redrive_takes_the_entries_that_its_params_choose",
            FAILED,
        )
        for param, old, new in (
            (
                "from",
                "and (%(seen_from)s::timestamptz is null or",
                "and (%(seen_from)s::timestamptz is null or true or",
            ),
            ("to", "and (%(seen_to)s::timestamptz is null or", "and (%(seen_to)s::timestamptz is null or true or"),
            ("at_most", "order by q.id limit %(at_most)s", "order by q.id limit %(at_most)s + 9"),
        )
    ),
    Defect(
        "a redrive that sends by default",
        "dags/order_sync_redrive.py",
        '"dry_run": Param(\n        True,',
        '"dry_run": Param(\n        False,',
        "tests/airflow/test_dags.py::test_a_redrive_is_dry_by_default_and_has_a_limit",
        FAILED,
    ),
    Defect(
        "a dry run that sends",
        f"{PLUGINS}/operators/redrive.py",
        '        dry_run = params["dry_run"] or not destination.live\n',
        "        dry_run = not destination.live\n",
        "tests/airflow/test_redrive.py::test_a_dry_run_changes_nothing",
        FAILED,
    ),
    Defect(
        "entries that stay open after their redrive",
        f"{PLUGINS}/operators/load.py",
        "            resolve_redriven(cursor, ledger.sender.run, redriven)\n",
        "            pass\n",
        "tests/airflow/test_redrive.py::test_a_redrive_closes_an_entry_that_does_not_fail_again",
        FAILED,
    ),
    # Retries.
    Defect(
        "a stop that is retried",
        f"{PLUGINS}/retry.py",
        "    if isinstance(error, StopError):\n",
        "    if False:\n",
        "tests/airflow/test_retry.py",
        FAILED,
    ),
    Defect(
        "a Retry-After that is ignored",
        f"{PLUGINS}/retry.py",
        "            delay_s = max(error.after_s, _doubled(FIRST_FLOOR_S, doublings))\n",
        "            delay_s = _doubled(FIRST_FLOOR_S, doublings)\n",
        "tests/airflow/test_retry.py",
        FAILED,
    ),
    Defect(
        "a destination that is not live delivers",
        f"{PLUGINS}/run_context.py",
        '    return wanted if destination.live else "plan"\n',
        "    return wanted\n",
        "tests/airflow/test_run_context.py",
        FAILED,
    ),
)
