"""Every feature of a model speaks for one reason code or for none, and nobody's traits are a reason."""

from collections import Counter

from patron.predict.feature_matrix import NOT_FEATURES
from patron.schema.models.reason_codes import CODE_OF_FEATURE, NEVER_A_REASON, REASON_CODES
from patron.understand.features import FEATURES, acquisition, declared_traits


def test_every_feature_of_a_model_belongs_to_one_code_or_is_never_a_reason():
    listed = Counter([*(name for code in REASON_CODES for name in code.features), *NEVER_A_REASON])
    assert [name for name, count in listed.items() if count > 1] == []
    assert listed.keys() == {feature.__name__ for feature in FEATURES} - NOT_FEATURES


def test_what_customers_declared_or_how_they_came_is_never_a_reason():
    about_the_person = {feature.__name__ for feature in (*declared_traits.FEATURES, *acquisition.FEATURES)}
    assert about_the_person & CODE_OF_FEATURE.keys() == set()
    mentioned = " ".join(
        part
        for code in REASON_CODES
        for part in (code.fact, code.usual, code.shop_usual, code.condition, code.of_count, *sum(code.follows, ()))
    )
    assert "declared_" not in mentioned


def test_a_code_comes_before_those_it_follows():
    """Contributions pass on in one go, from the first code to the last."""
    place = {one.code: number for number, one in enumerate(REASON_CODES)}
    assert len(place) == len(REASON_CODES)
    assert all(place[code.code] < place[other] for code in REASON_CODES for other, _ in code.follows)
