"""Random walks with restart over edges of several kinds, by forward push.

From a node the walk returns to the start with probability RESTART; otherwise it chooses a kind among those that the
node has, in proportion to the kinds' weights, and an edge of it in proportion to the edge's share. How often it is at a
node is personalised PageRank. What waits at a node is pushed on only where it is more than `epsilon` times its edges
(Andersen, Chung and Lang, 2006), so that the cost does not grow with the graph: 1 / (RESTART x epsilon) edges at most.

Next to it each node keeps from where the strongest path to it came: the product of the steps' probabilities, among the
paths that were walked.
"""

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
import numpy.typing as npt

from patron.recommenders.best_items import Flags, insert
from patron.recommenders.ids import Codes
from patron.schema.numbers import Numbers

RESTART = 0.2


@dataclass(frozen=True, eq=False)
class EdgeLists:
    """Outgoing edges of each node, one node after another."""

    starts: Codes
    """Place of each node's first edge, and the number of edges."""
    target: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    share: npt.NDArray[np.float32]
    """Of the weight of all edges of its kind from its node."""
    kinds: npt.NDArray[np.int32]
    """Kinds of edges that each node has, one bit each."""

    @classmethod
    def of(cls, node: Codes, target: Codes, kind: Codes, weight: Numbers, nodes: int) -> Self:
        """Add up repeated edges and put them in order."""
        kinds_count = int(kind.max(initial=0)) + 1
        keys, place = np.unique((node * kinds_count + kind) * nodes + target, return_inverse=True)
        total = np.bincount(place, weight, len(keys))
        group, target = np.divmod(keys, max(nodes, 1))
        node, kind = np.divmod(group, kinds_count)
        share = total / np.bincount(group, total)[group] if len(group) else total
        kinds = np.zeros(nodes, dtype=np.int32)
        np.bitwise_or.at(kinds, node, (1 << kind).astype(np.int32))
        starts = np.append(0, np.cumsum(np.bincount(node, minlength=nodes)))
        return cls(starts, target.astype(np.int32), kind.astype(np.int8), share.astype(np.float32), kinds)


@dataclass(frozen=True, eq=False)
class Visits:
    """Nodes where a walk is most often, best first."""

    node: Codes
    score: Numbers
    """Share of the time that the walk is there."""
    kind: Codes
    """Kind of the last edge of the strongest path; -1 without a path."""
    neighbour: Codes
    """The last product before it on that path."""
    start: Codes
    """Where that path starts."""


def walk(edges: EdgeLists, start: Codes, kind_weights: Numbers, is_allowed: Flags, k: int, epsilon: float) -> Visits:
    """Nodes where a walk from several nodes is most often, k at most.

    Products are the first nodes of all; `is_allowed` has a flag for each of them. A node that comes twice in `start`
    counts twice.
    """
    arrays = edges.starts, edges.target, edges.kind, edges.share, edges.kinds
    score, touched, parent, kind = _push(arrays, start, kind_weights, epsilon)
    node, of_node = _best_nodes(score, touched, is_allowed, k)
    return Visits(node, of_node, *_paths(node, parent, kind, len(is_allowed)))


@numba.njit(cache=True)
def _push(arrays, start, kind_weights, epsilon):  # noqa: ANN001, ANN202
    starts, targets, kinds, shares, kinds_of = arrays
    count = len(kinds_of)
    score, waiting, strength = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.float32)
    parent, parent_kind = np.full(count, -1, dtype=np.int32), np.full(count, -1, dtype=np.int8)
    is_queued, touched = np.zeros(count, dtype=np.bool_), np.empty(count, dtype=np.int32)
    queue = list(np.unique(start))
    size = len(queue)
    for at, node in enumerate(queue):
        touched[at], is_queued[node], strength[node] = node, True, 1.0
    for node in start:
        waiting[node] += 1 / len(start)
    at = 0
    while at < len(queue):
        node = queue[at]
        at += 1
        is_queued[node] = False
        amount, waiting[node] = waiting[node], 0.0
        total = _total_weight(kinds_of[node], kind_weights)
        score[node] += RESTART * amount if total > 0 else amount
        for place in range(starts[node], starts[node + 1] if total > 0 else starts[node]):
            step = (1 - RESTART) * kind_weights[kinds[place]] / total * shares[place]
            target = np.int64(targets[place])
            if strength[target] == 0 and step > 0:
                touched[size] = target
                size += 1
            if strength[node] * step > strength[target]:
                strength[target], parent[target], parent_kind[target] = strength[node] * step, node, kinds[place]
            waiting[target] += amount * step
            if not is_queued[target] and waiting[target] > epsilon * (starts[target + 1] - starts[target]):
                queue.append(target)
                is_queued[target] = True
    score += RESTART * waiting
    return score, touched[:size], parent, parent_kind


@numba.njit(cache=True)
def _total_weight(bits, kind_weights):  # noqa: ANN001, ANN202
    """Weight of all kinds that a node has."""
    total = 0.0
    for kind in range(len(kind_weights)):
        if bits >> kind & 1:
            total += kind_weights[kind]
    return total


@numba.njit(cache=True)
def _best_nodes(score, touched, is_allowed, k):  # noqa: ANN001, ANN202
    best, of_best, count = np.full(k, -1, dtype=np.int64), np.full(k, -np.inf), 0
    for node in touched:
        if node < len(is_allowed) and is_allowed[node]:
            count = insert(best, of_best, count, node, score[node])
    return best[:count], of_best[:count]


@numba.njit(cache=True)
def _paths(nodes, parent, parent_kind, products):  # noqa: ANN001, ANN202
    """Kind of the last edge, last product before, and first node of the strongest path to each node.

    A node's strength is less than its parent's, so that no path is a circle.
    """
    kind, neighbour, start = np.empty((3, len(nodes)), dtype=np.int64)
    for at in range(len(nodes)):
        node = parent[nodes[at]]
        kind[at] = parent_kind[nodes[at]]
        while node >= products:
            node = parent[node]
        neighbour[at] = node
        while parent[node] >= 0:
            node = parent[node]
        start[at] = node
    return kind, neighbour, start
