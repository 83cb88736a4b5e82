// Kernel density of pixels on their own grid, density.py: the same sums in the same order.
//
// A block owns a strip of THREADS columns and walks down it. A row is read once, apart from the halo; each thread keeps
// the densities of its column that are not complete, from REACH rows above to REACH below, and adds the row to them: the
// three sums of density.py over columns left and right, as far as the chord of each row it is added to.
//
// Set by source.py: VALUE, THREADS, POWER, and IN_MEMORY, where so many densities find no room on the multiprocessor.

struct Strip {
    const VALUE* values;
    int height, width, left;

    // A pixel, 0 where it is missing or outside.
    __device__ double at(int y, int x) const {
        bool inside = y >= 0 && y < height && x >= 0 && x < width;
        VALUE value = inside ? values[static_cast<size_t>(y) * width + x] : static_cast<VALUE>(0);
        return value == value ? static_cast<double>(value) : 0.0;
    }
};

// The densities of a column, row after row; THREADS columns lie beside each other.
struct Ring {
    double* first;
    int slots;

    __device__ double& at(int slot) const { return first[static_cast<size_t>(slot) * THREADS]; }
    __device__ int wrapped(int slot) const { return slot < 0 ? slot + slots : slot >= slots ? slot - slots : slot; }
};

// Add the row of pixels around `middle`, of dy by dx, to the densities around the one in `slot`.
__device__ inline void spread(const double* middle, double dy, double dx, int reach, int across, int slot, const Ring& ring) {
    double sum = middle[0], once = 0.0, twice = 0.0;
    int d = 0;
    for (int k = reach; k >= 0; k--) {
        double room = 1.0 - (k * dy) * (k * dy);
        if (room <= 0.0) continue;
        while (d < across && room - ((d + 1) * dx) * ((d + 1) * dx) > 0.0) {
            d++;
            double square = (d * dx) * (d * dx), both = middle[-d] + middle[d], weighted = square * both;
            sum += both;
            once += weighted;
            twice = fma(square, weighted, twice);
        }
        double c0 = POWER == 2 ? room * room : room, c1 = POWER == 2 ? -2.0 * room : -1.0, c2 = POWER == 2 ? 1.0 : 0.0;
        double term = fma(c0, sum, fma(c1, once, c2 * twice));
        ring.at(ring.wrapped(slot - k)) += term;
        if (k > 0) ring.at(ring.wrapped(slot + k)) += term;
    }
}

__device__ inline double* shared_memory() {
    extern __shared__ float4 memory[];
    return reinterpret_cast<double*>(memory);
}

// present: planes that have a density, the others are left alone; dy, dx: sizes of the image's rows; rows: which of them.
extern "C" __global__ void __launch_bounds__(THREADS)
convolve(const VALUE* __restrict__ values, const int* __restrict__ present, const int* __restrict__ rows,
         const double* __restrict__ dy, const double* __restrict__ dx, int planes, int height, int width, int reach,
         int across, int tile_rows, double scale, double* __restrict__ memory_ring, VALUE* __restrict__ out) {
    int top = blockIdx.y * tile_rows, bottom = min(top + tile_rows, height), left = blockIdx.x * THREADS;
    int slots = 2 * reach + 1, loaded = THREADS + 2 * across, x = left + threadIdx.x;
    double* line = shared_memory();
    size_t block = (static_cast<size_t>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    Ring ring = {(IN_MEMORY ? memory_ring + block * slots * THREADS : line + loaded) + threadIdx.x, slots};
    for (int plane = blockIdx.z; plane < planes; plane += gridDim.z) {
        if (!present[plane]) continue;
        size_t start = static_cast<size_t>(plane) * height * width;
        Strip strip = {values + start, height, width, left};
        for (int slot = 0; slot < slots; slot++) ring.at(slot) = 0.0;
        int slot = 0;
        for (int y = top - reach; y < bottom + reach; y++) {
            if (y >= 0 && y < height) {
                __syncthreads();
                for (int i = threadIdx.x; i < loaded; i += THREADS) line[i] = strip.at(y, left - across + i);
                __syncthreads();
                spread(line + across + threadIdx.x, dy[rows[y]], dx[rows[y]], reach, across, slot, ring);
            }
            double& done = ring.at(ring.wrapped(slot - reach));
            if (y - reach >= top && x < width)
                out[start + static_cast<size_t>(y - reach) * width + x] = static_cast<VALUE>(done * scale);
            done = 0.0;
            slot = ring.wrapped(slot + 1);
        }
    }
}
