"""The results folder: one report per graded submission, and what is derived from all of them."""
