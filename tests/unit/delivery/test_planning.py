"""The payload hashes of the ledger."""

import pandas as pd

from include.order_sync.delivery.planning import payload_hashes


def test_payloads_hash_as_they_always_did():
    """Payload hashes never change: otherwise every order would look changed once."""
    hashes = payload_hashes(pd.Series(['{"id":"1","status":0}', "Шевченко"], dtype="str"))
    assert hashes.tolist() == [2952551920460606950, 7992230073795117284]
