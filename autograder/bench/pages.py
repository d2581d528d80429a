"""Where figures go in a page of the documentation."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path


def write_docs(path: Path, part: str, text: str, when: datetime) -> None:
    """Put the tables between the two marks of a part of the page, in place of the last ones."""
    page = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    if begin not in page or end not in page:
        raise SystemExit(f"error: {path} lacks the line {begin} or {end}, between which the figures go")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n\nMeasured on {when:%Y-%m-%d}.\n\n{text}\n{end}{after}", encoding="utf-8")
