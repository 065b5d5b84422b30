"""Vectors of products from the catalogue: alike things are close, whatever the language and whatever is missing."""

import numpy as np
import pyarrow as pa
import pytest

from patron.recommenders.content import ProductVectors
from patron.schema.errors import InvalidTable, NotFound

NAMES = {
    "en_coffee": ("Philips coffee machine 1.2 L", "coffee", "Philips", 19_900),
    "zh_coffee": ("飞利浦 Philips 咖啡机 1.2升", "coffee", "Philips", 19_500),
    "zh_coffee_2": ("德龙 DeLonghi 全自动咖啡机", "coffee", "DeLonghi", 39_900),
    "en_coffee_2": ("DeLonghi automatic coffee machine", "coffee", "DeLonghi", 39_900),
    "en_dress": ("Red summer dresses", "dresses", "Zara", 4_900),
    "zh_dress": ("红色 夏季连衣裙 Zara", "dresses", "Zara", 4_900),
    "en_tea": ("Green tea 100 bags", "tea", "Lipton", 500),
    "zh_tea": ("绿茶 100 包 立顿", "tea", "Lipton", 450),
}


def catalogue(names=NAMES) -> pa.Table:
    columns = list(zip(*names.values(), strict=True)) or [[]] * 4
    return pa.table(
        {
            "product_id": pa.array(list(names), pa.string()),
            "name": pa.array(columns[0], pa.string()),
            "category": pa.array(columns[1], pa.string()),
            "brand": pa.array(columns[2], pa.string()),
            "price_cents": pa.array(columns[3], pa.int64()),
        }
    )


def first_similar(vectors: ProductVectors, item: str) -> str:
    return vectors.similar([item], 1)["similar_id"][0].as_py()


@pytest.fixture(scope="module")
def vectors() -> ProductVectors:
    return ProductVectors.of(catalogue())


@pytest.mark.parametrize("kind", ["coffee", "coffee_2", "dress", "tea"])
def test_the_chinese_twin_of_a_product_is_the_nearest(vectors, kind):
    assert first_similar(vectors, f"en_{kind}") == f"zh_{kind}"
    assert first_similar(vectors, f"zh_{kind}") == f"en_{kind}"


def test_text_alone_finds_a_kind_in_both_languages():
    names = ["coffee machine", "咖啡机", "espresso machines", "全自动咖啡", "tea bag", "袋泡茶"]
    vectors = ProductVectors.of(pa.table({"product_id": names, "name": names}))
    assert first_similar(vectors, "coffee machine") == "espresso machines"
    assert first_similar(vectors, "咖啡机") == "全自动咖啡"
    assert vectors.similar(["tea bag"], 1)["score"].to_pylist() == []


def test_vectors_have_length_1_and_lists_are_ranked_without_the_product(vectors):
    assert np.linalg.norm(vectors.vectors, axis=1) == pytest.approx(1, abs=1e-6)
    rows = vectors.similar(["en_tea", "nothing", "en_tea", "en_dress"], 3).to_pylist()
    assert [row["rank"] for row in rows if row["item_id"] == "en_tea"] == [1, 2, 3][: len(rows)]
    assert {row["item_id"] for row in rows} == {"en_tea", "en_dress"}
    assert all(row["item_id"] != row["similar_id"] for row in rows)


def test_a_product_without_content_says_so_and_is_like_nothing():
    table = catalogue(NAMES | {"bare": (None, None, "", None), "blank": (" - ", "", None, 0)})
    vectors = ProductVectors.of(table)
    assert vectors.has_content.tolist() == [True] * 8 + [False] * 2
    assert not vectors.vectors[8:].any()
    assert vectors.similar(["bare"]).num_rows == 0
    assert {"bare", "blank"}.isdisjoint(vectors.similar(list(NAMES), 10)["similar_id"].to_pylist())


def test_identical_products_have_the_same_vector():
    table = pa.concat_tables([catalogue(), catalogue({"copy": NAMES["en_tea"]})])
    both = ProductVectors.of(table)
    assert (both.vectors[6] == both.vectors[8]).all()
    assert first_similar(both, "copy") == "en_tea"


