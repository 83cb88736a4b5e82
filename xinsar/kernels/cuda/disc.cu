// Gi* over one disc, disk.py: the same whole numbers, so the same sums in whatever order they are added.
//
// A block owns a strip of COLUMNS columns and walks down it. A pixel is read once, apart from the halo of a strip and of a
// tile, and becomes a word: its whole number above SHIFT bits that count it. The sum of a disc is not added up anew for
// each pixel: from one row to the next it gains the lower edge of the disc and loses the upper one. A thread holds two
// columns; each new row is cut into rings, columns at the same distances from the thread's own, and ring i joins the
// disc whose centre is i rows above and leaves the one below that. These changes of the next discs wait in registers.
//
// Set by source.py: VALUE, THREADS, BLOCKS, REACH (rows below the centre), WIDE (columns beside it), HALF_WIDTHS, SHIFT, PIXELS
// of the disc, and ROWS, read at once.

using Word = unsigned long long;

enum { COLUMNS = 2 * THREADS, LEFT = (WIDE + 1) / 2 * 2, LOADED = COLUMNS + 2 * LEFT, AHEAD = 2 * REACH + 2 };
enum { SIDE = ROWS * 2 * LEFT, SIDES = (SIDE + THREADS - 1) / THREADS };  // pixels beside the strip; those of a thread
constexpr double ROUND = 6755399441055744.0;                              // 1.5 * 2^52

__device__ constexpr int half_width[REACH + 2] = {HALF_WIDTHS, -1};

struct alignas(16) Words { Word first, second; };
struct alignas(16) Root { double size, inverse; };  // what z divides by, and one divided by that
struct alignas(2 * sizeof(VALUE)) Scores { VALUE first, second; };

struct Shared {
    Word words[2][ROWS][LOADED];
    Root roots[PIXELS + 1];
};
static_assert(sizeof(Shared) == SHARED_BYTES, "launch.py asks for what a strip needs");

// A column of the image, from a row on; what lies outside is NaN.
struct Column {
    const VALUE* first;
    bool inside;

    __device__ Column() {}
    __device__ Column(const VALUE* values, int y, int x, int width)
        : first(values + static_cast<long long>(y) * width + x), inside(x >= 0 && x < width) {}
    __device__ VALUE at(int row, int width, bool there) const {
        return inside && there ? first[row * width] : static_cast<VALUE>(nanf(""));
    }
};

// The pixels of a thread in ROWS rows: two of each row of the strip, and its share of those beside the strip.
struct Pixels {
    Column own[2], beside[SIDES];
    VALUE held[ROWS][2], held_beside[SIDES];
    int y, height, width;

    // The row and the column, in shared memory, of a pixel beside the strip.
    __device__ static int row(int k) { return (threadIdx.x + k * THREADS) / (2 * LEFT); }
    __device__ static int column(int k) {
        int place = (threadIdx.x + k * THREADS) % (2 * LEFT);
        return place < LEFT ? place : place + COLUMNS;
    }

    __device__ Pixels(const VALUE* values, int first, int left, int high, int wide) : y(first), height(high), width(wide) {
        for (int half = 0; half < 2; half++)
            own[half] = Column(values, y, left + static_cast<int>(threadIdx.x) + half * THREADS, width);
        for (int k = 0; k < SIDES; k++) beside[k] = Column(values, y + row(k), left + column(k) - LEFT, width);
    }

