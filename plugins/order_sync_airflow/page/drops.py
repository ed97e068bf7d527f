"""The views of the files of CSV drops: those that were taken, those that could not be used, those that are not read."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from order_sync_airflow.page import airflow_runs, reads
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
        found = [] if not_read else with_reasons(reads.files(ledger, names, unusable=unusable))
        unread = reads.files_not_read(ledger, names)
        fresh = reads.freshness(ledger, names)
    model = {
        "title": "Files",
        "files": found,
        "unread": unread,
        # Only a scheduled run lists the files that are not read, and opens a destination's first window.
        "never_scheduled": [name for name in names if name not in fresh or fresh[name]["read_up_to"] is None],
        "view": "unread" if not_read else "unusable" if unusable else "taken",
        "destination": destination,
        "names": access.names,
    }
    return answer(request, "files.html", model)


def with_reasons(files: reads.Rows) -> reads.Rows:
    """Return files, those that could not be used with `why`, as the note of their run says."""
    runs: dict[str, set[str]] = {}
    for file in files:
        if file["is_unusable"]:
            runs.setdefault(f"order_sync_{file['destination']}", set()).add(file["run"])
    notes = {dag: airflow_runs.of_runs(dag, of_dag) for dag, of_dag in runs.items()}
    for file in files:
        note = notes.get(f"order_sync_{file['destination']}", {}).get(file["run"], {})
        file["why"] = note.get("why", "") if file["is_unusable"] else ""
    return files


@router.get("/file")
def file(request: Request, access: User, path: str) -> Response:
    """Show what came of one file at each destination."""
    with reads.reading() as ledger:
        versions = with_reasons(reads.files(ledger, access.names, path=path))
        reasons = reads.reasons_of_file(ledger, access.names, path)
        unread = reads.files_not_read(ledger, access.names, path=path)
    model = {"title": "File", "path": path, "versions": versions, "reasons": reasons, "unread": unread}
    return answer(request, "file.html", model)
