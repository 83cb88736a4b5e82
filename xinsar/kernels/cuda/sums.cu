// Exact sums, exact.py: values cut into slices of SLICE bits on the lattice of powers of two that starts at slice -ZERO.
//
// Each warp takes EACH values a lane at a time, finds the largest, and takes slice after slice from all of them until
// nothing is left; whole numbers are added, so neither warps nor blocks nor their order change the sums. A block sees
// at most 2^21 values, so that its sums of slices fit 64 bits; blocks are joined in two halves of 32 bits.
//
// Set by source.py: VALUE, THREADS, EACH, DOUBLE (squares of VALUE need two float64), SLICE, ZERO and SLICES.

using Word = unsigned long long;

enum { SEGMENT = 32 * EACH };
enum : unsigned { EVERY = 0xffffffffu };
constexpr long long MAGNITUDE = 0x7fffffffffffffffLL;
constexpr double ROUND = 6755399441055744.0;         // 1.5 * 2^52: added and taken away it rounds to a whole number
constexpr double UP = static_cast<double>(1LL << SLICE), DOWN = 1.0 / UP;

struct Found {
    Word count, infinite;
    long long low, high;              // as ordered integers
    Word parts[2][2][SLICES];         // values, squares; low 32 bits, the rest
};

struct Shared {
    Word bins[2][SLICES];  // values, squares
};

__device__ inline Shared& shared_memory() {
    extern __shared__ float4 memory[];
    return *reinterpret_cast<Shared*>(memory);
}

template <class T, class Join>
__device__ inline T over_warp(T value, Join join) {
    for (int by = 16; by > 0; by /= 2) value = join(value, __shfl_xor_sync(EVERY, value, by));
    return value;
}

__device__ inline double power_of_two(int exponent) {
    return __longlong_as_double(static_cast<long long>(exponent + 1023) << 52);
}

// A number as an integer that is ordered alike.
__device__ inline long long ordered(double value) {
    long long bits = __double_as_longlong(value);
    return bits ^ ((bits >> 63) & MAGNITUDE);
}

// Take all slices out of the values, which lie below 2^SLICE in units of slice top.
__device__ inline void cut(double (&rest)[EACH], int top, Word* bins) {
    for (bool left = true; left && top + ZERO >= 0; top--) {
        Word total = 0;
        bool more = false;
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            double shifted = rest[e] + ROUND;
            total += __double_as_longlong(shifted) - 0x4338000000000000LL;
            rest[e] = (rest[e] - (shifted - ROUND)) * UP;
            more |= rest[e] != 0.0;
        }
        total = over_warp(total, [](Word a, Word b) { return a + b; });
        if (threadIdx.x % 32 == 0 && total) atomicAdd(&bins[top + ZERO], total);
        left = __any_sync(EVERY, more);
    }
}

// The values of a lane, 0 where they are missing, and what is known of all values it saw.
struct Lane {
    double values[EACH];
    unsigned count;
    VALUE low, high;

    // Read the lane's part of a segment; the exponent of its largest value, as it stands in the bits of a float64.
    __device__ int read(const VALUE* from, long long left) {
        VALUE large = 0;
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            long long place = threadIdx.x % 32 + 32 * e;
            VALUE value = place < left ? from[place] : static_cast<VALUE>(nanf(""));
            bool valid = value == value;
            values[e] = valid ? static_cast<double>(value) : 0.0;
            count += valid;
            low = fmin(low, value), high = fmax(high, value);  // where one is missing they take the other
            large = fmax(large, fabs(value));
        }
        return static_cast<int>(__double_as_longlong(static_cast<double>(large)) >> 52);
    }

    __device__ void add(int exponent, Word (&bins)[2][SLICES]) {
        int above = max(exponent - 1022, -24 * SLICE);
        int top = above > 0 ? (above + SLICE - 1) / SLICE : -(-above / SLICE);
        double scale = power_of_two(SLICE - SLICE * top), squares[EACH], rounding[EACH];
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            values[e] *= scale;
            double square = values[e] * values[e];
            rounding[e] = fma(values[e], values[e], -square) * DOWN;
            squares[e] = square * DOWN;
        }
        cut(values, top - 1, bins[0]);
        cut(squares, 2 * top - 1, bins[1]);
        if (DOUBLE) cut(rounding, 2 * top - 1, bins[1]);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
exact_sums(const VALUE* __restrict__ values, long long size, Found* found) {
    Shared& shared = shared_memory();
    for (int k = threadIdx.x; k < 2 * SLICES; k += THREADS) shared.bins[k / SLICES][k % SLICES] = 0;
    __syncthreads();
    VALUE most = static_cast<VALUE>(power_of_two(1024));  // infinite
    Lane lane = {{}, 0, most, -most};
    long long warp = (static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x) / 32;
    long long step = static_cast<long long>(gridDim.x) * (THREADS / 32) * SEGMENT;
    for (long long first = warp * SEGMENT; first < size; first += step) {
        int exponent = over_warp(lane.read(values + first, size - first), [](int a, int b) { return max(a, b); });
        if (exponent < 0x7ff) {
            lane.add(exponent, shared.bins);
        } else if (threadIdx.x % 32 == 0) {
            atomicAdd(&found->infinite, Word(1));
        }
    }
    Word count = over_warp(lane.count, [](unsigned a, unsigned b) { return a + b; });
    VALUE low = over_warp(lane.low, [](VALUE a, VALUE b) { return a < b ? a : b; });
    VALUE high = over_warp(lane.high, [](VALUE a, VALUE b) { return a > b ? a : b; });
    if (threadIdx.x % 32 == 0) {
        atomicAdd(&found->count, count);
        atomicMin(&found->low, ordered(low));
        atomicMax(&found->high, ordered(high));
    }
    __syncthreads();
    for (int k = threadIdx.x; k < 2 * SLICES; k += THREADS) {
        long long sum = shared.bins[k / SLICES][k % SLICES];
        if (sum == 0) continue;
        atomicAdd(&found->parts[k / SLICES][0][k % SLICES], static_cast<Word>(sum) & EVERY);
        atomicAdd(&found->parts[k / SLICES][1][k % SLICES], static_cast<Word>(sum >> 32));
    }
}
