// Coherence-weighted phasors and their window sums on a GPU: phasor.py, the same operations in the same order.
//
// A block owns a tile of COLUMNS x up to GROUPS * ROWS pixels. For each pair its warps read rows of LOADED pixels (two a lane),
// turn them into phasors, sum them across the window by shuffles and leave the row sums in shared memory; then each
// thread walks down a column of ROWS pixels and adds up the rows. So phase and coherence are read once, apart from the
// halo, and nothing between them and the result touches global memory.
//
// Compiled with -fmad=false: a fused multiply-add is written fmaf, as in the CPU kernels, and rounds as there.
// Set by source.py: WINDOW, ROWS, COHERENT and HEIGHT, the shape of tiles, and the numbers of phasor.py and rate.py.

enum { HALF_WINDOW = WINDOW / 2, GROUP = THREADS / GROUPS, WARPS = THREADS / 32, SLOTS = GROUPS * ROWS + WINDOW };
enum { EACH = LOADED / 32, RIGHT = LOADED - LEFT - COLUMNS };
enum { STEPS = 31 };                  // columns of a warp on its way down; its last lane lends its sum to its neighbour
enum { RE, IM, WEIGHT, NUMBER };      // the four planes of sums
enum : unsigned { EVERY = 0xffffffffu };

static_assert(LEFT >= HALF_WINDOW && RIGHT > HALF_WINDOW && COLUMNS > 0, "a warp's row holds every window it sums");
static_assert(EACH == 2 && LEFT % 2 == 0 && COLUMNS % 2 == 0, "a lane reads two aligned pixels");
static_assert(COLUMNS <= GROUP / 32 * STEPS, "every column of a tile has a thread");

struct Stack {
    const float *phase, *coherence;
    int height, width;
    float limit, min_weight;
};

struct Tile {
    int top, left, rows;  // first row and column, number of rows
    bool inner;           // all columns that are read lie in the image, and pairs of them at multiples of eight bytes

    __device__ Tile(const Stack& stack, int start, int stop, int high)
        : top(start + blockIdx.y * high), left(blockIdx.x * COLUMNS), rows(min(high, stop - top)) {
        size_t address = reinterpret_cast<size_t>(stack.phase) | reinterpret_cast<size_t>(stack.coherence);
        inner = address % 8 == 0 && stack.width % 2 == 0 && left >= LEFT && left - LEFT + LOADED <= stack.width;
    }
    __device__ int slots() const { return rows + WINDOW; }
};

struct Shared {
    float sums[4][SLOTS][LOADED];
    unsigned char there[SLOTS][32];  // the pixels of a lane, a bit each
};
static_assert(sizeof(Shared) == SHARED_BYTES, "source.py asks for what a tile needs");

// How many of the 2 HALF_WINDOW + 1 neighbours of an index lie within length.
__device__ inline float inside(int index, int length) {
    return static_cast<float>(min(index + HALF_WINDOW, length - 1) - max(index - HALF_WINDOW, 0) + 1);
}

// The pixels of a lane, EACH neighbours of a row.
struct Pixels {
    float value[EACH], weight[EACH];
    bool there[EACH];  // inside the image

    // 0 outside. In tiles that are INNER no column lies outside, so that both are read at once.
    template <bool INNER>
    __device__ void read(const float* phase, const float* coherence, long long offset, const bool (&in)[EACH], bool row_in) {
        float2 values = {0.0f, 0.0f}, weights = {0.0f, 0.0f};
        if (INNER && row_in) {
            values = *reinterpret_cast<const float2*>(phase + offset);
            if (COHERENT) weights = *reinterpret_cast<const float2*>(coherence + offset);
        }
        value[0] = values.x, value[1] = values.y, weight[0] = weights.x, weight[1] = weights.y;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            there[i] = row_in && in[i];
            if (!INNER && there[i]) value[i] = phase[offset + i];
            if (!INNER && COHERENT && there[i]) weight[i] = coherence[offset + i];
            if (!COHERENT) weight[i] = there[i] ? 1.0f : 0.0f;
        }
    }
};

// Sum WINDOW neighbours along x, left to right, of the pixels a lane holds, and leave them in shared memory.
// Sums that reach beyond the pixels of the warp are wrong; nobody reads them.
__device__ inline void sum_across(const float (&own)[EACH], int lane, float* row) {
    float line[EACH + 2 * HALF_WINDOW];
#pragma unroll
    for (int i = 0; i < EACH; i++) line[HALF_WINDOW + i] = own[i];
#pragma unroll
    for (int i = 1; i <= HALF_WINDOW; i++) {
        int lanes = (i + EACH - 1) / EACH;
        line[HALF_WINDOW - i] = __shfl_up_sync(EVERY, own[EACH * lanes - i], lanes);
        line[HALF_WINDOW + EACH - 1 + i] = __shfl_down_sync(EVERY, own[(i - 1) % EACH], lanes);
    }
    float total[EACH];
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        total[i] = line[i];
#pragma unroll
        for (int k = 1; k < WINDOW; k++) total[i] += line[i + k];
    }
    *reinterpret_cast<float2*>(row + EACH * lane) = make_float2(total[0], total[1]);
}

