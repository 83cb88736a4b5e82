// Gi* over any discs, disk.py: a running sum along each row, in memory, and two ends of it for each row of a disc.
//
// Running sums are whole numbers and may pass 2^64: their differences do not mind.
// Set by source.py: VALUE, THREADS, EACH (pixels of a thread in a row), and BOTH, COUNT and TOTAL, what the sums hold.

using Word = unsigned long long;

enum { WARPS = THREADS / 32, TILE = 32 };  // warps; rows of pixels that a block sums up discs for
enum : unsigned { EVERY = 0xffffffffu };
constexpr double ROUND = 6755399441055744.0;  // 1.5 * 2^52

struct Shared {
    Word sums[WARPS];
};

__device__ inline Shared& shared_memory() {
    extern __shared__ float4 memory[];
    return *reinterpret_cast<Shared*>(memory);
}

__device__ inline Word word(VALUE value, double mean, double unit, int shift, int what) {
    Word whole = __double_as_longlong(fma(static_cast<double>(value) - mean, unit, ROUND)) - 0x4338000000000000LL;
    Word counted = what == COUNT ? 1 : (whole << shift) + (what == BOTH);
    return value == value ? counted : 0;
}

// Sum of the values of the threads before this one; total: of all.
__device__ inline Word before(Word value, Word& total) {
    Shared& shared = shared_memory();
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Word sum = value;
    for (int by = 1; by < 32; by *= 2) {
        Word other = __shfl_up_sync(EVERY, sum, by);
        sum += lane >= by ? other : 0;
    }
    if (lane == 31) shared.sums[warp] = sum;
    __syncthreads();
    Word ahead = 0;
    total = 0;
    for (int k = 0; k < WARPS; k++) {
        ahead += k < warp ? shared.sums[k] : 0;
        total += shared.sums[k];
    }
    __syncthreads();
    return ahead + sum - value;
}

// Rows [first, first + grid) of the image; along: width + 1 numbers a row, the first of them 0.
extern "C" __global__ void __launch_bounds__(THREADS)
running_sums(const VALUE* __restrict__ values, int width, int first, int what, int shift, double mean, double unit,
             Word* __restrict__ along) {
    const VALUE* row = values + (static_cast<size_t>(first) + blockIdx.x) * width;
    Word* to = along + static_cast<size_t>(blockIdx.x) * (width + 1);
    if (threadIdx.x == 0) to[0] = 0;
    Word carried = 0, total;
    for (int start = 0; start < width; start += THREADS * EACH) {
        int x = start + threadIdx.x * EACH;
        Word own[EACH], sum = 0;
        for (int k = 0; k < EACH; k++) {
            own[k] = x + k < width ? word(row[x + k], mean, unit, shift, what) : 0;
            sum += own[k];
        }
        Word here = carried + before(sum, total);
        for (int k = 0; k < EACH; k++) {
            here += own[k];
            if (x + k < width) to[x + k + 1] = here;
        }
        carried += total;
    }
}

// A disc around (y, x) in rows [start, stop), of which along holds the running sums.
__device__ inline Word disc(const Word* along, const int* half_width, int reach, int y, int x, int start, int stop, int width) {
    Word sum = 0;
    for (int at = max(y - reach, start); at < min(y + reach + 1, stop); at++) {
        int half = half_width[at < y ? y - at : at - y];
        if (half < 0) continue;
        const Word* row = along + static_cast<size_t>(at - start) * (width + 1);
        sum += row[min(x + half + 1, width)] - row[max(x - half, 0)];
    }
    return sum;
}

__device__ inline double z_score(double total, double w, double n, double std) {
    double room = n * w - w * w;
    bool sound = room > 0.0 && std > 0.0 && n > 1.0;
    return sound ? total / (std * sqrt(room / (n - 1.0))) : nan("");
}

// Rows [begin, end); counts: those of the rows, written or read; table: half-widths of every kind, reach + 1 each.
extern "C" __global__ void __launch_bounds__(THREADS)
gi_star_rows(const VALUE* __restrict__ values, const Word* __restrict__ along, const int* __restrict__ kinds,
             const int* __restrict__ table, int reach, int width, int begin, int end, int start, int stop, int what,
             int shift, double back, double n, double std, int* counts, VALUE* __restrict__ out) {
    int x = blockIdx.x * 32 + threadIdx.x % 32;
    if (x >= width) return;
    for (int k = threadIdx.x / 32; k < TILE; k += WARPS) {
        int y = begin + static_cast<int>(blockIdx.y) * TILE + k;
        if (y >= end) return;
        Word total = disc(along, table + kinds[y] * (reach + 1), reach, y, x, start, stop, width);
        size_t own = static_cast<size_t>(y - begin) * width + x, place = static_cast<size_t>(y) * width + x;
        if (what == COUNT) {
            counts[own] = static_cast<int>(total);
            continue;
        }
        int count = what == BOTH ? static_cast<int>(total & ((Word(1) << shift) - 1)) : counts[own];
        double sum = static_cast<double>(static_cast<long long>(total) >> shift);
        double z = z_score(sum * back, count, n, std);
        VALUE value = values[place];
        out[place] = value == value ? static_cast<VALUE>(z) : static_cast<VALUE>(nanf(""));
    }
}
