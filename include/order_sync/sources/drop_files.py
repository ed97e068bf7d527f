"""Chooses the files of a CSV drop for a run: those of a window, or all that were not taken before.

A file is known by its path and a fingerprint of its listing. If the fingerprint is new but size and modified time are
not (after a chmod, or a replacement that kept both), its content decides.
"""

from __future__ import annotations

import difflib
import fnmatch
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from upath import UPath

from include.order_sync import stops
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.csv_values import PATH_TIMES
from include.order_sync.errors import StopError
from include.order_sync.model import FileNotRead, FileVersion, Window
from include.order_sync.sources.drop_folders import FILE_SYSTEMS, look_into_folders
from include.order_sync.sources.hashed_content import NOT_PERMITTED, content_hash

log = logging.getLogger(__name__)

UNFINISHED_SUFFIXES = (".part", ".tmp")

# How the content hash of a file begins that could not be used, before a hash of the configuration that it was read by.
_UNUSABLE = "unusable "

# Said only if a run finds no other file: one that is written anew at each full hour would be left by each run.
_TOO_YOUNG = (
    "It was changed after the end of the window, or less than `settle_seconds` ago. If a job writes it anew before the "
    "next run comes, no run reads it: let the job write it some minutes before the full hour, or under a name with its "
    "hour."
)

# When nothing matches: how many files are looked at for a near name, and how many are named.
_LISTED_FOR_NAMES = 1000
_NEAR_NAMES = 3

# Of the files from before a destination's first window, the newest are looked for in the register.
_EARLIER_FILES = 200

# Paths -> the versions of these files that were taken before.
Register = Callable[[Sequence[str]], Iterable[FileVersion]]


@dataclass(frozen=True)
class DropFile:
    """A file of the drop, as listed before it is read: a later change makes another version.

    Args:
        path: of the file.
        fingerprint: a hash of everything in its listing.
        size: in bytes.
        modified_at: the time of the last change.
        belongs_at: the time that decides its window.
    """

    path: UPath
    fingerprint: str
    size: int
    modified_at: datetime
    belongs_at: datetime

    def version(self, content_hash: str) -> FileVersion:
        """Return the file's version with the hash of the bytes that were read."""
        return FileVersion(str(self.path), self.fingerprint, self.size, self.modified_at, content_hash)

    def not_read(self, reason: str) -> FileNotRead:
        """Return the file as one that is not read, with the reason and what to do."""
        return FileNotRead(str(self.path), self.belongs_at, reason)


def files_of(folder: UPath, source: CsvSource, window: Window) -> list[DropFile]:
    """Return the files that belong to the window, sorted by their time, then by name.

    Raises:
        StopError: the folder, or the bucket, does not exist.
    """
    return _within(window, _files(folder, source, []))


def _within(window: Window, files: Iterable[DropFile]) -> list[DropFile]:
    return sorted((file for file in files if window.start <= file.belongs_at < window.end), key=_age)


