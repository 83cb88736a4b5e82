"""Tables of what was found: merged, filtered, described, reviewed, scored and exported; no arrays."""

from xinsar.inventory.attributes import attributes
from xinsar.inventory.boundary import boundary_scores
from xinsar.inventory.breakdown import recall_by
from xinsar.inventory.density import landslide_density
from xinsar.inventory.evaluate import evaluate_inventory, match_objects
from xinsar.inventory.files import open_inventory, save_inventory
from xinsar.inventory.filters import gradient_filter, mask_objects
from xinsar.inventory.infrastructure import potential_landslides
from xinsar.inventory.merge import merge_boxes, merge_inventories, merge_scales
from xinsar.inventory.patches import patch_classes, patch_statistics
from xinsar.inventory.pixels import confusion_scores, pixel_scores
from xinsar.inventory.precision import (
    average_precision,
    calibrate_scores,
    calibration_error,
    calibration_table,
    false_alarms_at_recall,
)
from xinsar.inventory.review import FalseAlarms, false_alarm_rate, sample_for_review

__all__ = [
    "FalseAlarms",
    "attributes",
    "average_precision",
    "boundary_scores",
    "calibrate_scores",
    "calibration_error",
    "calibration_table",
    "confusion_scores",
    "evaluate_inventory",
    "false_alarm_rate",
    "false_alarms_at_recall",
    "gradient_filter",
    "landslide_density",
    "mask_objects",
    "match_objects",
    "merge_boxes",
    "merge_inventories",
    "merge_scales",
    "open_inventory",
    "patch_classes",
    "patch_statistics",
    "pixel_scores",
    "potential_landslides",
    "recall_by",
    "sample_for_review",
    "save_inventory",
]
