"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bothways.errors import BothwaysError, InputError
from bothways.interrupts import leftovers


def check_output(path: str | os.PathLike[str], endings: Sequence[str]) -> Path:
    """Refuse a file that could not be written later, before any work is done.

    `InputError` for an ending other than `endings`, a folder that does not exist or takes no files, or the name of a
    folder.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: this is a folder; give the file to write.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: this is a pipe or a device, which a file would replace; give the file to write.")
    if not path.name.lower().endswith(tuple(endings)):
        *some, last = endings
        said = f"{', '.join(some)} or {last}" if some else last
        raise InputError(f"{path}: the name of this file must end in {said}.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {str(path.parent)!r}. Make it first.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(f"{path}: cannot be written in {str(path.parent)!r} ({error.strerror or error}).") from None
    return path


@contextmanager
def written_whole(path: Path, error: type[BothwaysError]) -> Iterator[Path]:
    """A temporary file for the block to open and write; it becomes `path` when the block is done.

    Whatever goes wrong, what stood at `path` is untouched and nothing else is left, even by a process that is killed.
    The content is on the disk before the name is. A file that is replaced hands on its owner and permissions. Where the
    system cannot write it, `error` is raised, with the path and the reason.
    """
    name = path.absolute().with_name(f".bothways-{uuid.uuid4().hex}.part")
    try:
        descriptor, temporary = _temporary(name)
        try:
            yield temporary
            os.fsync(descriptor)
            _hand_on_permissions(path, descriptor)
            if temporary != name:
                os.link(temporary, name, src_dir_fd=descriptor)  # without src_dir_fd Python follows no links
            name.replace(path)
        finally:
            os.close(descriptor)
            with suppress(OSError):
                name.unlink(missing_ok=True)
    except OSError as reason:
        raise error(f"{path}: cannot be written ({reason.strerror or reason}).") from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have a file to oneself while the block runs, against all processes and threads that ask as well.

    `InputError` if another one has it.
    """
    name = path.with_name(f".{path.name}.lock")
    while True:
        try:
            descriptor = _opened(name, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW)
        except OSError as reason:
            raise InputError(f"{path}: cannot be written ({reason.strerror}).") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as reason:  # of some file systems: there are no locks
            if reason.errno == errno.EWOULDBLOCK:
                os.close(descriptor)
                raise InputError(
                    f"{path}: another process is writing this file. Wait for it, or name another file."
                ) from None
        if _is_at(descriptor, name):  # else whoever had it removed it meanwhile
            break
        os.close(descriptor)
    leftovers.add(name)
    try:
        yield
    finally:
        leftovers.discard(name)
        with suppress(OSError):
            name.unlink(missing_ok=True)
        os.close(descriptor)


def stamp_of(path: Path) -> tuple[int, ...]:
    """What differs once a file has been replaced; nothing if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _temporary(name: Path) -> tuple[int, Path]:
    """An open file, without a name if it can be, locked so that nobody takes it for abandoned; and its path."""
    for other in name.parent.glob(".bothways-*.part"):
        _remove_if_abandoned(other)
    while True:
        descriptor, path = _anonymous(name.parent) or (_opened(name, os.O_RDWR | os.O_CREAT), name)
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path != name or _is_at(descriptor, name):
            return descriptor, path
        os.close(descriptor)


def _anonymous(folder: Path) -> tuple[int, Path] | None:
    """An open file without a name, which ends with its process; None where the file system has none."""
    try:
        descriptor = _opened(folder, os.O_RDWR | os.O_TMPFILE)
    except OSError:
        return None
    path = Path(f"/proc/self/fd/{descriptor}")
    if path.exists():
        return descriptor, path
    os.close(descriptor)
    return None


def _remove_if_abandoned(path: Path) -> None:
    """Remove a temporary file that nobody writes any longer: its writer would hold a lock on it."""
    with suppress(OSError):
        descriptor = _opened(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)


def _opened(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o666)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _hand_on_permissions(path: Path, descriptor: int) -> None:
    try:
        old = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(old.st_mode):
        with suppress(PermissionError):
            os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
