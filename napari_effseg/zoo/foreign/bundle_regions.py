"""The one function of bundles that a card can say: which sigmoid channel becomes which label."""

from __future__ import annotations

import ast

from ..card import Region

__all__ = ["read_region_rule"]


def read_region_rule(text: str) -> tuple[Region, ...] | None:
    """Read a nested choice between channels; it is not run.

    Parameters
    ----------
    text : str
        Such as ``$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, 0))``: channel 2 is
        label 4, else channel 0 is label 1, else 0.

    Returns
    -------
    tuple of Region, or None
        From the innermost choice to the outermost, as a card has them (later regions overwrite earlier
        ones); None if it is another function.
    """
    try:
        tree = ast.parse(text.removeprefix("$").strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None
    if not isinstance(tree, ast.Lambda) or len(tree.args.args) != 1:
        return None
    name, node, regions = tree.args.args[0].arg, tree.body, []
    while not (isinstance(node, ast.Constant) and node.value == 0):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "torch.where" or len(node.args) != 3:
            return None
        channel, label = _channel(node.args[0], name), node.args[1]
        if channel is None or not isinstance(label, ast.Constant) or type(label.value) is not int:
            return None
        regions.append(Region(channel, label.value))
        node = node.args[2]
    return tuple(reversed(regions)) or None


def _channel(condition: ast.expr, name: str) -> int | None:
    """Return c of ``x[[c]] > 0`` or ``x[c] > 0``."""
    if not isinstance(condition, ast.Compare) or len(condition.ops) != 1:
        return None
    if not isinstance(condition.ops[0], ast.Gt) or ast.unparse(condition.comparators[0]) not in ("0", "0.5"):
        return None
    taken = condition.left
    if not isinstance(taken, ast.Subscript) or ast.unparse(taken.value) != name:
        return None
    index = taken.slice
    if isinstance(index, ast.List) and len(index.elts) == 1:
        index = index.elts[0]
    return index.value if isinstance(index, ast.Constant) and type(index.value) is int else None
