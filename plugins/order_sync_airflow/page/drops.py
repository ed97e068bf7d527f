"""The views of the files of CSV drops: those that were taken, those that could not be used, those that are not read."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from order_sync_airflow.page import reads
from order_sync_airflow.page.answers import User, answer, chosen, not_found

router = APIRouter()


@router.get("/files")
def files(
    request: Request, access: User, destination: str = "", unusable: bool = False, not_read: bool = False
) -> Response:
    """List the files that were taken last, those that could not be used, or those that are not read and why."""
    names = chosen(access, destination)
    if not names:
        return not_found(request, f"There is no destination {destination!r} that you may see.")
    with reads.reading() as ledger:
        found = [] if not_read else reads.files(ledger, names, unusable=unusable)
        unread = reads.files_not_read(ledger, names)
    model = {
        "title": "Files",
        "files": found,
        "unread": unread,
        "view": "unread" if not_read else "unusable" if unusable else "taken",
        "destination": destination,
        "names": access.names,
    }
    return answer(request, "files.html", model)


@router.get("/file")
def file(request: Request, access: User, path: str) -> Response:
    """Show what came of one file at each destination."""
    with reads.reading() as ledger:
        versions = reads.files(ledger, access.names, path=path)
        reasons = reads.reasons_of_file(ledger, access.names, path)
        unread = reads.files_not_read(ledger, access.names, path=path)
    model = {"title": "File", "path": path, "versions": versions, "reasons": reasons, "unread": unread}
    return answer(request, "file.html", model)
