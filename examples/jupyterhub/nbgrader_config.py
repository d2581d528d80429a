"""The instructor's nbgrader_config.py: put it into nbgrader's course folder, and set the two paths."""

from autograder.nbgrader_course.config import configure

c = get_config()

# `nbgrader autograde`, and formgrader's button, grade in the sandbox. "require": refuse to grade where this machine cannot isolate.
configure(c, "/srv/transformers/course.toml", exchange="/srv/nbgrader/exchange", sandbox="require")
c.Exchange.timezone = "UTC"
