"""What was handed in: found on disk and read with suspicion, never executed."""
