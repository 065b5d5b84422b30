"""Results for short texts are remembered; long texts are not kept."""

from patron.schema.short_text_cache import MAX_LENGTH, cache_short_texts


def test_short_texts_are_computed_once_and_long_ones_each_time() -> None:
    asked: list[tuple[str, str]] = []

    @cache_short_texts(2)
    def joined(one: str, other: str) -> str:
        asked.append((one, other))
        return one + other

    long = "x" * MAX_LENGTH
    assert joined("a", "b") == joined("a", "b") == "ab"
    assert joined("a", long) == joined("a", long) == f"a{long}"
    assert asked == [("a", "b"), ("a", long), ("a", long)]
