"""The repository that students get: what goes in, the guard that nothing secret does, and how a folder is brought up to date."""
