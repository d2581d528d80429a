"""The bank of named mistakes: `autograder/misconceptions/NAME.py` holds MISCONCEPTIONS for reference_solutions/NAME.py."""
