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

import numpy as np
import numpy.typing as npt

from patron.recommenders.best_items import Flags, insert
from patron.recommenders.ids import Codes
from patron.schema.kernels import kernel
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
    slot, nodes, score, parent, kind = _push(arrays, start, kind_weights, epsilon)
    node, of_node = _best_nodes(nodes, score, is_allowed, k)
    return Visits(node, of_node, *_paths(slot[node], nodes, parent, kind, len(is_allowed)))


@kernel()
def _push(arrays, start, kind_weights, epsilon):  # noqa: ANN001, ANN202
    """Each node that is met gets the next slot: memory that is not used costs no time.

    Returns the slot of each node, and of each slot the node, its score, the slot before it and the kind of the edge.
    """
    starts, targets, kinds, shares, kinds_of = arrays
    count = len(kinds_of)
    slot, nodes = np.full(count, -1, dtype=np.int32), np.empty(count, dtype=np.int32)
    score = np.empty(count)
    waiting = np.empty(count)
    strength = np.empty(count, dtype=np.float32)
    parent, parent_kind = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int8)
    is_queued = np.empty(count, dtype=np.bool_)
    queue = list(np.arange(0))
    for node in np.unique(start):
        at = len(queue)
        slot[node] = at
        nodes[at] = node
        score[at] = 0.0
        waiting[at] = (start == node).sum() / len(start)
        strength[at] = 1.0
        parent[at] = -1
        parent_kind[at] = -1
        is_queued[at] = True
        queue.append(np.int64(at))
    size, first = len(queue), 0
    while first < len(queue):
        at = queue[first]
        first += 1
        node, amount = nodes[at], waiting[at]
        waiting[at], is_queued[at] = 0.0, False
        total = _total_weight(kinds_of[node], kind_weights)
        score[at] += RESTART * amount if total > 0 else amount
        for place in range(starts[node], starts[node + 1] if total > 0 else starts[node]):
            step, target = kind_weights[kinds[place]] * shares[place], targets[place]
            if step <= 0:
                continue
            step *= (1 - RESTART) / total
            to = np.int64(slot[target])
            if to < 0:
                to = np.int64(size)
                slot[target] = to
                nodes[to] = target
                score[to] = 0.0
                waiting[to] = 0.0
                strength[to] = 0.0
                is_queued[to] = False
                size += 1
            if strength[at] * step > strength[to]:
                strength[to] = strength[at] * step
                parent[to] = at
                parent_kind[to] = kinds[place]
            waiting[to] += amount * step
            if not is_queued[to] and waiting[to] > epsilon * (starts[target + 1] - starts[target]):
                queue.append(to)
                is_queued[to] = True
    return slot, nodes[:size], score[:size] + RESTART * waiting[:size], parent[:size], parent_kind[:size]


@kernel()
def _total_weight(bits, kind_weights):  # noqa: ANN001, ANN202
    """Weight of all kinds that a node has."""
    total = 0.0
    for kind in range(len(kind_weights)):
        if bits >> kind & 1:
            total += kind_weights[kind]
    return total


@kernel()
def _best_nodes(nodes, score, is_allowed, k):  # noqa: ANN001, ANN202
    best = np.full(k, -1, dtype=np.int64)
    of_best = np.full(k, -np.inf)
    count = 0
    for at in range(len(nodes)):
        if nodes[at] < len(is_allowed) and is_allowed[nodes[at]]:
            count = insert(best, of_best, count, nodes[at], score[at])
    return best[:count], of_best[:count]


@kernel()
def _paths(slots, nodes, parent, parent_kind, products):  # noqa: ANN001, ANN202
    """Kind of the last edge, last product before, and first node of the strongest path to each slot's node.

    A node's strength is less than its parent's, so that no path is a circle.
    """
    kind, neighbour, start = np.empty((3, len(slots)), dtype=np.int64)
    for row in range(len(slots)):
        at = parent[slots[row]]
        kind[row] = parent_kind[slots[row]]
        while nodes[at] >= products:
            at = parent[at]
        neighbour[row] = nodes[at]
        while parent[at] >= 0:
            at = parent[at]
        start[row] = nodes[at]
    return kind, neighbour, start
