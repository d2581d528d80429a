"""The course: its assignments, due dates, late policy, limits and roster."""
