"""A course folder as nbgrader expects it, for those who grade by hand in formgrader."""
