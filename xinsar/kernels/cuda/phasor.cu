// Coherence-weighted phasors and their window sums on a GPU: phasor.py, the same operations in the same order.
//
// A block owns a tile of COLUMNS x up to GROUPS * ROWS pixels. For each pair its warps read rows of LOADED pixels (four a lane),
// turn them into phasors, sum them across the window by shuffles and leave the row sums in shared memory; then each
// thread walks down a column of ROWS pixels and adds up the rows. So phase and coherence are read once, apart from the
// halo, and nothing between them and the result touches global memory.
//
// Compiled with -fmad=false: a fused multiply-add is written fmaf, as in the CPU kernels, and rounds as there.
// Set by source.py: WINDOW, ROWS, COHERENT and HEIGHT, the shape of tiles, and the numbers of phasor.py and rate.py.

enum { HALF_WINDOW = WINDOW / 2, GROUP = THREADS / GROUPS, WARPS = THREADS / 32, SLOTS = GROUPS * ROWS + WINDOW };
enum { RIGHT = LOADED - LEFT - COLUMNS };
enum { STEPS = 31 };                  // columns of a warp on its way down; its last lane lends its sum to its neighbour
enum { RE, IM, WEIGHT, NUMBER };      // the four planes of sums
enum : unsigned { EVERY = 0xffffffffu };

static_assert(LEFT >= HALF_WINDOW && RIGHT > HALF_WINDOW && COLUMNS > 0, "a warp's row holds every window it sums");
static_assert(LOADED == 128 && LEFT % 4 == 0 && COLUMNS % 4 == 0, "a lane reads four aligned pixels");
static_assert(COLUMNS <= GROUP / 32 * STEPS, "every column of a tile has a thread");

struct Stack {
    const float* phase;
    const float* coherence;
    int height, width;
    float limit, min_weight;
};

struct Tile {
    int top, left, rows;  // first row and column, number of rows
    __device__ int slots() const { return rows + WINDOW; }
};

struct Shared {
    float sums[4][SLOTS][LOADED];
    unsigned char there[SLOTS][LOADED / 4];  // four pixels a byte
};
static_assert(sizeof(Shared) == SHARED_BYTES, "source.py asks for what a tile needs");

__device__ inline void phasor(float phase, float weight, float& re, float& im) {
    float biased = fmaf(phase, INV_PI, ROUND);
    float turns = biased - ROUND;
    float rest = fmaf(-turns, PI_LOW, fmaf(-turns, PI_HIGH, phase));
    float square = rest * rest;
    float sine = fmaf(fmaf(fmaf(S4, square, S3), square, S2), square, S1);
    sine = fmaf(sine * square, rest, rest);
    float cosine = fmaf(fmaf(fmaf(C4, square, C3), square, C2), square, C1);
    cosine = fmaf(cosine * square, square, fmaf(-0.5f, square, 1.0f));
    float sign = __int_as_float(__float_as_int(weight) ^ static_cast<int>(__float_as_uint(biased) << 31));
    re = sign * cosine;
    im = sign * sine;
}

__device__ inline float angle(float re, float im) {
    float width = fabsf(re), height = fabsf(im);
    float larger = height > width ? height : width;
    float smaller = height > width ? width : height;
    float t = larger > 0.0f ? smaller / larger : 0.0f;
    float square = t * t;
    float curve = fmaf(fmaf(fmaf(A7, square, A6), square, A5), square, A4);
    curve = fmaf(fmaf(fmaf(curve, square, A3), square, A2), square, A1);
    float result = fmaf(curve * square, t, t);
    result = height > width ? HALF_PI - result : result;
    result = re < 0.0f ? PI_HIGH - result : result;
    return im < 0.0f ? -result : result;
}

// How many of the 2 HALF_WINDOW + 1 neighbours of an index lie within length.
__device__ inline float inside(int index, int length) {
    return static_cast<float>(min(index + HALF_WINDOW, length - 1) - max(index - HALF_WINDOW, 0) + 1);
}

// Four pixels of a row from column x on; 0 outside.
__device__ inline void read_four(const float* row, int x, int width, bool aligned, float (&value)[4]) {
    if (aligned) {
        float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (x >= 0 && x < width) four = *reinterpret_cast<const float4*>(row + x);
        value[0] = four.x, value[1] = four.y, value[2] = four.z, value[3] = four.w;
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) value[i] = x + i >= 0 && x + i < width ? row[x + i] : 0.0f;
}

