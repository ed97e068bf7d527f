"""The marks of a destination, in the ledger and beside it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from include.order_sync import stops
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.marks import ACCEPT, ForeignLedgerError, marked
from include.order_sync.ledger.opening import open_session


class Memory:
    """A store of one mark, which can be out of reach."""

    def __init__(self) -> None:
        self.mark: str | None = None
        self.is_down = False

    def read(self) -> str | None:
        """Return the mark."""
        return self.mark

    def write(self, mark: str) -> None:
        """Replace the mark."""
        if self.is_down:
            raise TryAgainError("The store is down.")
        self.mark = mark


class Destination:
    """A destination that is new to the ledger, with a store of its mark."""

    def __init__(self, ledger: sa.Engine) -> None:
        self.ledger = ledger
        self.name = f"marks_{uuid.uuid4().hex}"
        self.store = Memory()

    @contextmanager
    def load(self, *, adopts: bool = False) -> Iterator[None]:
        """Do a load, with its marks."""
        with (
            open_session(self.ledger, "ledger", destination=self.name, run="run", try_number=1) as session,
            marked(session, self.store, adopts=adopts),
        ):
            yield

    def rows(self) -> tuple[str | None, str | None]:
        """Return the marks that the ledger keeps."""
        query = sa.text("select mark, next_mark from destinations where name = :name")
        with self.ledger.connect() as connection:
            mark, next_mark = connection.execute(query, {"name": self.name}).one()
        return mark, next_mark

    def restore(self, rows: tuple[str | None, str | None]) -> None:
        """Put the ledger's marks back."""
        query = sa.text("update destinations set mark = :mark, next_mark = :next where name = :name")
        with self.ledger.begin() as connection:
            connection.execute(query, {"name": self.name, "mark": rows[0], "next": rows[1]})


@pytest.fixture
def destination(ledger: sa.Engine) -> Destination:
    """A destination that is new to the ledger."""
    return Destination(ledger)


def test_the_mark_is_new_before_and_after_a_load(destination: Destination) -> None:
    """A backup that is taken during a load is noticed as well: the load makes a mark at both ends."""
    with destination.load():
        during = destination.store.mark
        backup = destination.rows()
    assert during
    assert destination.store.mark != during
    with destination.load():
        pass
    destination.restore(backup)
    with pytest.raises(ForeignLedgerError) as found, destination.load():
        pass
    assert found.value.difference == "older ledger"


def test_a_backup_during_a_load_is_noticed_right_after_it(destination: Destination) -> None:
    """The mark at the end of a load is not one that a backup of mid-load knows."""
    with destination.load():
        backup = destination.rows()
    destination.restore(backup)
    with pytest.raises(ForeignLedgerError, match="older ledger"), destination.load():
        pass


def test_a_load_that_is_killed_anywhere_is_no_obstacle(destination: Destination) -> None:
    """A mark that is in the ledger and not yet in the store, or the other way round, is no difference."""
    for _ in range(3):
        destination.store.is_down = True  # ends after the ledger's write, before the store's
        with pytest.raises(TryAgainError, match="The store is down"), destination.load():
            raise AssertionError("the load has begun without a mark")
        destination.store.is_down = False
        with destination.load():
            pass
    with destination.load():
        before_the_end = destination.store.mark
    destination.store.mark = before_the_end  # as of a load that died before its last write
    with destination.load():
        pass


def test_a_store_that_is_down_at_the_end_does_not_hide_the_loads_own_error(
    destination: Destination, caplog: pytest.LogCaptureFixture
) -> None:
    """The load's outcome stands, and the next load goes on."""

    def fail() -> None:
        with destination.load():
            destination.store.is_down = True
            raise StopError(stops.SUMS_OFF, "its own")

    with pytest.raises(StopError, match="its own"):
        fail()
    assert "mark at the end of the load was not written: The store is down" in caplog.text
    destination.store.is_down = False
    with destination.load():
        pass


def test_two_pasts_of_the_same_length_are_told_apart(destination: Destination) -> None:
    """A copy of the store that has loaded since over a restored ledger has other marks of the same numbers."""
    with destination.load():
        pass
    backup, first, copy = destination.rows(), destination.store, Memory()
    copy.mark = first.mark
    with destination.load():
        pass
    destination.restore(backup)
    destination.store = copy
    with destination.load():
        pass
    destination.store = first
    with pytest.raises(ForeignLedgerError, match="another mark"), destination.load():
        pass


def test_an_adoption_goes_on_and_leaves_the_difference(destination: Destination) -> None:
    """Adopting is a cure, so it is possible; whether the ledger is right then, a person says."""
    with destination.load():
        pass
    destination.restore((None, None))
    with destination.load(adopts=True):
        pass
    with pytest.raises(ForeignLedgerError, match="older ledger"), destination.load():
        pass
    destination.store.mark = ACCEPT
    with destination.load():
        pass
    assert destination.store.mark == destination.rows()[1]


@pytest.mark.parametrize(
    ("kept", "difference"), [(None, "no mark"), ("1-00000000", "another mark"), ("what?", "another mark")]
)
def test_a_mark_that_is_not_the_ledgers_is_told_by_its_kind(
    destination: Destination, kept: str | None, difference: str
) -> None:
    """A mark that is missing, an old one of another past, and something that is no mark."""
    with destination.load():
        pass
    destination.store.mark = kept
    with pytest.raises(ForeignLedgerError, match=difference), destination.load():
        pass
    assert destination.store.mark == kept
