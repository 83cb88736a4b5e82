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
    Place counts;
    int* missing;
    Place date_place;
    unsigned* dates;  // (y, direction, word, x)
    int words;

    template <bool GAPS, int PLANES>
    __device__ void take(int i, int direction, const End& here, const End& there, float possible_here,
                         float possible_there, bool good) {
        float re, im;
        edge(here.re, here.im, there.re, there.im, re, im);
        float a = quality(here.weight, GAPS ? here.number : possible_here);
        float b = quality(there.weight, GAPS ? there.number : possible_there);
        float both = a * b, weight = both / (a + b - (both + both));
        float unit = weight / sqrtf(fmaf(re, re, im * im));
        if (GAPS) {
            if (good) mark(i, direction);
            else count_missing(missing, counts, i, direction, pair.ticks);
            if (!(good && re * re + im * im > 0.0f)) return;
        }
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

    __device__ void mark(int i, int direction) {
        dates[date_place.at(i, direction * words + pair.first_date / 32)] |= 1u << pair.first_date % 32;
        dates[date_place.at(i, direction * words + pair.second_date / 32)] |= 1u << pair.second_date % 32;
    }
};

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

extern "C" __global__ void __launch_bounds__(THREADS, 1)
rate(const float* __restrict__ phase, const float* __restrict__ coherence, int height, int width, float limit,
     float min_weight, int pairs, const int* __restrict__ integers, const float* __restrict__ years,
     const float* __restrict__ levers, int start, int stop, int tile_rows, int groups, int words, float* sums,
     float* weights, int* missing, unsigned* dates, int* status) {
    Shared& shared = shared_memory();
    unsigned* tile_dates = reinterpret_cast<unsigned*>(&shared + 1);
    for (int word = threadIdx.x; word < words; word += THREADS) tile_dates[word] = 0;

    Stack stack = {phase, coherence, height, width, limit, min_weight};
    int top = start + blockIdx.y * tile_rows;
    Tile tile = {top, static_cast<int>(blockIdx.x) * COLUMNS, min(tile_rows, stop - top)};
    Way way(stack, tile);
    Place moments(way, tile, start, 2 * MOMENTS, width);
    Place all_sums(way, tile, start, groups * 2 * TERMS, width);
    Rates rates = {{}, {}, {}, Place(way, tile, start, 4, width), missing, Place(way, tile, start, 2 * words, width), dates, words};
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
            visit<true, 4>(stack, tile, shared, way, rates);
        } else {
            visit<false, 3>(stack, tile, shared, way, rates);
            mark_tile(rates.pair, tile_dates);
        }
    }
    if (group >= 0) store(rates.sums, all_sums, way, sums + static_cast<size_t>(group) * 2 * TERMS * width);
    store(rates.moments, moments, way, weights);

    __syncthreads();
    if (!way.owns) return;
    for (int i = 0; i < way.rows; i++)
        for (int plane = 0; plane < 2 * words; plane++) dates[rates.date_place.at(i, plane)] |= tile_dates[plane % words];
}