// Sum WINDOW neighbours along x, left to right, of the four pixels a lane holds, and leave them in shared memory.
// Sums that reach beyond the 128 pixels of the warp are wrong; nobody reads them.
__device__ inline void sum_across(const float (&own)[4], int lane, float* row) {
    float line[4 + 2 * HALF_WINDOW];
#pragma unroll
    for (int i = 0; i < 4; i++) line[HALF_WINDOW + i] = own[i];
#pragma unroll
    for (int i = 1; i <= HALF_WINDOW; i++) {
        int lanes = (i + 3) / 4;
        line[HALF_WINDOW - i] = __shfl_sync(EVERY, own[4 * lanes - i], (lane - lanes) & 31);
        line[HALF_WINDOW + 3 + i] = __shfl_sync(EVERY, own[(i - 1) % 4], (lane + lanes) & 31);
    }
    float total[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        total[i] = line[i];
#pragma unroll
        for (int k = 1; k < WINDOW; k++) total[i] += line[i + k];
    }
    *reinterpret_cast<float4*>(row + 4 * lane) = make_float4(total[0], total[1], total[2], total[3]);
}

// Fill the row sums of one pair: PLANES of them where nothing may be missing (GAPS false), else all four.
// Returns, per thread: without GAPS, whether something is missing, zero-weighted or out of range; with GAPS, 0 or
// BAD_PHASE or BAD_COHERENCE. The block must synchronise before it reads and before it fills again.
template <bool GAPS, int PLANES>
__device__ inline int fill(const Stack& stack, const Tile& tile, size_t pair, Shared& shared) {
    int lane = threadIdx.x % 32, x = tile.left - LEFT + 4 * lane;
    size_t plane = static_cast<size_t>(stack.height) * stack.width;
    const float* phase = stack.phase + pair * plane;
    const float* coherence = COHERENT ? stack.coherence + pair * plane : phase;
    bool aligned = stack.width % 4 == 0 && (reinterpret_cast<size_t>(phase) | reinterpret_cast<size_t>(coherence)) % 16 == 0;
    bool far = false, wrong = false;
    for (int slot = threadIdx.x / 32; slot < tile.slots(); slot += WARPS) {
        int row = tile.top - HALF_WINDOW + slot;
        float value[4] = {}, weight[4] = {}, re[4], im[4], number[4] = {};
        unsigned char bits = 0;
        bool within = row >= 0 && row < stack.height;
        if (within) {
            size_t start = static_cast<size_t>(row) * stack.width;
            read_four(phase + start, x, stack.width, aligned, value);
            if (COHERENT) read_four(coherence + start, x, stack.width, aligned, weight);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            bool in = within && x + i >= 0 && x + i < stack.width;
            if (!COHERENT) weight[i] = in ? 1.0f : 0.0f;
            if (GAPS) {
                in = in && value[i] == value[i] && weight[i] == weight[i];
                far = far || (in && !(fabsf(value[i]) <= stack.limit));
                wrong = wrong || (in && !(fabsf(weight[i] - 0.5f) <= HALF_COHERENCE));
                value[i] = in ? value[i] : 0.0f;
                weight[i] = in ? weight[i] : 0.0f;
                number[i] = in ? 1.0f : 0.0f;
                bits |= static_cast<unsigned char>(in ? 1 << i : 0);
            } else {
                far = far || !(fabsf(value[i]) <= stack.limit);
                if (COHERENT) wrong = wrong || (in && !(weight[i] > 0.0f && weight[i] <= COHERENCE_LIMIT));
            }
            phasor(value[i], weight[i], re[i], im[i]);
        }
        sum_across(re, lane, shared.sums[RE][slot]);
        sum_across(im, lane, shared.sums[IM][slot]);
        if (GAPS || PLANES > 2) sum_across(weight, lane, shared.sums[WEIGHT][slot]);
        if (GAPS) {
            sum_across(number, lane, shared.sums[NUMBER][slot]);
            shared.there[slot][lane] = bits;
        }
    }
    if (!GAPS) return far || wrong;
    return wrong ? BAD_COHERENCE : far ? BAD_PHASE : 0;
}

