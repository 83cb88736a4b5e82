// The sums of rate.py. Pairs come ordered by interval, so that the sums of one interval stay in registers until the next
// interval begins; only then do they go to global memory.

enum { TERMS = HEIGHT ? 6 : 2 };    // sums of w u (re, im) and, with heights, of w u b and w u b^2
enum { MOMENTS = HEIGHT ? 4 : 2 };  // sums of w, w dt^2 and, with heights, of w dt b and w b^2

struct Pair {
    int index, ticks, group, first_date, second_date;
    float years, lever;
};

// The square of the mean coherence of a window, clipped.
__device__ inline float quality(float weight, float number) {
    float mean = weight / (number > 0.0f ? number : 1.0f);
    mean = mean > TOP_COHERENCE ? TOP_COHERENCE : mean;
    return mean * mean;
}

struct Rates {
    float sums[ROWS][2][TERMS], moments[ROWS][2][MOMENTS];
    Pair pair;

    // Four planes: the pixels of the windows are counted; three: all are there.
    template <int PLANES>
    __device__ void take(int i, int direction, const float (&here)[PLANES], const float (&there)[PLANES],
                         float possible_here, float possible_there) {
        constexpr int LAST = PLANES - 1;
        float re, im;
        edge(here[RE], here[IM], there[RE], there[IM], re, im);
        float a = quality(here[WEIGHT], PLANES > NUMBER ? here[LAST] : possible_here);
        float b = quality(there[WEIGHT], PLANES > NUMBER ? there[LAST] : possible_there);
        float both = a * b, weight = both / (a + b - (both + both));
        float unit = weight / sqrtf(fmaf(re, re, im * im));
        if (PLANES > NUMBER && !(re * re + im * im > 0.0f)) return;
        put(sums[i][direction], moments[i][direction], weight, unit * re, unit * im);
    }

    __device__ void put(float (&s)[TERMS], float (&m)[MOMENTS], float weight, float a, float b) {
        float dt = pair.years;
        s[0] += a;
        s[1] += b;
        m[0] += weight;
        m[1] += weight * (dt * dt);
#if HEIGHT
        float lever = pair.lever;
        s[2] += a * lever;
        s[3] += b * lever;
        s[4] += a * (lever * lever);
        s[5] += b * (lever * lever);
        m[2] += weight * (dt * lever);
        m[3] += weight * (lever * lever);
#endif
    }
};

// Set the bits of a pair's dates where it has an edge; dates are (y, direction, word, x), bits of good as in Way.
__device__ inline void mark_edges(unsigned* dates, const Place& place, int words, unsigned good, const Pair& pair) {
#pragma unroll 1
    for (int bit = 0; good >> bit; bit++) {
        if (!(good >> bit & 1)) continue;
        dates[place.at(bit / 2, bit % 2 * words + pair.first_date / 32)] |= 1u << pair.first_date % 32;
        dates[place.at(bit / 2, bit % 2 * words + pair.second_date / 32)] |= 1u << pair.second_date % 32;
    }
}

// The dates of pairs without gaps in this tile: all its edges have them.
__device__ inline void mark_tile(const Pair& pair, unsigned* tile_dates) {
    if (threadIdx.x != 0) return;
    tile_dates[pair.first_date / 32] |= 1u << pair.first_date % 32;
    tile_dates[pair.second_date / 32] |= 1u << pair.second_date % 32;
}

template <int NUMBER_HELD>
__device__ inline void load(float (&held)[ROWS][2][NUMBER_HELD], const Place& place, const Way& way, const float* from) {
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int plane = 0; plane < 2 * NUMBER_HELD; plane++)
            held[i][plane / NUMBER_HELD][plane % NUMBER_HELD] = way.owns && i < way.rows ? from[place.at(i, plane)] : 0.0f;
}

template <int NUMBER_HELD>
__device__ inline void store(const float (&held)[ROWS][2][NUMBER_HELD], const Place& place, const Way& way, float* to) {
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int plane = 0; plane < 2 * NUMBER_HELD; plane++)
            if (way.owns && i < way.rows) to[place.at(i, plane)] = held[i][plane / NUMBER_HELD][plane % NUMBER_HELD];
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
rate(const float* __restrict__ phase, const float* __restrict__ coherence, int height, int width, float limit,
     float min_weight, int pairs, const int* __restrict__ integers, const float* __restrict__ years,
     const float* __restrict__ levers, int start, int stop, int tile_rows, int groups, int words, float* sums,
     float* weights, int* missing, unsigned* dates, int* status) {
    Shared& shared = shared_memory();
    unsigned* tile_dates = reinterpret_cast<unsigned*>(&shared + 1);
    for (int word = threadIdx.x; word < words; word += THREADS) tile_dates[word] = 0;

    Stack stack = {phase, coherence, height, width, limit, min_weight};
    Tile tile(stack, start, stop, tile_rows);
    Way way(stack, tile);
    Place moments(way, tile, start, 2 * MOMENTS, width);
    Place all_sums(way, tile, start, groups * 2 * TERMS, width);
    Place counts(way, tile, start, 4, width), marks(way, tile, start, 2 * words, width);
    Rates rates;
    load(rates.moments, moments, way, weights);
    int group = -1;
    for (int k = 0; k < pairs; k++) {
        const int* about = integers + 5 * k;
        rates.pair = {about[0], about[1], about[2], about[3], about[4], years[k], HEIGHT ? levers[k] : 0.0f};
        if (rates.pair.group != group) {
            if (group >= 0) store(rates.sums, all_sums, way, sums + static_cast<size_t>(group) * 2 * TERMS * width);
            group = rates.pair.group;
            load(rates.sums, all_sums, way, sums + static_cast<size_t>(group) * 2 * TERMS * width);
        }
        if (gather<3>(stack, tile, rates.pair.index, shared, status)) {
            unsigned good = judge(stack, tile, shared, way);
            count_missing(missing, counts, way.edges & ~good, rates.pair.ticks);
            mark_edges(dates, marks, words, good, rates.pair);
            visit<4, true>(stack, tile, shared, way, good, rates);
        } else {
            visit<3, true>(stack, tile, shared, way, way.edges, rates);
            mark_tile(rates.pair, tile_dates);
        }
    }
    if (group >= 0) store(rates.sums, all_sums, way, sums + static_cast<size_t>(group) * 2 * TERMS * width);
    store(rates.moments, moments, way, weights);

    __syncthreads();
    if (!way.owns) return;
    for (int i = 0; i < way.rows; i++)
        for (int plane = 0; plane < 2 * words; plane++) dates[marks.at(i, plane)] |= tile_dates[plane % words];
}
