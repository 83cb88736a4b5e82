"""Tables of what was found, merged between tracks and scored against what is known; no arrays."""

from .evaluate import evaluate_inventory, match_objects
from .merge import merge_inventories

__all__ = ["evaluate_inventory", "match_objects", "merge_inventories"]
