"""The figures of the handouts, drawn from the reference solutions."""
