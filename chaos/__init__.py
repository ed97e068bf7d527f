"""`make chaos` tests the ledger's promise under faults and kills; `verdict.py` judges the result from outside."""
