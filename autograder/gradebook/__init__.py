"""nbgrader's database, written from the standings of the class."""
