"""The hidden suites: what a right solution must do, one pytest file per assignment. Never part of a release."""
