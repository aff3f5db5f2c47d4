"""Pieces of pages: tables, pictures that open, a whole page for any screen."""

from html import escape

STYLE = """body { font: 16px/1.5 sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left } img { max-width: 100%; height: auto } .wide { overflow-x: auto } pre { white-space: pre-wrap }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-size: 0.9rem; overflow-wrap: anywhere }"""


def page(title, parts, head="") -> str:
    """A document. parts: HTML; head: HTML for its head."""
    meta = '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{meta}\n{head}\n<title>{escape(title)}</title>\n'
        f"<style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def table(head, rows) -> str:
    """head, rows: text. What is wider than the screen can be pushed aside."""
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _row(kind, cells) -> str:
    return "<tr>" + "".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in cells) + "</tr>"


def picture(name, alt) -> str:
    """A picture that opens by itself."""
    return f'<p><a href="{escape(name)}"><img src="{escape(name)}" alt="{escape(alt)}"></a></p>'


def pictures(captions) -> str:
    """Small pictures, as many beside each other as fit; each opens by itself. captions: {file's name: text}."""
    figures = [
        f'<figure><a href="{escape(name)}"><img loading="lazy" src="{escape(name)}" alt="{escape(text)}"></a>'
        f"<figcaption>{escape(text)}</figcaption></figure>"
        for name, text in captions.items()
    ]
    return '<div class="pictures">\n' + "\n".join(figures) + "\n</div>"
