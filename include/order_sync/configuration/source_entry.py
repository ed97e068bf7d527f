"""The keys that every source has: its columns, its status labels, and the forms of its values.

Imported while Airflow parses DAG files, so it may not import pandas.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from include.order_sync.configuration.dag_entry import Entry
from include.order_sync.configuration.values import Duration, country, known_key, quoted, time_zone
from include.order_sync.model import GUESTS, ITEM_COLUMNS, ORDER_COLUMNS, OrderStatus
from include.order_sync.transform.date_forms import ambiguous, known_form

if TYPE_CHECKING:
    from include.order_sync.transform.values import Values


class SourceEntry(Entry):
    """The keys that a warehouse and a CSV drop share."""

    item_columns: dict[str, str] = Field({}, description="canonical item column: the source's name for it")
    statuses: Annotated[dict[str, OrderStatus], BeforeValidator(quoted)] = Field(
        description=f"the shop's word: one of {', '.join(OrderStatus)}", min_length=1
    )
    timezone: Annotated[str, AfterValidator(time_zone)] = Field(
        description="of times without an offset, as Europe/Kyiv"
    )
    ahead: Duration = Field(timedelta(hours=1), description="how far a time may lie in the future, as 30m, 1h or 2d")
    dates: list[Annotated[str, AfterValidator(known_form)]] = Field(
        [], description="a list of the forms of dates beside ISO 8601, as d.m.y"
    )
    decimal: Literal[",", "."] | None = Field(
        None,
        description="the sign before the fraction of amounts; then currencies and signs of thousands may stand there",
    )
    strip_ids: bool = Field(False, description="true, to take # and the marks of spreadsheets off ids")
    missing_words: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="a list of words for nothing, as NULL, in quotes"
    )
    defaults: dict[str, str] = Field({}, description="canonical column: its text where a row has none")
    phone_country: Annotated[str, AfterValidator(country)] | None = Field(
        None, description="the country of telephone numbers without a country's code, as UA"
    )
    drop_bad_contact: bool = Field(
        False, description="true, to send an order without an e-mail or telephone number that is none"
    )
    guest_ids: list[str] = Field(list(GUESTS), description="a list of customer ids that are no customer")
    customer_id_from: list[Literal["email", "phone"]] = Field(
        [], description="a list of email and phone: what stands in for a missing customer id"
    )

    @field_validator("dates")
    @classmethod
    def _unambiguous(cls, forms: list[str]) -> list[str]:
        both = ambiguous(forms)
        if both:
            raise ValueError(f"{both[0]} and {both[1]} read 3/4/2026 as two days: keep the one that the shop writes")
        return forms

    @field_validator("defaults")
    @classmethod
    def _for_columns(cls, defaults: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        for column in defaults:
            known_key("canonical column", column, [known for known in ORDER_COLUMNS if known != "order_id"])
        statuses = info.data.get("statuses", {})
        if "status" in defaults and statuses and defaults["status"] not in statuses:
            raise ValueError("the status is none of the words of `statuses`")
        return defaults

    @property
    def supplied(self) -> set[str]:
        """The canonical columns that the source need not have, because the configuration gives them."""
        return {*self.defaults, *(["customer_id"] if self.customer_id_from else [])}

    @property
    def joins_lines(self) -> bool:
        """Whether the lines of an order that stand together are joined."""
        return getattr(self, "lines", None) in ("items", "continuation")

    @property
    def values(self) -> Values:
        """The forms of its values, for transform."""
        from include.order_sync.transform.values import Values  # not at the top: it brings pandas

        return Values(
            tuple(self.missing_words),
            self.defaults,
            self.decimal,
            self.phone_country,
            self.drop_bad_contact,
            tuple(self.guest_ids),
            tuple(self.customer_id_from),
        )

    @field_validator("columns", "item_columns", check_fields=False)
    @classmethod
    def _canonical(cls, columns: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        known = ORDER_COLUMNS if info.field_name == "columns" else ITEM_COLUMNS
        for column in columns:
            known_key("canonical column", column, known)
        return columns
