// The stacks of gradient.py: products and sums of the edges of all pairs, kept in registers while the pairs pass by.

enum { PAIRS, TICKS };  // what is counted where an edge is missing

// Where the accumulators of a thread lie: planes of a row, rows of the call.
struct Place {
    size_t first;  // of the thread's first row, plane 0
    int planes, width;

    __device__ Place(const Way& way, const Tile& tile, int start, int planes, int width)
        : first(static_cast<size_t>(tile.top + way.first - start) * planes * width + way.x), planes(planes), width(width) {}
    __device__ size_t at(int i, int plane) const { return first + (static_cast<size_t>(i) * planes + plane) * width; }
};

// Count the edges that a pair with gaps does not have; bits as in Way.
__device__ inline void count_missing(int* missing, const Place& place, unsigned lost, int ticks) {
#pragma unroll 1
    for (int bit = 0; lost >> bit; bit++) {
        if (!(lost >> bit & 1)) continue;
        missing[place.at(bit / 2, bit % 2 * 2 + PAIRS)] += 1;
        missing[place.at(bit / 2, bit % 2 * 2 + TICKS)] += ticks;
    }
}

// Bring p * d back to a length near one by an exact power of two.
__device__ inline void times(float& re, float& im, float dr, float di) {
    float new_re = fmaf(-im, di, re * dr), new_im = fmaf(im, dr, re * di);
    float length = fabsf(new_re) + fabsf(new_im);
    float scale = __int_as_float(0x7F000000 - (__float_as_int(length) & 0x7F800000));
    re = new_re * scale;
    im = new_im * scale;
}

struct Products {
    using Value = float;
    static constexpr int PLANES = 4;  // re, im along y; re, im along x
    Value held[ROWS][PLANES];

    __device__ void put(int i, int direction, float dr, float di) {
        times(held[i][2 * direction], held[i][2 * direction + 1], dr, di);
    }
};

struct Totals {
    using Value = double;
    static constexpr int PLANES = 2;
    Value held[ROWS][PLANES];

    __device__ void put(int i, int direction, float dr, float di) { held[i][direction] += angle(dr, di); }
};

template <class Held>
struct Edges : Held {
    template <int PLANES>
    __device__ void take(int i, int direction, const float (&here)[PLANES], const float (&there)[PLANES], float, float) {
        float dr, di;
        edge(here[RE], here[IM], there[RE], there[IM], dr, di);
        this->put(i, direction, dr, di);
    }
};

template <class Held>
__device__ inline void fold(const Stack& stack, int pairs, const int* ticks, int start, int stop, int tile_rows,
                            typename Held::Value* state, int* missing, int* status) {
    Shared& shared = shared_memory();
    Tile tile(stack, start, stop, tile_rows);
    Way way(stack, tile);
    Place place(way, tile, start, Held::PLANES, stack.width), counts(way, tile, start, 4, stack.width);
    Edges<Held> edges;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int plane = 0; plane < Held::PLANES; plane++)
            edges.held[i][plane] = way.owns && i < way.rows ? state[place.at(i, plane)] : 0;
    for (int k = 0; k < pairs; k++) {
        if (ticks[k] < 0) continue;
        if (gather<2>(stack, tile, k, shared, status)) {
            unsigned good = judge(stack, tile, shared, way);
            count_missing(missing, counts, way.edges & ~good, ticks[k]);
            visit<2, true>(stack, tile, shared, way, good, edges);
        } else {
            visit<2, false>(stack, tile, shared, way, 0, edges);
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int plane = 0; plane < Held::PLANES; plane++)
            if (way.owns && i < way.rows) state[place.at(i, plane)] = edges.held[i][plane];
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
wrapped_sum(const float* __restrict__ phase, const float* __restrict__ coherence, int height, int width, float limit,
            float min_weight, int pairs, const int* __restrict__ ticks, int start, int stop, int tile_rows,
            float* product, int* missing, int* status) {
    Stack stack = {phase, coherence, height, width, limit, min_weight};
    fold<Products>(stack, pairs, ticks, start, stop, tile_rows, product, missing, status);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
sum(const float* __restrict__ phase, const float* __restrict__ coherence, int height, int width, float limit,
    float min_weight, int pairs, const int* __restrict__ ticks, int start, int stop, int tile_rows, double* total,
    int* missing, int* status) {
    Stack stack = {phase, coherence, height, width, limit, min_weight};
    fold<Totals>(stack, pairs, ticks, start, stop, tile_rows, total, missing, status);
}
