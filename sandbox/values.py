"""Values that came in another JSON type than the documentation names, read as they were evidently meant.

No document says that a service refuses them, and the vendors' own clients send some. So they are taken and noted.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

# Called with each thing that looks wrong and that no document refuses. The words show no credentials and no customer.
Doubt = Callable[[str], None]

MAX_DIGITS = 300  # more than any number of an order has, and fewer than Python refuses to read
NUMBER = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(\.[0-9]{{1,{MAX_DIGITS}}})?", re.ASCII)


def is_number(value: Any) -> bool:
    """Return whether a value of read_json is a number."""
    # Fractions are read as Decimal. In Python True is an int; in JSON it is no number.
    return type(value) is int or type(value) is Decimal


def as_text(value: Any) -> str | None:
    """Return a text, or a number's digits; None if it is neither."""
    if isinstance(value, str):
        return value
    return str(value) if is_number(value) else None


def as_number(value: Any) -> int | Decimal | None:
    """Return a number, or the number that a text writes; None if it is neither."""
    if is_number(value):
        number: int | Decimal = value
        return number
    if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
        return None
    return Decimal(value.strip()) if "." in value else int(value)


def as_whole_number(value: Any) -> int | None:
    """Return a whole number, also one in text or with a fraction of zeros; None for all else."""
    number = as_number(value)
    if isinstance(number, Decimal):
        # An exponent can be huge: such a number is not written out.
        whole = number.adjusted() <= MAX_DIGITS and number == number.to_integral_value()
        return int(number) if whole else None
    return number


def about(thing: str, doubt: Doubt) -> Doubt:
    """Return a function that notes doubts about a part of the request."""
    return lambda reason: doubt(f"{thing}: {reason}")


def read_field(fields: dict[str, Any], name: str, kind: str, read: Callable[[Any], Any], doubt: Doubt) -> None:
    """Put what was meant into a field that is there, or take the field away if nothing was; note either.

    :param fields: of one object; changed.
    :param kind: what the field should be, as "a number".
    :param read: gives the value that was meant, or None; and a value that is right, unchanged.
    """
    if name not in fields:
        return
    value = fields[name]
    meant = read(value)
    if meant is not None and type(meant) is type(value) and meant == value:
        return
    doubt(f"{name} is not {kind}")
    if meant is None:
        del fields[name]
    else:
        fields[name] = meant
