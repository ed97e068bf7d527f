"""Looks for the folders of a CSV drop that the worker may not read: to a glob they are empty."""

from __future__ import annotations

import logging
import os

from upath import UPath

from include.order_sync import stops
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.errors import StopError

log = logging.getLogger(__name__)

# Protocols of folders that exist without files.
FILE_SYSTEMS = ("", "file", "local")


def look_into_folders(folder: UPath, source: CsvSource) -> None:
    """Warn of the folders that the worker may not read.

    Raises:
        StopError: the drop's folder is one of them.
    """
    if folder.protocol not in FILE_SYSTEMS:
        return
    cure = "Give its user the right to list and to enter it"
    if not _may_look_into(folder.path):
        raise StopError(
            stops.NO_FOLDER, f"Source {source.name!r}: the worker may not read the drop's folder {folder}. {cure}."
        )
    parents = source.pattern.split("/")[:-1]
    for depth in range(1, len(parents) + 1):
        for path in folder.glob("/".join(parents[:depth])):
            if not _may_look_into(path.path):
                log.warning(
                    "Source %r: the worker may not read the folder %s, so no run reads its files. %s.",
                    source.name,
                    path,
                    cure,
                )


def _may_look_into(path: str) -> bool:
    try:
        with os.scandir(path), os.scandir(f"{path}/."):  # the right to list it, and to enter it
            pass
    except PermissionError:
        return False
    except OSError:  # it is no folder, or not there
        pass
    return True