// Give missing pixels no weight, count those that are there (bits say which), and tell whether values are illegal.
__device__ inline unsigned mend(Pixels& own, float limit, float (&number)[EACH], int& bad) {
    unsigned bits = 0;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        bool there = own.there[i] && own.value[i] == own.value[i] && own.weight[i] == own.weight[i];
        if (there && !(fabsf(own.value[i]) <= limit)) bad = max(bad, BAD_PHASE);
        if (there && !(fabsf(own.weight[i] - 0.5f) <= HALF_COHERENCE)) bad = max(bad, BAD_COHERENCE);
        own.value[i] = there ? own.value[i] : 0.0f;
        own.weight[i] = there ? own.weight[i] : 0.0f;
        number[i] = there ? 1.0f : 0.0f;
        bits |= there ? 1u << i : 0u;
    }
    return bits;
}

// Fill the row sums of one pair: PLANES of them where nothing may be missing (GAPS false), else all four.
// Returns, per thread: without GAPS, whether something is missing, zero-weighted or out of range; with GAPS, 0 or
// BAD_PHASE or BAD_COHERENCE. The block must synchronise before it reads and before it fills again. While one row is
// worked on, the next one is on its way.
template <bool GAPS, int PLANES, bool INNER>
__device__ inline int fill(const Stack& stack, const Tile& tile, const float* phase, const float* coherence, Shared& shared) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, x = tile.left - LEFT + EACH * lane, bad = 0;
    int row = tile.top - HALF_WINDOW + warp;
    long long offset = static_cast<long long>(row) * stack.width + x, step = static_cast<long long>(WARPS) * stack.width;
    bool in[EACH], flaw = false;
#pragma unroll
    for (int i = 0; i < EACH; i++) in[i] = INNER || (x + i >= 0 && x + i < stack.width);
    Pixels next;
    next.read<INNER>(phase, coherence, offset, in, warp < tile.slots() && row >= 0 && row < stack.height);
    for (int slot = warp; slot < tile.slots(); slot += WARPS) {
        Pixels own = next;
        row += WARPS, offset += step;
        next.read<INNER>(phase, coherence, offset, in, slot + WARPS < tile.slots() && row >= 0 && row < stack.height);
        float re[EACH], im[EACH], number[EACH];
        if (GAPS) shared.there[slot][lane] = mend(own, stack.limit, number, bad);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            flaw = flaw || !(fabsf(own.value[i]) <= stack.limit);
            flaw = flaw || (COHERENT && own.there[i] && !(own.weight[i] >= TINY && own.weight[i] < COHERENCE_LIMIT));
            phasor(own.value[i], own.weight[i], re[i], im[i]);
        }
        sum_across(re, lane, shared.sums[RE][slot]);
        sum_across(im, lane, shared.sums[IM][slot]);
        if (GAPS || PLANES > 2) sum_across(own.weight, lane, shared.sums[WEIGHT][slot]);
        if (GAPS) sum_across(number, lane, shared.sums[NUMBER][slot]);
    }
    return GAPS ? bad : flaw;
}

// Fill the sums of a pair; true where the tile has gaps. Every thread of the block must call it.
template <int PLANES>
__device__ inline bool gather(const Stack& stack, const Tile& tile, size_t pair, Shared& shared, int* status) {
    size_t start = pair * stack.height * stack.width;
    const float *phase = stack.phase + start, *coherence = COHERENT ? stack.coherence + start : phase;
    __syncthreads();
    int flaw = tile.inner ? fill<false, PLANES, true>(stack, tile, phase, coherence, shared)
                          : fill<false, PLANES, false>(stack, tile, phase, coherence, shared);
    if (!__syncthreads_or(flaw)) return false;
    int bad = fill<true, 4, false>(stack, tile, phase, coherence, shared);
    if (bad) atomicMax(status, bad);
    __syncthreads();
    return true;
}

__device__ inline Shared& shared_memory() {
    extern __shared__ float4 memory[];
    return *reinterpret_cast<Shared*>(memory);
}

// A thread's way down a column: which one, which rows of the tile, and which edges are its own.
struct Way {
    int column, x, first, rows;
    unsigned edges;  // bit 2 i: from row i to the next; bit 2 i + 1: to the next column; 0 for what is outside the image
    bool owns;       // the column is of this tile and of the image; otherwise the lane only lends its sums

    __device__ Way(const Stack& stack, const Tile& tile) : edges(0) {
        int group = threadIdx.x / GROUP, place = threadIdx.x % GROUP, lane = place % 32;
        int own = place / 32 * STEPS + lane, each = (tile.rows + GROUPS - 1) / GROUPS;
        column = LEFT + min(own, COLUMNS);
        x = tile.left + own;
        first = group * each;
        rows = min(max(tile.rows - first, 0), each);
        owns = lane < STEPS && own < COLUMNS && x < stack.width;
        for (int i = 0; owns && i < rows; i++) {
            if (tile.top + first + i + 1 < stack.height) edges |= 1u << 2 * i;
            if (x + 1 < stack.width) edges |= 2u << 2 * i;
        }
    }
};
static_assert(ROWS <= 16, "edges are bits of a word");

