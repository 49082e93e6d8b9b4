"""A phonetic decision tree as a picture: questions, answers, tied states.

In: `Tree` and which HMM state's tree to draw. Out: a `Picture`.

Public names: `tree_picture`.
"""

from __future__ import annotations

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.picture import DrawOptions, Edge, Node, Picture
from wfst_hmm.errors import UsageError
from wfst_hmm.models.tree import Tree, TreeItem

__all__ = ["tree_picture"]


def tree_picture(
    tree: Tree,
    options: DrawOptions | None = None,
    *,
    phone: str | None = None,
    state: int | None = None,
) -> Picture:
    """Return the picture of one HMM state's tree; "yes" leads up, leaves name tied states.

    Parameters
    ----------
    tree : Tree
    options : DrawOptions, optional
        Of more nodes than ``max_states``, the topmost are drawn.
    phone : str, optional
        By default that of the largest tree (among those of `state`).
    state : int, optional
        HMM state of the phone; by default that of the largest tree.

    Raises
    ------
    UsageError
        There is no such phone or state.
    """
    options = options or DrawOptions()
    trees: dict[tuple[str, int], list[TreeItem]] = {}
    for item in tree.items():
        trees.setdefault((item.phone, item.state), []).append(item)
    fitting = {key: items for key, items in trees.items()
               if phone in (None, key[0]) and state in (None, key[1])}  # fmt: skip
    if not fitting:
        raise UsageError("no tree for this HMM state", got=f"phone {phone!r}, state {state}",
                         expected=f"one of {' '.join(tree.phones[:60])}")  # fmt: skip
    (name, number), items = max(fitting.items(), key=lambda pair: len(pair[1]))
    chosen = sorted(items, key=lambda item: item.depth)[: options.max_states]
    inside = {item.number for item in chosen}
    nodes = [_node(item, options) for item in items if item.number in inside]
    edges, n_cut = [], 0
    for item in items:
        if item.number not in inside or item.question is None:
            continue
        for child, answer in ((item.yes, "yes"), (item.no, "no")):
            if child in inside:
                edges.append(Edge(item.number, child, (answer,)))
            else:
                n_cut += 1
    captions = [shown(options.title, 200)] if options.title else []
    n_leaves = sum(item.question is None for item in items)
    captions.append(f"{name}, HMM state {number}: {n_leaves} tied states; under each question "
                    "what it gained, in nats, under each leaf its frames.")  # fmt: skip
    if n_cut:
        captions.append(f"{len(nodes)} of {len(items)} nodes are drawn; {n_cut} branches are cut.")
    return Picture(tuple(nodes), tuple(edges), tuple(captions))


def _node(item: TreeItem, options: DrawOptions) -> Node:
    if item.question is None:
        return Node(item.number, f"{item.leaf}\n{item.occupancy:,.0f}",
                    f"tied state {item.leaf}, {item.occupancy:,.0f} frames", is_final=True)  # fmt: skip
    text = shown(str(item.question), options.label_length)
    hint = shown(
        f"{item.question} gains {item.gain:,.1f} nats over {item.occupancy:,.0f} frames", 400
    )
    return Node(item.number, f"{text}\n{item.gain:,.0f}", hint, item.depth == 0, is_box=True)
