"""What a student's notebook could try on the page of an instructor who is logged in. Each one that works changes the page's title."""

from __future__ import annotations

import base64
from typing import Any

PWNED = "document.title='pwned'"
SCRIPT = f"<script>{PWNED}</script>"
IMAGE = f'<img src=x onerror="{PWNED}">'
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{PWNED}"><script>{PWNED}</script></svg>'
DATA_URL = "data:text/html;base64," + base64.b64encode(SCRIPT.encode()).decode()
BEACON = "/beacon-of-a-student"

MARKDOWN = (
    SCRIPT,
    IMAGE,
    f"a <IMG\nSRC=x\nONERROR={PWNED}> b",
    SVG,
    f"<iframe srcdoc='{SCRIPT}'></iframe><iframe src='{DATA_URL}'></iframe>",
    f"<style>@import '{BEACON}';body{{display:none}}</style><link rel=stylesheet href={BEACON}>",
    f"<form action={BEACON}><input autofocus onfocus={PWNED}></form>",
    f"<details open ontoggle={PWNED}>x</details><video><source onerror={PWNED}></video>",
    f"<!-- --><math><mtext><mglyph><style><!--</style>{IMAGE}-->",
    f"[click](javascript:{PWNED}) [click]( java&#115;cript:{PWNED}) [click]({DATA_URL}) <javascript:{PWNED}>",
    f"[by name][evil]\n\n[evil]: javascript:{PWNED}\n",
    f'![x]({BEACON}) ![y](x"onerror="{PWNED}) ![z](attachment:no-such-file.png) ![w](attachment:a.svg)',
    f'https://example.org/"onmouseover="{PWNED} http://localhost:8888/logout',
    f"&lt;script&gt;{PWNED}&lt;/script&gt; &#60;img src=x onerror={PWNED}&#62;",
    f"```mermaid\n{IMAGE}\n```\n\n~~~ mermaid\n{SCRIPT}\n~~~",
    f"```python{IMAGE}\nx\n```\n\n`{IMAGE}` ``{SCRIPT}``\n\n    {IMAGE}",
    rf"$\href{{javascript:{PWNED}}}{{x}}$ $$\require{{html}}\style{{background:url({BEACON})}}{{x}}$$ \\(\\href{{javascript:{PWNED}}}{{x}}\\)",
    rf"&#36;&#92;href{{javascript:{PWNED}}}{{x}}&#36; $\unicode{{x3c}}\def\frac{{}}\cssId{{question-x}}{{y}}$",
    rf"&dollar;&bsol;href{{javascript:{PWNED}}}{{x}}&dollar;",
    rf"$x{IMAGE}$ $$ {SCRIPT} $$ \begin{{a}}{IMAGE}\end{{a}}",
    f"| a | b |\n|---|---|\n| {IMAGE} | {SCRIPT} |\n\n- {SCRIPT}\n> {IMAGE}\n\nterm\n: {SCRIPT}",
    "# question-pattern\n\nstatusmessage\n===\n\n> ## notebook-container",
    f"\u202e{SCRIPT}\x1b]0;title\x07 \x00<scr\x00ipt>{PWNED}</scr\x00ipt> <\u200bscript>{PWNED}</script>",
    "[" * 2000 + "](" * 500 + "<" * 500,
)


def png(width: int = 1, height: int = 1) -> bytes:
    """The head of a PNG of that size; for one pixel a whole picture."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xd0\x30\x30" * 1) if width * height == 1 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


ATTACHMENTS: dict[str, Any] = {
    "a.svg": {"image/svg+xml": encoded(SVG.encode())},
    f"](x) {IMAGE}": {"image/png": encoded(png()), f"text/html{IMAGE}": IMAGE},
    "b.png": {"image/png": f'"><{SCRIPT}'},
    IMAGE: [IMAGE],
    "": {"text/plain": IMAGE},
}


def display(**data: Any) -> dict[str, Any]:
    """An output with data by MIME type, "__" for the slash."""
    return {"output_type": "display_data", "metadata": {}, "data": {kind.replace("__", "/"): value for kind, value in data.items()}}


OUTPUTS: tuple[Any, ...] = (
    display(text__html=SCRIPT + IMAGE),
    display(**{"image/svg+xml": SVG}),
    display(application__javascript=PWNED),
    display(text__markdown=IMAGE),
    display(text__latex=rf"$\href{{javascript:{PWNED}}}{{x}}$"),
    display(text__plain=SCRIPT + "\x1b[31mred\x1b]8;;javascript:alert(1)\x07link"),
    display(image__png=f'"><{SCRIPT}'),
    display(image__png=encoded(SVG.encode())),
    display(image__jpeg=encoded(b"\xff\xd8\xff" + SCRIPT.encode())),
    {**display(image__png=encoded(png())), "metadata": {"image/png": {"width": f"1 onerror={PWNED}"}, "filenames": {"image/png": BEACON}}},
    display(**{f"x/{IMAGE}": "1", "application/vnd.jupyter.widget-view+json": {"model_id": "1"}}),
    display(text__vnd_mermaid=IMAGE),
    {"output_type": "stream", "name": f"{IMAGE}", "text": [SCRIPT, "\x1b[1m", IMAGE]},
    {"output_type": "error", "ename": SCRIPT, "evalue": IMAGE, "traceback": [SCRIPT, 3, "\x1b[31m" + IMAGE]},
    {"output_type": "execute_result", "data": "no table"},
    {"output_type": ["list"]},
    "no output at all",
)
