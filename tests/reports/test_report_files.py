"""Writing reports: whole files or none, and errors that say what to do."""

import errno
import os

import pytest
from sample_class import course, sample_standings

from autograder.reports.class_report import write_class_report
from autograder.reports.files import ReportError, folder_of, write_whole


def test_the_folders_above_are_made_and_nothing_else_is_left(tmp_path):
    write_whole(tmp_path / "a" / "b" / "page.html", "é")
    assert (tmp_path / "a" / "b" / "page.html").read_bytes() == b"\xc3\xa9"
    assert os.listdir(tmp_path / "a" / "b") == ["page.html"]


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "The disk is full: free some space"), (errno.EROFS, "choose another"), (errno.EIO, "Check the folder")]
)
def test_an_error_names_the_path_and_the_advice_and_keeps_the_old_file(tmp_path, monkeypatch, number, advice):
    path = tmp_path / "class_report.html"
    path.write_text("old")

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ReportError, match=advice) as caught:
        write_class_report(tmp_path, course(), sample_standings(2))
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["class_report.html"]


def test_a_file_in_a_folders_place_is_named(tmp_path):
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(ReportError, match="A file lies where a folder is needed"):
        write_whole(tmp_path / "results" / "page.html", "")


@pytest.mark.parametrize("student", ["", "..", "a/b", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(student):
    with pytest.raises(ReportError, match="student's name"):
        folder_of(student)
