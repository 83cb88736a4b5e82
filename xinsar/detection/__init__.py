"""What moves: detections, as tables of outlines, from stacked gradients."""

from .plain import detect_threshold

__all__ = ["detect_threshold"]
