"""What was measured, as rows; and the rows as tables of Markdown and as JSON."""

import json
from typing import NamedTuple

from errors import InputError
from files import atomic_file, read_bytes

MARKS = ("benchmark", "growth", "peak")  # a page has one pair of them at least: <!-- growth --> ... <!-- /growth -->


class Row(NamedTuple):
    """One line of the table, and of the JSON."""

    part: str  # network, picture, run, training
    stage: str
    engine: str
    ms: float  # the median
    high: float | None = None  # nine of ten take less, ms
    faster: float | None = None  # times as fast as the slowest engine
    facts: dict = {}  # noqa: RUF012 (nobody changes it) what else is known, for the JSON


def table(rows) -> str:
    """All rows, in Markdown."""
    lines = ["| stage | engine | ms | nine of ten below | times faster than the slowest |", "|---|---|---:|---:|---:|"]
    for row in rows:
        high, faster = ("" if value is None else f"{value:.1f}" for value in (row.high, row.faster))
        lines.append(f"| {row.stage} | {row.engine} | {row.ms:.1f} | {high} | {faster} |")
    return "\n".join(lines)


def growth_table(title, columns, growth) -> str:
    """growth {heading of a line: {column: ms}} in Markdown."""
    lines = [f"| {title} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for head, values in growth.items():
        lines.append(f"| {head} | {' | '.join(f'{values[column]:.2f}' for column in columns)} |")
    return "\n".join(lines)


def split_page(path) -> tuple:
    """(text of a page, the MARKS in it). Raises InputError where it has none, or not in pairs."""
    page = read_bytes(path, "--update").decode("utf-8", "replace")
    names = [name for name in MARKS if f"<!-- {name} -->" in page or f"<!-- /{name} -->" in page]
    paired = all(
        page.count(f"<!-- {name} -->") == page.count(f"<!-- /{name} -->") == 1 and page.index(f"<!-- {name} -->") < page.index(f"<!-- /{name} -->")
        for name in names
    )
    if not names or not paired or "\ufffd" in page:
        expected = "a text with the markers <!-- benchmark --> and <!-- /benchmark -->"
        raise InputError(f"--update {path}: expected {expected}; add them where the table belongs")
    return page, names


def update(path, texts):
    """Replace what stands between the markers of a page. texts: {one of MARKS: text}."""
    page, names = split_page(path)
    for name in names:
        if name in texts:
            head, _, rest = page.partition(f"<!-- {name} -->")
            tail = rest.partition(f"<!-- /{name} -->")[2]
            page = f"{head}<!-- {name} -->\n{texts[name]}\n<!-- /{name} -->{tail}"
    with atomic_file(path) as part:
        part.write_text(page, encoding="utf-8")


def write_json(path, machine, rows, growth, peaks):
    """All that was measured: {"machine", "rows": [Row...], "growth": {...}, "peaks": {precision: GFLOP/s}}."""
    document = {"machine": machine, "rows": [row._asdict() for row in rows], "growth": growth, "peaks": peaks}
    with atomic_file(path) as part:
        part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
