"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from bothways import files
from bothways.errors import DataError, InputError
from bothways.files import check_output, locked, written_whole


def write(path: Path, text: str = "new", error: BaseException | None = None) -> None:
    with written_whole(path, DataError) as temporary:
        temporary.write_text(text)
        if error is not None:
            raise error


@pytest.fixture(params=["anonymous", "named"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of temporary files; many file systems only have named ones."""
    if request.param == "named":
        monkeypatch.setattr(files, "_anonymous", lambda folder: None)
    return str(request.param)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("some.txt", r"must end in \.csv or \.jsonl"),
        ("some", "must end in"),
        ("nowhere/some.csv", "there is no folder"),
        ("folder.csv", "this is a folder"),
        ("pipe.csv", "this is a pipe or a device"),
    ],
)
def test_outputs_that_cannot_be(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=said):
        check_output(tmp_path / name, (".csv", ".jsonl"))


def test_a_folder_that_takes_no_files() -> None:
    with pytest.raises(InputError, match="cannot be written in '/proc'"):
        check_output("/proc/some.csv", (".csv",))


@pytest.mark.usefixtures("kind")
def test_it_is_written(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "old")
    write(tmp_path / "a.txt", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "new"}


@pytest.mark.usefixtures("kind")
def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a.txt"))
    assert Path("a.txt").read_text() == "new"


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_an_output_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.txt"
    path.touch()
    path.chmod(mode)
    write(path)
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.usefixtures("kind")
def test_a_new_output_has_the_usual_permissions(tmp_path: Path) -> None:
    write(tmp_path / "a.txt")
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.mark.usefixtures("kind")
def test_a_link_is_replaced_and_what_it_names_is_not(tmp_path: Path) -> None:
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write(link)
    assert target.read_text() == "old"
    assert link.read_text() == "new"
    assert not link.is_symlink()


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    raised = DataError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(raised) as caught:
        write(path, "half", error)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "old"}
    if isinstance(error, OSError):
        assert str(caught.value) == f"{path}: cannot be written (No space left on device)."


def test_the_first_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: Path, **more: bool) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(files, "_anonymous", lambda folder: None)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(DataError, match="No space left"):
        write(tmp_path / "a.txt", "half", OSError(28, "No space left on device"))


KILLED = """
import os, signal, sys
from pathlib import Path
from bothways import files
from bothways.errors import DataError

if sys.argv[2] == "named":
    files._anonymous = lambda folder: None
with files.locked(Path(sys.argv[1])), files.written_whole(Path(sys.argv[1]), DataError) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_nothing_that_lasts(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.txt"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), kind], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.part"))) == (kind == "named")
    with locked(path):
        write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_what_others_write_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_anonymous", lambda folder: None)
    with written_whole(tmp_path / "a.txt", DataError) as temporary:
        temporary.write_text("a")
        write(tmp_path / "b.txt", "b")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "a", "b.txt": "b"}


def test_a_file_that_another_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with locked(path), pytest.raises(InputError, match=r"a\.txt: another process is writing this file"), locked(path):
        pass


def test_one_at_a_time(tmp_path: Path) -> None:
    """As many threads as there are increase a number in a file that only one may have."""
    path = tmp_path / "a.txt"
    path.write_text("0")

    def increase() -> None:
        done = 0
        while done < 20:
            with suppress(InputError), locked(path):
                write(path, str(int(path.read_text()) + 1))
                done += 1

    threads = [threading.Thread(target=increase) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == "80"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_lock_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory"), locked(tmp_path / "nowhere" / "a.txt"):
        pass
