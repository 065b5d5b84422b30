"""`patron segment`: a file in, counts and a list out."""

import json


def test_a_segment_from_its_example_to_its_members(made_shop, patron, tmp_path):
    def run(*words):
        ran = patron("segment", *words, "--workspace", made_shop.folder)
        assert ran.code == 0, ran.err
        return ran.out

    (tmp_path / "s.toml").write_text(run("save", "--example"), encoding="utf-8")
    assert "version 1" in run("save", tmp_path / "s.toml", "--as", "A. Lee")
    count = json.loads(run("count", "every customer", "--json"))
    assert count == {"count": 300}
    written = json.loads(run("compare", "every customer", "every customer", "--json"))
    assert written["totals"]["both"]["customer_count"] == 300
    for words in (("list",), ("show", "every customer"), ("fields",), ("history", "every customer")):
        assert "every customer" in run(*words) or words[0] == "history"
    assert "A. Lee" in run("history", "every customer")
    assert "is deleted" in run("delete", "every customer")
    ran = patron("segment", "count", "every customer", "--workspace", made_shop.folder)
    assert ran.code == 1
    assert "there is no segment 'every customer'" in ran.err
    assert patron("segment", "save", "--workspace", made_shop.folder).code == 2