    __device__ void read() {
#pragma unroll
        for (int u = 0; u < ROWS; u++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                held[u][half] = own[half].at(u, width, static_cast<unsigned>(y + u) < static_cast<unsigned>(height));
#pragma unroll
        for (int k = 0; k < SIDES; k++) {
            bool there = row(k) < ROWS && static_cast<unsigned>(y + row(k)) < static_cast<unsigned>(height);
            held_beside[k] = beside[k].at(0, width, there);
        }
        y += ROWS;
        for (int half = 0; half < 2; half++) own[half].first += ROWS * width;
        for (int k = 0; k < SIDES; k++) beside[k].first += ROWS * width;
    }

    __device__ static Word word(VALUE value, double mean, double unit) {
        Word whole = __double_as_longlong(fma(static_cast<double>(value) - mean, unit, ROUND)) - 0x4338000000000000LL;
        return value == value ? (whole << SHIFT) | 1 : 0;
    }

    __device__ void keep(Word (&words)[ROWS][LOADED], double mean, double unit) const {
#pragma unroll
        for (int u = 0; u < ROWS; u++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                words[u][LEFT + threadIdx.x + half * THREADS] = word(held[u][half], mean, unit);
#pragma unroll
        for (int k = 0; k < SIDES; k++)
            if (row(k) < ROWS) words[row(k)][column(k)] = word(held_beside[k], mean, unit);
    }
};

// Two columns of discs on their way down.
struct Discs {
    Word total[2], change[2][AHEAD];  // change[k]: between the discs k and k - 1 rows below that of the last total
    unsigned there[2];                // the pixels of the last rows, a bit each

    // Sum of the columns of ring i, around column c: those in the disc's row i but not in its row i + 1.
    template <int SIZE>
    __device__ static Word ring(const Word (&row)[SIZE], int i, int c) {
        Word sum = half_width[i + 1] < 0 ? row[LEFT + c] : 0;
#pragma unroll
        for (int j = 1; j <= WIDE; j++)
            if (j > half_width[i + 1] && j <= half_width[i]) sum += row[LEFT + c - j] + row[LEFT + c + j];
        return sum;
    }

    __device__ void add(const Word (&words)[LOADED]) {
        Word row[2 * LEFT + 2];
#pragma unroll
        for (int k = 0; k <= LEFT; k++) {
            Words two = reinterpret_cast<const Words*>(words)[threadIdx.x + k];
            row[2 * k] = two.first, row[2 * k + 1] = two.second;
        }
#pragma unroll
        for (int c = 0; c < 2; c++) {
            there[c] = __funnelshift_r(there[c], static_cast<unsigned>(row[LEFT + c]), 1);
#pragma unroll
            for (int i = 0; i <= REACH; i++) {
                if (half_width[i] == half_width[i + 1]) continue;
                Word sum = ring(row, i, c);
                change[c][REACH - i] += sum;
                change[c][REACH + 1 + i] -= sum;
            }
            total[c] += change[c][0];
#pragma unroll
            for (int k = 0; k + 1 < AHEAD; k++) change[c][k] = change[c][k + 1];
            change[c][AHEAD - 1] = 0;
        }
    }

    // Quotients are corrected by their remainders until they are rounded as a division rounds.
    __device__ VALUE score(int c, const Root* roots) const {
        Root root = roots[total[c] & ((1u << SHIFT) - 1)];
        double sum = static_cast<double>(static_cast<long long>(total[c]) >> SHIFT);
        double z = sum * root.inverse;
        z = fma(fma(-z, root.size, sum), root.inverse, z);
        z = fma(fma(-z, root.size, sum), root.inverse, z);
        return there[c] & (0x80000000u >> REACH) ? static_cast<VALUE>(z) : static_cast<VALUE>(nanf(""));
    }
};

// Two scores of a row, together where rows hold an even number of pixels.
__device__ inline void write(VALUE* at, int left, VALUE first, VALUE second) {
    if (EVEN) {
        if (left > 0) *reinterpret_cast<Scores*>(at) = {first, second};
    } else {
        if (left > 0) at[0] = first;
        if (left > 1) at[1] = second;
    }
}

__device__ inline Shared& shared_memory() {
    extern __shared__ float4 memory[];
    return *reinterpret_cast<Shared*>(memory);
}

// scales: mean and power of two of every plane; roots: those of every plane, PIXELS + 1 each.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
gi_star(const VALUE* __restrict__ values, const double* __restrict__ scales, const double* __restrict__ roots, int planes,
        int height, int width, int tile_rows, VALUE* __restrict__ out) {
    Shared& shared = shared_memory();
    size_t size = static_cast<size_t>(height) * width;
    int top = blockIdx.y * tile_rows, bottom = min(top + tile_rows, height), left = blockIdx.x * COLUMNS;
    int x = left + 2 * threadIdx.x;
    for (int plane = blockIdx.z; plane < planes; plane += gridDim.z) {
        double mean = scales[2 * plane], unit = scales[2 * plane + 1];
        const Root* root = reinterpret_cast<const Root*>(roots) + static_cast<size_t>(plane) * (PIXELS + 1);
        for (int k = threadIdx.x; k <= PIXELS; k += THREADS) shared.roots[k] = root[k];
        VALUE* own = out + plane * size + static_cast<long long>(top - 2 * REACH) * width + x;
        Discs discs = {};
        Pixels pixels(values + plane * size, top - REACH, left, height, width);
        pixels.read();
        pixels.keep(shared.words[0], mean, unit);
        __syncthreads();
        int turn = 0;
        for (int first = top - REACH; first < bottom + REACH; first += ROWS, turn = 1 - turn) {
            pixels.read();
#pragma unroll
            for (int u = 0; u < ROWS; u++) {
                discs.add(shared.words[turn][u]);
                int y = first + u - REACH;
                if (y >= top && y < bottom)
                    write(own + u * width, width - x, discs.score(0, shared.roots), discs.score(1, shared.roots));
            }
            own += ROWS * width;
            pixels.keep(shared.words[1 - turn], mean, unit);
            __syncthreads();
        }
    }
}
