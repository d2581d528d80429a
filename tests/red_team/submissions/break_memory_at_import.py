"""Asks for more memory than there is before any test has run."""

hoard = [bytearray(2**26) for _ in range(1024)]
