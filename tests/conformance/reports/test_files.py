"""Reports are written as a whole, or not at all."""

import os
import stat
from pathlib import Path

import pytest

from reciprocal_oauth.conformance.errors import UsageError
from reciprocal_oauth.conformance.reports import document, files

from .sample import sample_document

not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def test_all_kinds_are_written(tmp_path: Path) -> None:
    paths = {kind: tmp_path / kind for kind in files.KINDS}
    files.write_reports(sample_document(), paths)
    starts = {kind: path.read_text(encoding="utf-8")[:9] for kind, path in paths.items()}
    assert starts == {
        "json": '{\n  "schem'[:9],
        "junit": "<?xml ver",
        "html": "<!DOCTYPE",
        "text": "  pass   ",
    }


def test_the_json_can_be_read_again(tmp_path: Path) -> None:
    files.write_reports(sample_document(), {"json": tmp_path / "run.json"})
    assert document.load(tmp_path / "run.json") == sample_document()


def test_the_json_is_in_ascii(tmp_path: Path) -> None:
    report = sample_document(notes=["\x9b\u202e🎵"])
    assert files.as_json(report).isascii()


def test_only_the_owner_can_read_a_new_report(tmp_path: Path) -> None:
    files.write(tmp_path / "run.html", "content")
    assert stat.S_IMODE((tmp_path / "run.html").stat().st_mode) == 0o600


def test_a_file_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    path.write_text("before")
    path.chmod(0o664)
    files.write(path, "after")
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write(tmp_path / "link", "content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "content"


def test_what_is_no_file_is_written_into_and_stays(tmp_path: Path) -> None:
    # Never a device of the machine: a fault in the code would replace it where root runs the tests.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.check_writable(pipe)
        files.write(pipe, "content")
        assert os.read(reader, 100) == b"content"
        assert pipe.is_fifo()
    finally:
        os.close(reader)


def test_the_file_before_stays_if_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.html"
    path.write_text("before")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match=r"cannot be written: No space left on device\."):
        files.write(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    paths = {"json": tmp_path / "missing" / "run.json", "html": tmp_path / "run.html"}
    with pytest.raises(UsageError, match=r"run\.json cannot be written: No such file"):
        files.write_reports(sample_document(), paths)
    assert (tmp_path / "run.html").exists()


def test_a_directory_that_is_missing_is_found_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no directory"):
        files.check_writable(tmp_path / "missing" / "run.json")


def test_a_directory_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory, and a report is a file"):
        files.check_writable(tmp_path)


@not_as_root
def test_a_read_only_directory_is_found_before_the_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UsageError, match="is read-only"):
            files.check_writable(tmp_path / "run.json")
    finally:
        tmp_path.chmod(0o700)


def test_a_path_in_a_directory_is_right(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "run.json")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to(tmp_path / "run.json")
    files.check_distinct([tmp_path / "run.json", tmp_path / "run.html"])
    for other in (
        tmp_path / "run.json",
        tmp_path / "x" / ".." / "run.json",
        tmp_path / "link.html",
    ):
        with pytest.raises(UsageError) as error:
            files.check_distinct([tmp_path / "run.json", tmp_path / "run.html", other])
        assert str(error.value) == f"{other} is named twice."


def test_what_is_no_file_can_be_named_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    files.check_distinct([tmp_path / "pipe", tmp_path / "pipe"])


def test_halves_of_surrogate_pairs_can_be_written(tmp_path: Path) -> None:
    files.write(tmp_path / "run.txt", "a\ud800b")
    assert (tmp_path / "run.txt").read_bytes() == rb"a\ud800b"
