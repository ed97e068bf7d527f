"""`make chaos`: the promise of the ledger, under faults and kills; `verdict.py` judges it from outside."""
