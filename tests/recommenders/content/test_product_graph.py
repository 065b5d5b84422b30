"""The product graph: edges from data and from people, walks that end near, and say why."""

import numpy as np
import pyarrow as pa
import pytest

from patron.recommenders.content import KIND_WEIGHTS, ProductGraph, ProductVectors, read_edges
from patron.schema.errors import BadFile, InvalidTable, NotFound

PRODUCTS = pa.table(
    {
        "product_id": ["maker", "filter", "beans", "maker2", "mug", "shirt", "new_shirt", "bare"],
        "category": ["machines", "filters", "coffee", "machines", "cups", "shirts", "shirts", None],
        "department": ["kitchen"] * 5 + ["clothes"] * 2 + [None],
        "brand": ["Philips", "Melitta", "Melitta", "DeLonghi", "Ikea", "Zara", "Zara", ""],
    }
)
TOGETHER = pa.table(
    {"product_id": ["maker", "maker", "beans"], "related_id": ["beans", "mug", "mug"], "weight": [5.0, 2.0, 1.0]}
)
LINES = """product_id,related_id,kind,weight
maker,filter,complement,1
maker,maker2,substitute,0.5

beans, mug ,expert,-1
gone,maker,expert,
"""


@pytest.fixture
def edge_file(tmp_path):
    def write(text: str):
        path = tmp_path / "edges.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def graph(edge_file) -> ProductGraph:
    return ProductGraph.of(PRODUCTS, TOGETHER, read_edges(edge_file(LINES)))


def reasons(table: pa.Table) -> dict[str, tuple[str, str, str]]:
    return {row["item_id"]: (row["kind"], row["neighbour_id"], row["start_id"]) for row in table.to_pylist()}


def test_a_walk_says_by_which_edge_it_came(graph):
    of_maker = reasons(graph.walk(["maker"]))
    assert of_maker["filter"] == ("complement", "maker", "maker")
    assert of_maker["beans"] == ("bought_together", "maker", "maker")
    assert of_maker["maker2"] == ("substitute", "maker", "maker")
    assert reasons(graph.walk(["maker2"]))["maker"] == ("substitute", "maker2", "maker2")
    assert reasons(graph.walk(["new_shirt"]))["shirt"] == ("category", "new_shirt", "new_shirt")


@pytest.mark.parametrize("items", [[7], ["7"], [7.0], np.array([7, 99]), [b"7", None]])
def test_ids_are_compared_as_they_are_written(items):
    products = pa.table({"product_id": [7, 9], "category": ["a", "a"]})
    assert ProductGraph.of(products).walk(items)["item_id"].to_pylist() == [9]
    assert ProductVectors.of(products).nearest(items)["similar_id"].to_pylist() == [9]


def test_a_longer_path_names_its_start_and_its_last_step():
    chain = pa.table({"product_id": ["mug", "maker"], "related_id": ["maker", "beans"]})
    graph = ProductGraph.of(PRODUCTS.select(["product_id"]), chain)
    assert reasons(graph.walk(["shirt", "mug"]))["beans"] == ("bought_together", "maker", "mug")


def test_what_an_expert_forbids_is_never_together(graph):
    assert "mug" not in reasons(graph.walk(["beans", "maker"]))
    assert "beans" not in reasons(graph.walk(["mug"]))
    assert "mug" in reasons(graph.walk(["maker"]))


def test_kinds_without_weight_are_not_followed_and_lists_keep_to_what_is_allowed(graph):
    weights = {name: weight for name, weight in KIND_WEIGHTS.items() if name == "complement"}
    assert list(reasons(graph.walk(["maker"], kind_weights=weights))) == ["filter"]
    assert set(reasons(graph.walk(["maker"], among=["mug", "beans", "nothing"]))) == {"mug", "beans"}
    assert graph.walk(["maker"], 2).num_rows == 2


def test_scores_are_shares_in_order_and_no_start_is_shown(graph):
    table = graph.walk(["maker", "shirt"], 20)
    score = table["score"].to_numpy()
    assert (np.diff(score) <= 0).all()
    assert 0 < score.sum() < 1
    assert table["rank"].to_pylist() == list(range(1, len(score) + 1))
    assert {"maker", "shirt"}.isdisjoint(reasons(table))
    assert graph.walk(["maker", "shirt"], 20).equals(table)


