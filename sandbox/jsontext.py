"""JSON in and out without changing a number: 19.90 stays 19.90, and 19.899999999999999 is seen as such."""

import json
import re
import secrets
from decimal import Decimal
from typing import Any, NoReturn

# The json module can't write a Decimal as a number, so it writes marked text, and the marks are taken off
# afterwards. The mark is random: no text in an order can look like one.
_MARK = secrets.token_hex(16)
_MARKED_NUMBER = re.compile(rf'"{_MARK}([^"]+)"')


def read_json(body: bytes) -> Any:
    """Return the document in UTF-8 bytes, fractions as Decimal; raise ValueError if it is none."""
    try:
        return json.loads(body.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse_constant)
    except (RecursionError, ArithmeticError) as error:
        raise ValueError("nested too deeply, or a number beyond all bounds") from error


def write_json(document: Any) -> bytes:
    """Return the document as ASCII bytes of JSON, with every Decimal as the number it is."""
    text = json.dumps(document, default=_mark, separators=(",", ":"))
    return _MARKED_NUMBER.sub(r"\1", text).encode("ascii")


def _mark(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value}"
    raise TypeError(f"no JSON for {type(value).__name__}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
