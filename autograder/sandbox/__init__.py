"""The grader's side of isolation: what this machine gives, and workers that run inside it."""
