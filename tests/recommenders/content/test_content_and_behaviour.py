"""New products from what customers had, and vectors in which behaviour counts the more, the more buyers there are."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from patron.recommenders.content import ProductVectors, content_neighbours, fuse
from patron.schema.errors import InvalidTable

KINDS = ("lamp", "shirt", "soap")
ITEMS = [f"{kind}{at}" for kind in KINDS for at in range(8)]
NEW = [f"new_{kind}" for kind in KINDS]


@pytest.fixture(scope="module")
def vectors() -> ProductVectors:
    names = [f"{item[:-1]} size {item[-1]}" for item in ITEMS] + [f"{item[4:]} size 1" for item in NEW]
    categories = [item[:-1] for item in ITEMS] + [item[4:] for item in NEW]
    return ProductVectors.of(pa.table({"product_id": ITEMS + NEW, "name": names, "category": categories}))


def test_a_new_product_is_for_customers_who_had_its_like(vectors):
    buyers = np.append(np.full(len(ITEMS), 10.0), np.zeros(len(NEW)))
    matrix = content_neighbours(vectors, buyers, [*NEW, "unknown"])
    history = sp.csr_array((np.ones(4), ([0, 0, 1, 2], [0, 1, 9, 17])), shape=(3, len(buyers)))
    scores = (history @ matrix).toarray()
    assert scores[:, : len(ITEMS)].sum() == 0
    assert scores[:, len(ITEMS) :].argmax(axis=1).tolist() == [0, 1, 2]


def test_what_everybody_has_near_a_new_product_counts_less(vectors):
    buyers = np.append(np.repeat([1_000.0, 5.0, 5.0], 8), np.zeros(3))
    of_product = content_neighbours(vectors, buyers, NEW).sum(axis=0)[len(ITEMS) :]
    assert of_product[0] < of_product[1] / 2


def test_products_without_buyers_say_nothing(vectors):
    assert content_neighbours(vectors, np.zeros(len(ITEMS) + 3), NEW).nnz == 0
    assert content_neighbours(vectors, np.ones(len(ITEMS) + 3), []).nnz == 0


@pytest.mark.parametrize("as_factors", [False, True])
def test_behaviour_counts_the_more_the_more_buyers_there_are(vectors, as_factors):
    place = {item: at for at, item in enumerate(ITEMS)}
    together = np.zeros((len(ITEMS) + 3,) * 2)
    for at in range(8):  # a lamp goes with a soap
        together[place[f"lamp{at}"], place["soap0"]] = together[place[f"soap{at}"], place["soap0"]] = 1
        together[place[f"shirt{at}"], place["shirt0"]] = 1
    few, many = np.full(len(together), 1.0), np.append(np.full(len(ITEMS), 500.0), np.zeros(3))
    behaviour = together if as_factors else sp.csr_array(together)
    cosine = [
        float(one.vectors[place["lamp3"]] @ one.vectors[place["soap5"]])
        for one in (vectors, fuse(vectors, behaviour, few), fuse(vectors, behaviour, many))
    ]
    assert cosine[0] / 2 < cosine[1] < cosine[2]
    fused = fuse(vectors, behaviour, many)
    new = vectors.vectors @ vectors.vectors[-3:].T
    assert fused.vectors @ fused.vectors[-3:].T == pytest.approx(new / 2, abs=1e-6)


def test_behaviour_of_another_catalogue_is_refused(vectors):
    with pytest.raises(InvalidTable, match="27 products have 5 rows of behaviour"):
        fuse(vectors, np.ones((5, 3)), np.ones(27))
