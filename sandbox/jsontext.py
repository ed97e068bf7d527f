"""JSON read and written with every number unchanged: 19.90 stays 19.90, and 19.899999999999999 stays visible."""

import json
import re
import secrets
from decimal import Decimal
from typing import Any, NoReturn

# The json module can't write a Decimal as a number. So write_json writes marked text and removes the marks afterwards.
# The mark is random: no text in an order can contain it.
_MARK = secrets.token_hex(16)
_MARKED_NUMBER = re.compile(rf'"{_MARK}([^"]+)"')


def read_json(body: bytes) -> Any:
    """Parse UTF-8 bytes, with fractions as Decimal; raise ValueError if they are not JSON.

    Both services document a JSON body, and RFC 8259 says what is JSON: UTF-8 without a byte order mark (section 8.1),
    no NaN and no Infinity (section 6). Its section 9 allows limits of depth and of numbers.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse_constant)
    except (RecursionError, ArithmeticError) as error:
        raise ValueError("the document is nested too deeply, or a number is too large") from error


def write_json(document: Any) -> bytes:
    """Return the document as JSON in ASCII bytes, with every Decimal as a number."""
    text = json.dumps(document, default=_mark, separators=(",", ":"))
    return _MARKED_NUMBER.sub(r"\1", text).encode("ascii")


def _mark(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value}"
    raise TypeError(f"no JSON for {type(value).__name__}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
