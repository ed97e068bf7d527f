"""The sandbox's memory: every order with its history, every mail, refusal and doubt, but never a credential."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.service import Rejection, Update


@dataclass
class Book:
    """The memory of one service. Its lists hold the entries of the admin pages, oldest first."""

    provider: str
    requests: int = 0
    accepted: int = 0
    history: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    mails: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    doubts: list[dict[str, Any]] = field(default_factory=list)

    def count_request(self) -> int:
        """Count an incoming request and return its number, from 1."""
        self.requests += 1
        return self.requests

    def take(self, updates: Iterable[Update], *, request_number: int) -> None:
        """Remember order updates as taken, in this order."""
        at = _now()
        for update in updates:
            change = {"at": at, "status": update.status, "payload": update.payload, "request": request_number}
            self.history.setdefault(update.order_id, []).append(change)
            self.accepted += 1

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Remember orders that the service did not take from a request that it took."""
        at = _now()
        for rejection in rejections:
            self.rejected.append(
                {
                    "provider": self.provider,
                    "order_id": rejection.order_id,
                    "reason": rejection.reason,
                    "at": at,
                }
            )

    def refuse(self, status: int | None, reason: str) -> None:
        """Remember a request that was refused as a whole; status is None if it got no answer."""
        self.refused.append({"provider": self.provider, "at": _now(), "status": status, "reason": reason})

    def note_doubts(self, doubts: Sequence[str], *, request_number: int) -> None:
        """Remember what looked wrong in a request, and no document refuses."""
        self.doubts.append({"provider": self.provider, "at": _now(), "request": request_number, "doubts": list(doubts)})

    def mail(self, kind: str, name: str, order_id: str | None = None) -> None:
        """Remember a mail: an ``event`` can reach a customer, an ``error_mail`` goes to the shop's staff."""
        self.mails.append({"provider": self.provider, "kind": kind, "name": name, "order_id": order_id, "at": _now()})

    def stats(self) -> dict[str, int]:
        """Return the counts of this service."""
        return {
            "requests": self.requests,
            "refused": len(self.refused),
            "orders": len(self.history),
            "accepted": self.accepted,
            "rejected": len(self.rejected),
            "mails": len(self.mails),
            "doubts": len(self.doubts),
        }

    def orders(self, order_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield every order, or only the one with this id, with its last payload and its whole history."""
        ids = self.history if order_id is None else [order_id] if order_id in self.history else []
        for known_id in ids:
            changes = self.history[known_id]
            yield {
                "provider": self.provider,
                "id": known_id,
                "payload": changes[-1]["payload"],
                "history": changes,
            }


class Memory:
    """One book for each service."""

    def __init__(self, providers: Iterable[str]) -> None:
        self.books = {provider: Book(provider) for provider in providers}

    def reset(self) -> None:
        """Forget everything."""
        self.books = {provider: Book(provider) for provider in self.books}


def _now() -> str:
    return datetime.now(UTC).isoformat()