def files_not_taken(
    folder: UPath, source: CsvSource, window: Window, register: Register
) -> tuple[list[DropFile], list[FileVersion], list[FileNotRead]]:
    """Return the files of a window that were not taken in this version, oldest first.

    Args:
        folder: the folder of the glob's fixed beginning.
        source: from the configuration.
        window: from the start of the destination's first window to the end of the run's. Files modified in the source's
            last `settle_seconds` are left too.
        register: returns the versions that were taken before.

    Returns:
        The files; the versions that were taken and have another fingerprint now, to be remembered by it; and the files
        that no scheduled run reads, or that are too young where there are no others.

    Raises:
        StopError: the folder does not exist.
    """
    # A writer may still be at work on a younger file. It is not taken, so a later run reads it.
    now, settle = datetime.now(UTC), timedelta(seconds=source.settle_seconds)
    not_read: list[FileNotRead] = []
    listed = list(_files(folder, source, not_read))
    files = [file for file in _within(window, listed) if abs(now - file.modified_at) >= settle]
    young = [file for file in listed if file.belongs_at >= window.end or abs(now - file.modified_at) < settle]
    earlier = sorted((file for file in listed if file.belongs_at < window.start), key=_age)[-_EARLIER_FILES:]
    known = list(register([str(file.path) for file in [*files, *earlier, *young]]))
    ever_taken = {version.path for version in known}
    before = f"Its time lies before {_moment(window.start)}, where the destination begins. Backfill its date."
    not_read += [file.not_read(before) for file in earlier if str(file.path) not in ever_taken]
    read = [version for version in known if not _is_worth_another_try(version, source)]
    fingerprints = {(version.path, version.fingerprint) for version in read}
    # These are rejected already. A change of permissions need not show in the listing, so each run tries them again.
    not_permitted = {
        (version.path, version.fingerprint) for version in known if version.content_hash == NOT_PERMITTED
    } - fingerprints
    contents: dict[tuple[str, int, datetime], set[str]] = {}
    for version in read:
        contents.setdefault((version.path, version.size, version.modified_at), set()).add(version.content_hash)
    new, touched = [], []
    for file in files:
        path = str(file.path)
        if (path, file.fingerprint) in fingerprints:
            continue
        if (path, file.fingerprint) in not_permitted and content_hash(file.path) == NOT_PERMITTED:
            continue
        hashes = contents.get((path, file.size, file.modified_at))
        content = content_hash(file.path) if hashes else None
        if hashes and content in hashes:
            touched.append(file.version(content))
        else:
            new.append(file)
    for file in young if not (new or source.path_time) else ():
        if (str(file.path), file.fingerprint) not in fingerprints:
            log.warning("Source %r: %s is left to the next run. %s", source.name, file.path, _TOO_YOUNG)
            not_read.append(file.not_read(_TOO_YOUNG))
    return new, touched, not_read


def unusable(file: DropFile, content: str, source: CsvSource) -> FileVersion:
    """Return the version to remember of a file that could not be used, until it or the configuration changes.

    Args:
        file: as it was listed.
        content: its hash.
        source: that it was read by.
    """
    return file.version(NOT_PERMITTED if content == NOT_PERMITTED else f"{_UNUSABLE}{source.reading}")


def _is_worth_another_try(version: FileVersion, source: CsvSource) -> bool:
    known = version.content_hash
    return known == NOT_PERMITTED or (known.startswith(_UNUSABLE) and known != f"{_UNUSABLE}{source.reading}")


def nothing_matches(folder: UPath, source: CsvSource) -> str:
    """Return that no file matches the source's glob, and the nearest names; empty if one does.

    Args:
        folder: the folder of the glob's fixed beginning.
        source: from the configuration.
    """
    if any(map(_may_be_file, folder.glob(source.pattern))):
        return ""
    said = f"Source {source.name!r}: 0 files match {source.path}."
    if (folder / source.pattern).is_dir():
        return f"{said} It is a folder: write {source.path.rstrip('/')}/*.csv."
    if source.pattern.endswith("**"):
        return f"{said} ** alone stands for folders: write {source.path}/*.csv."
    if "{" in source.pattern:
        return f"{said} A glob has no {{a,b}}: use * or a source for each."
    if (folder / source.pattern).is_file():
        return f"{said} [ and ] stand for a set of signs: write [[] and []] for themselves."
    paths = (path.relative_to(folder).as_posix() for path in islice(folder.glob("**/*"), _LISTED_FOR_NAMES))
    names = [name for name in paths if not any(part.startswith(".") for part in name.split("/"))]
    wanted = source.pattern.casefold()
    near = [name for name in names if fnmatch.fnmatchcase(name.casefold(), wanted)]
    cure = " Correct `path`, or say `ignore_case: true`." if near else " Correct `path`, or put files there."
    near = near or difflib.get_close_matches(source.pattern, names, _NEAR_NAMES, 0.3) or names
    found = ", ".join(near[:_NEAR_NAMES])
    return f"{said} {f'Nearest: {found} beside {source.pattern}.' if near else 'The folder is empty.'}{cure}"


def _may_be_file(path: UPath) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return True


def _moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _age(file: DropFile) -> tuple[datetime, str]:
    return file.belongs_at, str(file.path)


