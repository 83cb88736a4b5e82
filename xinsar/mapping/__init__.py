"""Everything that knows Dask, chunks and halos. Imports nothing of ours.

``stencil``
    maps a function that looks at neighbours over chunks; results come back in the caller's chunks.
``neighbourhood``
    the same for one array, with what the function must know of each row and of the whole field.
``reduce_fields``
    sums up whole fields, chunk by chunk.
``pointwise``
    maps a function of aligned pixels.
``along``
    maps a function of all values along one dim.
``whole_images``
    maps a function that must see all of an image, one task an image.
``fold_pairs``
    runs a long stack through an accumulator, chunk after chunk, each chunk read once.
``over_windows``, ``fields_over_windows``, ``over_boxes``
    map a function of boxes that the caller lays over the map, each read with the pixels around it.
``coarsened``
    maps a function of square blocks of pixels.
``by_place``, ``onto_grid``, ``whole_points``
    bring points together that lie together: for answers point by point, onto a grid, or all at once.

Data that is not lazy is handed to the function as it is. The function alone decides what happens at an image edge;
Dask only lends neighbours, so whole and chunked results agree to the last bit.
"""

from xinsar.mapping.along import along
from xinsar.mapping.blocks import (
    is_lazy,
    on_lattice,
    over_leading,
    pointwise,
    same_grid,
    stencil,
    whole_images,
)
from xinsar.mapping.fields import neighbourhood, reduce_fields
from xinsar.mapping.fold import Fold, fold_pairs
from xinsar.mapping.points import by_place, onto_grid, whole_points
from xinsar.mapping.windows import coarsened, fields_over_windows, over_boxes, over_windows

__all__ = [
    "Fold",
    "along",
    "by_place",
    "coarsened",
    "fields_over_windows",
    "fold_pairs",
    "is_lazy",
    "neighbourhood",
    "on_lattice",
    "onto_grid",
    "over_boxes",
    "over_leading",
    "over_windows",
    "pointwise",
    "reduce_fields",
    "same_grid",
    "stencil",
    "whole_images",
    "whole_points",
]
