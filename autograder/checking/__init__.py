"""What a student's machine needs to run public tests: no hidden test, reference or misconception lives here."""