def _files(folder: UPath, source: CsvSource, not_read: list[FileNotRead]) -> Iterator[DropFile]:
    """Yield the files of the drop; those that no run reads are logged, and added to `not_read`."""
    look_into_folders(folder, source)
    if not folder.is_dir():
        # In an object storage a folder is the beginning of names: it goes with its last file.
        if folder.protocol not in FILE_SYSTEMS and folder.parents and folder.parents[-1].is_dir():
            return
        raise StopError(
            stops.NO_FOLDER,
            f"Source {source.name!r}: there is no folder {folder}. Make it, or correct the source's `path`.",
        )

    def note(path: str, reason: str, belongs_at: datetime | None = None) -> None:
        log.warning("Source %r: %s is not read. %s", source.name, path, reason)
        not_read.append(FileNotRead(path, belongs_at, reason))

    latest = datetime.now(UTC) + source.ahead
    real_folder = folder.resolve()
    for path in folder.glob(source.pattern):
        parts = path.relative_to(folder).parts
        if path.name.lower().endswith(UNFINISHED_SUFFIXES) or any(part.startswith(".") for part in parts):
            continue
        if not _is_unicode(str(path)):
            note(ascii(str(path)), "Its name is not UTF-8. Rename it.")
            continue
        try:
            fault = _fault(path, real_folder)
            if fault is not None:
                if fault:
                    note(str(path), fault)
                continue
            stat, fingerprint = path.stat(), path.fs.ukey(path.path)
        except (FileNotFoundError, PermissionError):  # it was removed meanwhile, or its folder was warned of
            continue
        belongs_at = modified_at = datetime.fromtimestamp(stat.st_mtime, UTC)
        if source.path_time:
            named = path_time("/".join(parts), source.path_time, source.timezone)
            if named is None:
                note(
                    str(path),
                    f"Its path has no date and hour like {source.path_time!r}. Rename it, or correct the source's "
                    "`path` or `path_time`.",
                )
                continue
            belongs_at = named
        if belongs_at > latest:
            wrong = "path" if source.path_time else "modified time"
            note(str(path), f"Its time, {_moment(belongs_at)}, lies in the future. Correct its {wrong}.", belongs_at)
        yield DropFile(path, fingerprint, stat.st_size, modified_at, belongs_at)


def _fault(path: UPath, real_folder: UPath) -> str | None:
    """Return None for a regular file of the drop; else why it is not read, empty of a folder.

    A person who may write into the drop could otherwise let the worker read its own files, or wait for ever at a FIFO.
    """
    if path.is_file():
        if path.resolve().is_relative_to(real_folder):
            return None
        return "It leads out of the drop's folder by a link. Put the file itself there."
    if path.is_dir():
        return ""
    if path.exists():
        return "It is no regular file, but a pipe, a socket or a device. Put a file there, or remove it."
    return "It is a link to a file that does not exist. Correct the link, or remove it."


def _is_unicode(text: str) -> bool:
    """Return False for the name of a file whose bytes are not UTF-8: Python keeps them as half surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def path_time(path: str, pattern: str, timezone: str) -> datetime | None:
    """Return the time in `path` that has the form of `pattern`, or None.

    Args:
        path: within the drop, with slashes.
        pattern: of PATH_TIMES and plain text; anywhere in the path.
        timezone: of the time in the path.
    """
    expression = re.escape(pattern)
    for directive, digits in PATH_TIMES.items():
        expression = expression.replace(re.escape(directive), f"(?P<{directive[1]}>{digits})")
    return next((time for found in re.finditer(expression, path) if (time := _time_of(found, timezone))), None)


def _time_of(found: re.Match[str], timezone: str) -> datetime | None:
    numbers = {name: int(digits) for name, digits in found.groupdict().items()}
    try:
        year = numbers["Y"] if "Y" in numbers else 2000 + numbers["y"]
        hour, minute, second = (numbers.get(part, 0) for part in "HMS")
        zone = ZoneInfo(timezone)
        local = datetime(year, numbers["m"], numbers["d"], hour, minute, second, tzinfo=zone)
        # The file of the repeated hour is complete only after its second pass.
        return max(at.astimezone(UTC) for at in (local, local.replace(fold=1)))
    except (ValueError, OverflowError):  # no such day, or none in UTC
        return None
