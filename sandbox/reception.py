"""The path of a request through the sandbox: it is counted, spoiled or processed, remembered and answered."""

import asyncio

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from sandbox.faults import Fault, Faults
from sandbox.memory import Book, Memory
from sandbox.service import Answer, Incoming, RefusalError, Rejection, Service

# What stands before a service may answer in its place. Each has the status of a success.
GARBAGE: dict[str, tuple[bytes, str]] = {
    "bytes": (b'\xff\xfe<html>{"status": ', "text/html"),
    "page": (b"<!DOCTYPE html><html><body><h1>We are back in ten minutes</h1></body></html>", "text/html"),
    "login": (b'<html><form action="/login"><input name="login"><input type="password"></form></html>', "text/html"),
    "cut_json": (b'{"status": "succ', "application/json"),
    "broken_chunks": (b'{"status": ', "application/json"),
}

# The app stores the connection's transport under this key of the scope, for HangUp.
TRANSPORT_KEY = "sandbox.transport"


class HangUp(Response):
    """No answer: the connection is closed without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection, and wait until the server notices: otherwise it would answer with a 500."""
        transport = scope[TRANSPORT_KEY]
        if transport is None:
            raise RuntimeError("hanging up needs a real connection: run the sandbox under uvicorn")
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


class BrokenChunks(Response):
    """A body in chunks, the last of which never comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and one chunk, then close the connection."""
        headers = [(b"content-type", str(self.media_type).encode())]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await HangUp()(scope, receive, send)


class Reception:
    """Receives the requests to all services."""

    def __init__(self, memory: Memory, faults: Faults, *, strict: bool = False) -> None:
        self._memory = memory
        self._faults = faults
        self._strict = strict

    async def receive(self, service: Service, path: str, request: Request) -> Response:
        """Answer a request to a service; path is the part of the address after the service's prefix."""
        book = self._memory.books[service.name]
        number = book.count_request()
        if other := service.other_call(request.method, path, request.headers):
            return _response(other)
        if path != service.path:  # RFC 9110, 15.5.5
            return _response(_refuse(service, book, RefusalError(404, "no such address")))
        if request.method != "POST":  # RFC 9110, 15.5.6; each service documents its call as a POST
            answer = _refuse(service, book, RefusalError(405, "only POST is understood here"))
            return _response(answer, {"Allow": "POST"})
        try:
            incoming = Incoming(request.headers, await request.body())
        except ClientDisconnect:
            book.refuse(None, "the client left before its request was complete")
            return HangUp()

        plan = self._faults.plan(service)
        await asyncio.sleep(plan.wait_before_s)
        if plan.fault and not plan.fault.after_processing:
            book.refuse(_status_shown(plan.fault), f"fault: {plan.fault.kind}")
            return _spoiled(service, plan.fault, None)
        answer = self._process(service, book, number, incoming)
        await asyncio.sleep(plan.wait_after_s)
        if plan.fault:
            return _spoiled(service, plan.fault, answer)
        return _response(answer)

    def _process(self, service: Service, book: Book, number: int, incoming: Incoming) -> Answer:
        """Act as the service would. Nothing is awaited here, so no other request comes in between."""
        doubts: list[str] = []
        try:
            updates = service.read(incoming, doubts.append)
            if self._strict and doubts:
                raise service.doubted(doubts[0])
        except RefusalError as error:
            return _refuse(service, book, error)
        finally:
            if doubts:
                book.note_doubts(doubts, request_number=number)
        order_ids = [update.order_id for update in updates]
        if fault := self._faults.of_orders(service, order_ids):
            reason = fault.message or f"fault: status {fault.status}"
            return _refuse(service, book, RefusalError(fault.status or 500, reason))
        refused = self._faults.refused_orders(service, order_ids)
        taken, rejections = [], []
        for update in updates:
            rejection = service.examine(update)
            if rejection is None and (fault := refused.get(update.order_id)):
                reason = fault.message or "refused by a fault"
                rejection = Rejection(update.order_id, reason, fault.code, fault.shape)
            if rejection is None:
                taken.append(update)
            else:
                rejections.append(rejection)
        book.take(taken, request_number=number)
        service.taken(taken)
        book.reject(rejections)
        for update in taken:
            if event := service.event(update):
                book.mail("event", event, update.order_id)
        if service.mails_rejections:
            for rejection in rejections:
                book.mail("error_mail", rejection.reason, rejection.order_id)
        return service.answer(number, taken, rejections)


def _refuse(service: Service, book: Book, error: RefusalError) -> Answer:
    book.refuse(error.status, error.reason)
    if error.mail:
        book.mail("error_mail", error.reason)
    return service.refusal(error)


def _status_shown(fault: Fault) -> int | None:
    return None if fault.kind == "close" else fault.status or 200


def _spoiled(service: Service, fault: Fault, answer: Answer | None) -> Response:
    """Return the response that replaces the true answer; `answer` is None before processing."""
    if fault.kind == "close":
        return HangUp()
    if fault.kind == "bad_signature" and answer is not None:
        return _response(service.with_bad_signature(answer))
    if fault.kind == "garbage":
        body, media_type = GARBAGE[fault.form]
        if fault.message is not None:
            body, media_type = fault.message.encode(), fault.media_type
        if fault.form == "broken_chunks":
            return BrokenChunks(body, fault.status or 200, media_type=media_type)
        return _response(Answer(fault.status or 200, body, media_type=media_type))
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    error = RefusalError(fault.status or 500, fault.message or f"fault: status {fault.status}")
    return _response(service.refusal(error), headers)


def _response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    return Response(answer.body, answer.status, headers=answer.headers | (headers or {}), media_type=answer.media_type)
