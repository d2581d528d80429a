"""The templates' environment: HTML and Markdown in which every string that is put in is made safe, without asking for it."""

from __future__ import annotations

import base64
import hashlib
import os
import urllib.parse
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from autograder.reports import text, words

_TEMPLATES = Path(__file__).parent / "templates"


class MarkdownText(str):
    """Markdown of our own making, put in as it is."""


def _clean_for_html(value: Any) -> Any:
    return text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _escape_for_markdown(value: Any) -> Any:
    return text.escape_markdown(value) if isinstance(value, str) and not isinstance(value, MarkdownText) else value


def href(*parts: str) -> str:
    """A relative link to the file at `parts`, whatever characters (or bytes) the names have."""
    return "/".join(urllib.parse.quote(os.fsencode(part), safe="") for part in parts)


@cache
def _environment(html: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=html,
        finalize=_clean_for_html if html else _escape_for_markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(number=words.number, counted=words.counted)
    return environment


@cache
def stylesheet() -> Markup:
    return Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))


@cache
def _style_source() -> str:
    """The stylesheet's hash: with it in the page's policy no other style, and no script, is obeyed."""
    digest = base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()
    return f"'sha256-{digest}'"


def render_html(template: str, *, inline_styles: bool = False, **values: Any) -> str:
    """`inline_styles` allows style attributes, which matplotlib's SVG needs."""
    styles = "'unsafe-inline'" if inline_styles else _style_source()
    policy = f"default-src 'none'; img-src data:; style-src {styles}; base-uri 'none'; form-action 'none'"
    return _environment(True).get_template(template).render(stylesheet=stylesheet(), policy=policy, **values)


def render_markdown(template: str, **values: Any) -> str:
    return _environment(False).get_template(template).render(**values)
