import pytest

from patron.schema.spelling import did_you_mean

NAMES = ("share", "page", "lifecycle_stage", "Order Completed", "en")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("shar", "share"),
        ("SHARE", "share"),
        ("stage", "lifecycle_stage"),
        ("order completd", "Order Completed"),
        ("zz", ""),
        ("", ""),
        ("colour", ""),
    ],
)
def test_the_name_that_is_most_like_it_is_asked_for(name, meant):
    assert did_you_mean(name, NAMES) == (f"Did you mean {meant}?" if meant else "")
