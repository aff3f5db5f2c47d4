"""Tables, JSON and pages of what was measured."""

import json

import pytest

from errors import InputError
from speed.rows import Row, growth_table, split_page, table, update, write_json

ROWS = [Row("network", "light, network 8x8", "Chainer f32", 12.34, 15.0, 1.0, {"arch": "light"}), Row("picture", "read", "", 0.5)]


def test_table_has_a_line_for_each_row():
    lines = table(ROWS).splitlines()
    assert lines[2:] == ["| light, network 8x8 | Chainer f32 | 12.3 | 15.0 | 1.0 |", "| read |  | 0.5 |  |  |"]
    assert len({line.count("|") for line in lines}) == 1


def test_growth_table():
    lines = growth_table("people", ("peaks", "draw"), {"1 person": {"draw": 2, "peaks": 1.234}}).splitlines()
    assert lines == ["| people | peaks | draw |", "|---|---:|---:|", "| 1 person | 1.23 | 2.00 |"]


def test_each_mark_gets_its_own_text(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- growth -->\nold\n<!-- /growth -->\nb\n<!-- peak -->\n<!-- /peak -->\nc\n")
    update(page, {"benchmark": "TABLE", "growth": "GROWTH", "peak": "PEAK"})
    assert page.read_text() == "a\n<!-- growth -->\nGROWTH\n<!-- /growth -->\nb\n<!-- peak -->\nPEAK\n<!-- /peak -->\nc\n"


@pytest.mark.parametrize(
    "text", ["none", "<!-- growth -->", "<!-- /peak --><!-- peak -->", "<!-- benchmark --><!-- benchmark --><!-- /benchmark -->"]
)
def test_pages_without_pairs_of_marks_are_refused(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(InputError, match="markers"):
        split_page(page)


def test_json_holds_all(tmp_path):
    write_json(tmp_path / "x.json", "a machine", ROWS, {"people": {}}, {"f32": 3.5})
    document = json.loads((tmp_path / "x.json").read_text())
    assert document["rows"][0] == ROWS[0]._asdict()
    assert (document["machine"], document["peaks"]) == ("a machine", {"f32": 3.5})
