"""Load: ready orders are planned against the ledger, batched and sent, and each gets its verdict.

- loop.py: one load, turn by turn; failing.py: the orders that go last, because the service fails at them;
- planning.py: the action of each order; decision_table.py, relations.py, stale.py: the rules for it;
- batching.py: the orders of one request; sending.py, in_flight.py, pacing.py: when a batch leaves;
- client.py, http.py: one request and its answer; trial.py: a harmless request, to try an account;
- settlement.py, result.py: verdicts are recorded and counted, and the rules that stop a load;
- brake.py: too many notifications; accounting.py: sums that are off, and too many rejected orders;
- plan_mode.py: the orders that a run would send.

It may use every package but the pipeline; it never names a service.
"""
