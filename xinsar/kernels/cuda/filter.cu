// Filter and gradient of every pair, filter.py: the z axis of the grid shares out the pairs.

struct Gradients {
    float* out;  // (2, pair, y, x), this pair's first pixel along y
    size_t planes, start;
    int width;

    template <int PLANES>
    __device__ void take(int i, int direction, const float (&here)[PLANES], const float (&there)[PLANES], float, float) {
        float dr, di;
        edge(here[RE], here[IM], there[RE], there[IM], dr, di);
        out[direction * planes + start + static_cast<size_t>(i) * width] = angle(dr, di);
    }
};

// out must hold NaN: only edges that are there are written.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
phase_gradient(const float* __restrict__ phase, const float* __restrict__ coherence, int height, int width, float limit,
               float min_weight, int pairs, int tile_rows, float* out, int* status) {
    Shared& shared = shared_memory();
    Stack stack = {phase, coherence, height, width, limit, min_weight};
    Tile tile(stack, 0, height, tile_rows);
    Way way(stack, tile);
    size_t plane = static_cast<size_t>(height) * width;
    size_t start = static_cast<size_t>(tile.top + way.first) * width + way.x;
    for (int k = blockIdx.z; k < pairs; k += gridDim.z) {
        Gradients gradients = {out, pairs * plane, k * plane + start, width};
        bool gaps = gather<2>(stack, tile, k, shared, status);
        visit<2, true>(stack, tile, shared, way, gaps ? judge(stack, tile, shared, way) : way.edges, gradients);
    }
}

__device__ inline void filter_pixel(const float (&z)[3], bool known, float* phase, float* consistency) {
    float length = sqrtf(fmaf(z[RE], z[RE], z[IM] * z[IM]));
    float ratio = length / (known ? z[WEIGHT] : 1.0f);
    *phase = known ? angle(z[RE], z[IM]) : nanf("");
    *consistency = known ? (ratio < 1.0f ? ratio : 1.0f) : nanf("");
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
coherence_filter(const float* __restrict__ phase, const float* __restrict__ coherence, int height, int width,
                 float limit, int pairs, int tile_rows, int fill_missing, float* out, int* status) {
    Shared& shared = shared_memory();
    Stack stack = {phase, coherence, height, width, limit, 0.0f};
    Tile tile(stack, 0, height, tile_rows);
    Way way(stack, tile);
    size_t plane = static_cast<size_t>(height) * width;
    for (int k = blockIdx.z; k < pairs; k += gridDim.z) {
        bool gaps = gather<3>(stack, tile, k, shared, status);
        if (way.rows == 0) continue;
        Column<3> column(shared, way);
        float* to = out + k * plane + static_cast<size_t>(tile.top + way.first) * width + way.x;
        for (int i = 0; i < way.rows; i++) {
            bool there = fill_missing || !gaps || is_there(shared, way.first + i + HALF_WINDOW, way.column);
            float* pixel = to + static_cast<size_t>(i) * width;
            if (way.owns) filter_pixel(column.z, there && column.z[WEIGHT] > TINY, pixel, pixel + pairs * plane);
            if (i + 1 < way.rows) column.next(shared, way.column, way.first + i + 1);
        }
    }
}
