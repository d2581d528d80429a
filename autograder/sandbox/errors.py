"""What can go wrong around a worker that is not the submission's doing."""

from __future__ import annotations


class SandboxError(Exception):
    """This machine cannot isolate a worker as asked. The message says what is missing and how to get it."""


class ZygoteDiedError(Exception):
    """The forking process is gone or does not answer; start a new one."""
