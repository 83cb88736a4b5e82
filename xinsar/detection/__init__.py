"""What moves: detections, as tables of outlines, by a model or by plain thresholds of stacked gradients."""

from .detect import detect, predict_scores
from .plain import detect_threshold

__all__ = ["detect", "detect_threshold", "predict_scores"]
