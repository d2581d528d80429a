"""Talk to GitHub: its tokens, its REST API, and what a course asks of it. Nothing here runs or reads a submission's code."""
