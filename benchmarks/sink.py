"""The sink: a service that accepts every request at once. All contenders send to it.

Start it with `python -m benchmarks.sink --port 9000 [--latency-ms 50]`. A JSON body holds orders in the form of REES46
or Yespo. A form holds one order for JustClick, and its answer is signed with SECRET of end_to_end.py. GET /stats counts
since the last GET:

- `requests`, and `span_s`, the seconds between the first and the last of them.
- `orders`: all of them.
- `different`: orders without repetitions.
- `late`: orders that came after a newer change of the same order.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

SECRET = b"bench-key"
TAKEN = json.dumps({"status": "success"}).encode()
YESPO_TAKEN = json.dumps({"asyncSessionId": "1"}).encode()
FORM_TAKEN = json.dumps(
    {"error_code": 0, "error_text": "", "hash": hashlib.md5(b"0::::" + SECRET, usedforsecurity=False).hexdigest()}
).encode()

ORDER_ID = re.compile(rb'"(?:id|externalOrderId)": ?"([^"]*)"')


class Sink:
    """The ASGI application. It stores only ids and forms, and counts them later, when no contender is timed.

    Args:
        latency_s: delay of each answer.
    """

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._requests = 0
        self._first_at = self._last_at = 0.0
        self._ids: list[bytes] = []
        self._forms: list[bytes] = []

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        """Answer one request."""
        chunks, more = [], True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        if scope["method"] == "GET":
            answer = json.dumps(self._stats()).encode()
        else:
            answer = self._take(scope, b"".join(chunks))
            if self._latency_s:
                await asyncio.sleep(self._latency_s)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _take(self, scope: Any, body: bytes) -> bytes:
        self._last_at = time.monotonic()
        self._first_at = self._first_at if self._requests else self._last_at
        self._requests += 1
        if b"application/x-www-form-urlencoded" in dict(scope["headers"]).get(b"content-type", b""):
            self._forms.append(body)
            return FORM_TAKEN
        self._ids.append(b"\n".join(ORDER_ID.findall(body)))
        return YESPO_TAKEN if b"externalOrderId" in body[:1000] else TAKEN

    def _stats(self) -> dict[str, float]:
        ids = [order_id for body in self._ids for order_id in body.split(b"\n")]
        newest: dict[str, int] = {}
        late = 0
        for form in self._forms:
            bill = parse_qs(form.decode())
            if "date" in bill:  # only some statuses have one
                (number,), changed_at = bill["bill_id"], int(bill["date"][0])
                late += changed_at < newest.get(number, 0)
                newest[number] = changed_at
        stats = {
            "requests": self._requests,
            "span_s": self._last_at - self._first_at,
            "orders": len(ids) + len(self._forms),
            "different": len(set(ids)) + len(set(self._forms)),
            "late": late,
        }
        self._requests, self._first_at, self._last_at = 0, 0.0, 0.0
        self._ids, self._forms = [], []
        return stats


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    uvicorn.run(
        Sink(options.latency_ms / 1000),
        port=options.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        date_header=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