def test_a_walk_is_personalised_page_rank():
    rng = np.random.default_rng(5)
    count, weights = 30, rng.random((30, 30)) * (rng.random((30, 30)) < 0.2)
    np.fill_diagonal(weights, 0)
    one, other = np.nonzero(weights)
    table = pa.table({"product_id": one, "related_id": other, "weight": weights[one, other]})
    graph = ProductGraph.of(pa.table({"product_id": np.arange(count)}), table)
    step = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    assert (weights.sum(axis=1) > 0).all()
    exact = 0.2 * np.linalg.inv(np.eye(count) - 0.8 * step.T)[:, [3, 4]].mean(axis=1)
    shown = graph.walk([3, 4], count)
    assert shown["score"].to_numpy() == pytest.approx(exact[shown["item_id"].to_numpy()], abs=1e-3)


def test_a_graph_is_saved_whole(graph, tmp_path):
    graph.save(tmp_path / "folder")
    loaded = ProductGraph.load(tmp_path / "folder")
    for items in (["maker"], ["beans", "mug"], ["new_shirt"]):
        assert loaded.walk(items).equals(graph.walk(items))
    assert loaded.ignored.equals(graph.ignored)
    with pytest.raises(NotFound):
        ProductGraph.load(tmp_path / "nowhere")


@pytest.mark.parametrize("items", [[], ["nothing"], ["bare"]])
def test_a_walk_from_nowhere_is_empty(graph, items):
    assert graph.walk(items).num_rows == 0


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_catalogue_and_one_product_are_no_problem(count, edge_file):
    products = PRODUCTS.slice(0, count)
    assert ProductGraph.of(products).walk(["maker"]).num_rows == 0
    graph = ProductGraph.of(products, TOGETHER, read_edges(edge_file(LINES)))
    assert graph.walk(["maker"]).num_rows == 0
    assert graph.ignored.num_rows == 7


def test_edges_of_products_that_are_gone_are_ignored_and_reported(graph):
    assert graph.ignored.select(["product_id", "related_id", "line"]).to_pylist() == [
        {"product_id": "gone", "related_id": "maker", "line": 6}
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("maker,filter,complement,1\n", "the first line does not name product_id, related_id, kind"),
        ("product_id,related_id,kind\na,b,complements\n", "line 2: 'complements' is not a valid kind"),
        ("product_id,related_id,kind,weight\na,b,expert,1\na,b,expert,-1.5\n", "line 3: the weight of expert is -1.5"),
        ("product_id,related_id,kind,weight\na,b,substitute,-1\n", "line 2: the weight of substitute is -1"),
        ("product_id,related_id,kind,weight\na,b,substitute,much\n", "line 2: the weight 'much' is not a number"),
        ("product_id,related_id,kind,weight\na,b,substitute,nan\n", "line 2: the weight of substitute is nan"),
        ("product_id,related_id,kind,weight\na,,expert,1\n", "line 2: there is no related_id"),
        ("product_id,related_id,kind,weight\na,a,expert,1\n", "line 2: a is related to itself"),
        ("product_id,related_id,kind\n" + "a,b,x\n" * 9, "and 4 more"),
    ],
)
def test_a_file_with_mistakes_names_their_lines(text, problem, edge_file):
    with pytest.raises(BadFile, match=problem):
        read_edges(edge_file(text))


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    (tmp_path / "edges.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("edges.csv", "none.csv"):
        with pytest.raises(BadFile, match="cannot be read"):
            read_edges(tmp_path / name)


@pytest.mark.parametrize(
    ("edges", "problem"),
    [
        ({"product_id": ["a"], "related_id": ["b"]}, "there is no column kind"),
        ({"product_id": ["a"], "related_id": ["b"], "kind": ["friend"]}, "'friend': no valid kind"),
        ({"product_id": ["a"], "related_id": ["b"], "kind": ["substitute"], "weight": [-1.0]}, "below 0"),
        ({"product_id": ["a"], "related_id": ["b"], "kind": ["expert"], "weight": [None]}, "no finite weight"),
    ],
)
def test_edges_that_cannot_be_read_say_why(edges, problem):
    columns = {
        name: pa.array(values, pa.float64() if name == "weight" else pa.string()) for name, values in edges.items()
    }
    with pytest.raises(InvalidTable, match=problem):
        ProductGraph.of(PRODUCTS, edges=pa.table(columns))