// Fill the sums of a pair; true where the tile has gaps. Every thread of the block must call it.
template <int PLANES>
__device__ inline bool gather(const Stack& stack, const Tile& tile, size_t pair, Shared& shared, int* status) {
    __syncthreads();
    if (!__syncthreads_or(fill<false, PLANES>(stack, tile, pair, shared))) return false;
    int bad = fill<true, 4>(stack, tile, pair, shared);
    if (bad) atomicMax(status, bad);
    __syncthreads();
    return true;
}

__device__ inline Shared& shared_memory() {
    extern __shared__ float4 memory[];
    return *reinterpret_cast<Shared*>(memory);
}

// A thread's way down a column: which one, and which rows of the tile.
struct Way {
    int column, x, first, rows;
    bool owns;  // the pixel is of this tile and of the image; otherwise the lane only lends its sum

    __device__ Way(const Stack& stack, const Tile& tile) {
        int group = threadIdx.x / GROUP, place = threadIdx.x % GROUP, lane = place % 32;
        int own = place / 32 * STEPS + lane, each = (tile.rows + GROUPS - 1) / GROUPS;
        column = LEFT + min(own, COLUMNS);
        x = tile.left + own;
        first = group * each;
        rows = min(max(tile.rows - first, 0), each);
        owns = lane < STEPS && own < COLUMNS && x < stack.width;
    }
};

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
    return shared.there[slot][column / 4] >> column % 4 & 1;
}

// ``next conj(here)``
__device__ inline void edge(float re, float im, float next_re, float next_im, float& dr, float& di) {
    dr = fmaf(im, next_im, re * next_re);
    di = fmaf(-im, next_re, re * next_im);
}

// One end of an edge: the window sums there.
struct End {
    float re, im, weight, number;
};

template <int PLANES>
__device__ inline End end_of(const float (&z)[PLANES]) {
    return {z[RE], z[IM], PLANES > WEIGHT ? z[PLANES > WEIGHT ? int(WEIGHT) : 0] : 0.0f,
            PLANES > NUMBER ? z[PLANES > NUMBER ? int(NUMBER) : 0] : 0.0f};
}

template <int PLANES>
__device__ inline End from_right(const End& here, int lane) {
    int source = (lane + 1) & 31;
    End right = {__shfl_sync(EVERY, here.re, source), __shfl_sync(EVERY, here.im, source), 0.0f, 0.0f};
    if (PLANES > WEIGHT) right.weight = __shfl_sync(EVERY, here.weight, source);
    if (PLANES > NUMBER) right.number = __shfl_sync(EVERY, here.number, source);
    return right;
}

// Visit every edge of a pair: sink.take<GAPS>(i, direction, here, there, possible, good) for row i of the thread's way;
// direction 0 leads to the next row, 1 to the next column; possible holds the pixels either window could hold.
template <bool GAPS, int PLANES, class Sink>
__device__ inline void visit(const Stack& stack, const Tile& tile, const Shared& shared, const Way& way, Sink& sink) {
    if (way.rows == 0) return;
    int lane = threadIdx.x % 32;
    Column<PLANES> column(shared, way);
    float wide = inside(way.x, stack.width), wide_right = inside(way.x + 1, stack.width);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        if (i >= way.rows) break;
        int row = tile.top + way.first + i, centre = way.first + i + HALF_WINDOW;
        float high = inside(row, stack.height), high_below = inside(row + 1, stack.height);
        End here = end_of<PLANES>(column.z), right = from_right<PLANES>(here, lane);
        column.next(shared, way.column, way.first + i + 1);
        End below = end_of<PLANES>(column.z);
        bool down = way.owns && row + 1 < stack.height, across = way.owns && way.x + 1 < stack.width;
        bool good_down = true, good_across = true;
        if (GAPS) {
            bool mine = is_there(shared, centre, way.column), something = here.weight > 0.0f;
            good_down = mine && something && is_there(shared, centre + 1, way.column) && below.weight > 0.0f
                && here.number + below.number >= stack.min_weight * ((high + high_below) * wide);
            good_across = mine && something && is_there(shared, centre, way.column + 1) && right.weight > 0.0f
                && here.number + right.number >= stack.min_weight * (high * (wide + wide_right));
        }
        if (down) sink.template take<GAPS, PLANES>(i, 0, here, below, high * wide, high_below * wide, good_down);
        if (across) sink.template take<GAPS, PLANES>(i, 1, here, right, high * wide, high * wide_right, good_across);
    }
}
