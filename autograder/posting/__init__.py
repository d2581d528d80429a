"""Bring scores back to where a submission came from: validated first, then a check run, a commit status or a comment; only what changed."""
