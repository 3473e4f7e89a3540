"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bothways.errors import BothwaysError


@contextmanager
def written_whole(path: Path, error: type[BothwaysError]) -> Iterator[Path]:
    """A temporary name beside `path`, for the block to write to; it becomes `path` when the block is done.

    Whatever goes wrong, what stood at `path` is untouched and nothing else is left. The content is on the disk before
    the name is.

    Args:
        path: the file to write.
        error: what is raised, with the path and the reason, where the system cannot write it.

    Example:
        >>> import tempfile
        >>> from bothways.errors import DataError
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with written_whole(Path(folder, "labels.txt"), DataError) as temporary:
        ...         _ = temporary.write_text("0 0 1")
        ...     [file.name for file in Path(folder).iterdir()]
        ['labels.txt']
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as reason:
        raise error(f"{path}: cannot be written ({reason.strerror or reason}).") from None
    finally:
        temporary.unlink(missing_ok=True)
