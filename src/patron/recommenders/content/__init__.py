"""Products by what is known of them: vectors of their content and a graph of their relations.

For products that nobody has bought yet, and for customers of whom only the first clicks are known.
"""

from patron.estimators.text_terms import terms_of
from patron.recommenders.content.behaviour_fusion import fuse
from patron.recommenders.content.content_neighbours import content_neighbours
from patron.recommenders.content.edge_file import read_edges
from patron.recommenders.content.encoded_texts import EncodedTexts, Encoder
from patron.recommenders.content.graph_edges import KIND_WEIGHTS
from patron.recommenders.content.image_file import read_image_vectors
from patron.recommenders.content.product_graph import ProductGraph
from patron.recommenders.content.product_vectors import ProductVectors

__all__ = [
    "KIND_WEIGHTS",
    "EncodedTexts",
    "Encoder",
    "ProductGraph",
    "ProductVectors",
    "content_neighbours",
    "fuse",
    "read_edges",
    "read_image_vectors",
    "terms_of",
]
