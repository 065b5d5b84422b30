"""`patron segment`: a file in, counts and a list out."""

import json


def test_a_segment_from_its_example_to_its_members(made_shop, patron, tmp_path):
    def run(*words):
        ran = patron("segment", *words, "--workspace", made_shop.folder)
        assert ran.code == 0, ran.err
        return ran.out

    example = run("save", "--example").replace("every customer", "people of the shop")
    (tmp_path / "s.toml").write_text(example, encoding="utf-8")
    assert "version 1" in run("save", tmp_path / "s.toml", "--as", "A. Lee")
    count = json.loads(run("count", "people of the shop", "--json"))
    assert count == {"count": 300}
    written = json.loads(run("compare", "people of the shop", "people of the shop", "--json"))
    assert written["totals"]["both"]["customer_count"] == 300
    for words in (("list",), ("show", "people of the shop"), ("fields",), ("history", "people of the shop")):
        assert "people of the shop" in run(*words) or words[0] == "history"
    assert "A. Lee" in run("history", "people of the shop")
    assert "is deleted" in run("delete", "people of the shop")
    ran = patron("segment", "count", "people of the shop", "--workspace", made_shop.folder)
    assert ran.code == 1
    assert "there is no segment 'people of the shop'" in ran.err
    assert patron("segment", "save", "--workspace", made_shop.folder).code == 2
