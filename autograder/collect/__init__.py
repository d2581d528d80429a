"""Bring submissions in from where students hand them in, and lay them as the grader reads them. Nothing here runs their code."""