def test_a_new_product_is_near_its_category():
    rng = np.random.default_rng(3)
    names = {
        f"{kind}{at}": (f"{kind} {rng.choice(['soft', 'large', 'blue'])} {at}", kind, f"b{at % 7}", 100 + at)
        for kind in ("lamp", "shirt", "soap")
        for at in range(30)
    }
    vectors = ProductVectors.of(catalogue(names | {"new": ("shirt green", "shirt", "b99", 990)}))
    assert all(similar_id.startswith("shirt") for similar_id in vectors.similar(["new"], 10)["similar_id"].to_pylist())
    assert vectors.nearest(["soap1", "soap2"], 3, among=["new", "lamp5", "soap7"])["similar_id"][0].as_py() == "soap7"


def test_the_same_catalogue_gives_the_same_vectors(vectors):
    assert (ProductVectors.of(catalogue()).vectors == vectors.vectors).all()


@pytest.mark.parametrize("names", [{}, {"only": NAMES["en_tea"]}])
def test_an_empty_catalogue_and_one_product_are_no_problem(names, tmp_path):
    vectors = ProductVectors.of(catalogue(names))
    assert vectors.vectors.shape == (len(names), 64)
    assert vectors.has_content.all()
    assert vectors.similar(["only"]).num_rows == vectors.nearest(["only", "other"]).num_rows == 0
    vectors.save(tmp_path)
    assert ProductVectors.load(tmp_path).items.equals(vectors.items)


def test_vectors_are_saved_whole(vectors, tmp_path):
    vectors.save(tmp_path / "folder")
    loaded = ProductVectors.load(tmp_path / "folder")
    assert loaded.similar(list(NAMES)).equals(vectors.similar(list(NAMES)))
    with pytest.raises(NotFound):
        ProductVectors.load(tmp_path / "nowhere")


def test_a_text_is_encoded_once_and_again_when_it_changes(tmp_path):
    calls = []

    def encode(texts):
        calls.append(texts)
        return np.array([[float("tea" in text.lower() or "茶" in text), 1.0, len(text) % 3] for text in texts])

    first = ProductVectors.of(catalogue(), encoder=encode)
    first.save(tmp_path)
    changed = NAMES | {"en_dress": ("Blue dress", "dresses", "Zara", 4_900)}
    again = ProductVectors.of(catalogue(changed), encoder=encode, earlier=ProductVectors.load(tmp_path))
    assert [len(texts) for texts in calls] == [8, 1]
    assert calls[1] == ["Blue dress"]
    assert (again.vectors == ProductVectors.of(catalogue(changed), encoder=encode).vectors).all()
    same = ProductVectors.of(catalogue(), encoder=None, earlier=first)
    assert same.encoded is None
    assert (ProductVectors.of(catalogue(), encoder=encode, earlier=first).vectors == first.vectors).all()
    assert len(calls) == 3
    with pytest.raises(InvalidTable, match="8 texts got vectors of shape"):
        ProductVectors.of(catalogue(), encoder=lambda texts: np.ones(len(texts)))
    with pytest.raises(InvalidTable, match="another length"):
        ProductVectors.of(
            catalogue(changed | {"x": ("x", "", "", 1)}), encoder=lambda texts: np.ones((len(texts), 9)), earlier=first
        )


def test_vectors_that_a_shop_supplies_count():
    bare = pa.table({"product_id": ["a", "b", "c"]})
    images = ["c", "a", "b", "unknown"], [[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    assert first_similar(ProductVectors.of(bare, supplied=images), "a") == "c"
    with pytest.raises(InvalidTable, match="supplied: 2 ids have a matrix of shape"):
        ProductVectors.of(bare, supplied=(["a", "b"], [[1.0]]))


@pytest.mark.parametrize(
    ("products", "problem"),
    [
        ({"id": [1]}, "there is no column product_id"),
        ({"product_id": [1, 1]}, "1 of 2 rows repeat"),
        ({"product_id": [1, None]}, "1 of 2 rows have no product_id"),
    ],
)
def test_a_catalogue_that_cannot_be_read_says_why(products, problem):
    with pytest.raises(InvalidTable, match=problem):
        ProductVectors.of(pa.table(products))
