"""The shop's table: rows that are changed in place stay known to the judge, and its clock shows one hour twice."""

import random
from datetime import timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa

from chaos import shop
from chaos.verdict import CHANGES, GONE, LATE
from tests.chaos.conftest import libpq_address

HOURS = 14


@pytest.fixture
def source(postgres_server: sa.URL):
    """A connection to a filled source."""
    with psycopg.connect(libpq_address(postgres_server), autocommit=True) as connection:
        connection.execute("create database shop_of_chaos")
    address = libpq_address(postgres_server.set(database="shop_of_chaos"))
    shop.fill(address, 1000, 100, HOURS, random.Random(1))
    with psycopg.connect(address, options="-c datestyle=ISO", autocommit=True) as connection:
        yield connection
    with psycopg.connect(libpq_address(postgres_server), autocommit=True) as connection:
        connection.execute("drop database shop_of_chaos")


def test_a_row_that_was_changed_is_judged_with_its_old_form(source):
    """A row gets the next status of its order; the judge knows both forms: the new one is late, the old one is gone."""
    before = source.execute(CHANGES).fetchall()
    wanted = source.execute("select order_id, status, changed_at, replaced_at from replacements").fetchall()
    for _ in range(3):
        shop.change_in_place(source)
    after = source.execute(CHANGES).fetchall()
    assert source.execute("select count(*) from replacements").fetchone() == (0,)
    assert len(after) == len(before) + len(wanted) > len(before) + 20
    assert source.execute("select count(*) from order_changes").fetchone() == (len(before),)
    judged = {(order_id, at): (status, late) for order_id, _, status, at, late in after}
    known = {(order_id, at): status for order_id, _, status, at, _ in before}
    for order_id, status, changed_at, replaced_at in wanted:
        assert judged[order_id, changed_at] == (status, LATE)
        assert judged[order_id, replaced_at] == (known[order_id, replaced_at], GONE)


def test_the_repeated_hours_are_those_of_the_shops_clock():
    """The shop's clock shows both hours alike, and only these."""
    first, second = (hour.astimezone(ZoneInfo(shop.TIMEZONE)) for hour in shop.REPEATED_HOURS)
    assert (first.hour, first.fold, second.hour, second.fold) == (second.hour, 0, first.hour, 1)
    assert shop.FIRST_HOUR <= shop.REPEATED_HOURS[0] < shop.FIRST_HOUR + timedelta(hours=HOURS // 2)