// The sums of the windows of one column, row after row; added top to bottom.
template <int PLANES>
struct Column {
    float line[PLANES][WINDOW], z[PLANES];

    __device__ Column(const Shared& shared, const Way& way) {
#pragma unroll
        for (int plane = 0; plane < PLANES; plane++) {
#pragma unroll
            for (int k = 0; k < WINDOW; k++) line[plane][k] = shared.sums[plane][way.first + k][way.column];
        }
        add();
    }

    __device__ void add() {
#pragma unroll
        for (int plane = 0; plane < PLANES; plane++) {
            z[plane] = line[plane][0];
#pragma unroll
            for (int k = 1; k < WINDOW; k++) z[plane] += line[plane][k];
        }
    }

    // Go one row down; slot is the first row of the new window.
    __device__ void next(const Shared& shared, int column, int slot) {
#pragma unroll
        for (int plane = 0; plane < PLANES; plane++) {
#pragma unroll
            for (int k = 0; k < WINDOW - 1; k++) line[plane][k] = line[plane][k + 1];
            line[plane][WINDOW - 1] = shared.sums[plane][slot + WINDOW - 1][column];
        }
        add();
    }
};

__device__ inline bool is_there(const Shared& shared, int slot, int column) {
    return shared.there[slot][column / EACH] >> column % EACH & 1;
}

// One end of an edge in a tile with gaps: is its pixel there, does its window weigh anything, how many pixels it holds.
struct Hold {
    float number, possible;
    bool something;

    __device__ Hold(const Stack& stack, const Tile& tile, const Shared& shared, int row, int x, int column) {
        float weight = shared.sums[WEIGHT][row][column];
        number = shared.sums[NUMBER][row][column];
        for (int k = 1; k < WINDOW; k++) {
            weight += shared.sums[WEIGHT][row + k][column];
            number += shared.sums[NUMBER][row + k][column];
        }
        something = weight > TINY && is_there(shared, row + HALF_WINDOW, column);
        possible = inside(tile.top + row, stack.height) * inside(x, stack.width);
    }
};

__device__ inline bool is_edge(const Hold& here, const Hold& there, float min_weight) {
    return here.something && there.something && here.number + there.number >= min_weight * (here.possible + there.possible);
}

// Which of a thread's edges a pair with gaps has.
__device__ inline unsigned judge(const Stack& stack, const Tile& tile, const Shared& shared, const Way& way) {
    unsigned good = 0;
#pragma unroll 1
    for (int i = 0; i < way.rows; i++) {
        int row = way.first + i;
        Hold here(stack, tile, shared, row, way.x, way.column);
        Hold below(stack, tile, shared, row + 1, way.x, way.column);
        Hold right(stack, tile, shared, row, way.x + 1, way.column + 1);
        if (is_edge(here, below, stack.min_weight)) good |= 1u << 2 * i;
        if (is_edge(here, right, stack.min_weight)) good |= 2u << 2 * i;
    }
    return good & way.edges;
}

// ``next conj(here)``
__device__ inline void edge(float re, float im, float next_re, float next_im, float& dr, float& di) {
    dr = fmaf(im, next_im, re * next_re);
    di = fmaf(-im, next_re, re * next_im);
}

// Visit the good edges of a pair: sink.take<PLANES>(i, direction, here, there, possible_here, possible_there) for row i
// of the thread's way; direction 0 leads to the next row, 1 to the next column; here and there are the sums at both
// ends, possible the pixels their windows could hold.
//
// Only where GUARDED: otherwise all edges, also those that nobody owns, whose results nobody looks at.
template <int PLANES, bool GUARDED, class Sink>
__device__ inline void visit(const Stack& stack, const Tile& tile, const Shared& shared, const Way& way, unsigned good,
                             Sink& sink) {
    if (way.rows == 0) return;
    Column<PLANES> column(shared, way);
    float wide = inside(way.x, stack.width), wide_right = inside(way.x + 1, stack.width);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        if (i >= way.rows) break;
        int row = tile.top + way.first + i;
        float high = inside(row, stack.height), high_below = inside(row + 1, stack.height);
        float here[PLANES], right[PLANES];
#pragma unroll
        for (int plane = 0; plane < PLANES; plane++) {
            here[plane] = column.z[plane];
            right[plane] = __shfl_down_sync(EVERY, here[plane], 1);
        }
        column.next(shared, way.column, way.first + i + 1);
        if (!GUARDED || good >> 2 * i & 1) sink.template take<PLANES>(i, 0, here, column.z, high * wide, high_below * wide);
        if (!GUARDED || good >> 2 * i & 2) sink.template take<PLANES>(i, 1, here, right, high * wide, high * wide_right);
    }
}
