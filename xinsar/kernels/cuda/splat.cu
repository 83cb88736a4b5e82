// Kernel density of points on a grid, density.py: a thread for each pixel gathers the points of the cells around it.
//
// Cell after cell, row of cells after row of cells, and in a cell by their number: the order in which the CPU adds them,
// with the same operations, so the sums are the same. A warp holds pixels of one row and passes over points too far away
// along y with one comparison.
//
// Set by source.py: VALUE, THREADS, POWER, HALVES (the width of a column hangs on the point's row and the pixel's),
// CELL_ROWS and CELL_COLUMNS.

enum { WARPS = THREADS / 32 };

struct alignas(16) Point { double column, north; };

// The lattice cells of which there are points: starts holds where those of a cell begin, width + 1 numbers a row.
struct Cells {
    const long long* starts;
    int top, left, height, width;

    __device__ static int cell(double place, int size) { return static_cast<int>(floor(place / size)); }
    __device__ int row(double place) const { return cell(place, CELL_ROWS) - top; }
    __device__ int column(double place) const { return min(max(cell(place, CELL_COLUMNS) - left, 0), width); }
};

// halves, row_halves: with HALVES, half of a column's width at each point and in each row of the grid, in units of step.
extern "C" __global__ void __launch_bounds__(THREADS)
splat(const Point* __restrict__ points, const double* __restrict__ weights, const double* __restrict__ halves,
      long long number, const long long* __restrict__ starts, int top, int left, int height, int width,
      const double* __restrict__ rows, const double* __restrict__ row_halves, double step, double down, double across,
      int columns, int first, int last, int planes, double scale, VALUE* __restrict__ out) {
    Cells cells = {starts, top, left, height, width};
    int x = blockIdx.x * 32 + threadIdx.x % 32, begin = first + static_cast<int>(blockIdx.y) * WARPS;
    int y = begin + threadIdx.x / 32;
    if (x >= columns || y >= last) return;
    int low = max(cells.row(begin - down), 0), high = min(cells.row(begin + WARPS + down) + 1, height);
    int near = cells.column(blockIdx.x * 32 - across), far = cells.column(blockIdx.x * 32 + 32 + across) + 1;
    double here = rows[y];
    for (int plane = blockIdx.z; plane < planes; plane += gridDim.z) {
        const double* own = weights + plane * number;
        double total = 0.0;
        for (int i = low; i < high; i++) {
            const long long* ends = starts + static_cast<size_t>(i) * (width + 1);
            long long stop = ends[min(far, width)];
            for (long long p = ends[near]; p < stop; p++) {
                Point point = points[p];
                double apart = here - point.north, room = fma(-apart, apart, 1.0);
                if (room <= 0.0) continue;
                double weight = own[p], wide = HALVES ? step * (halves[p] + row_halves[y]) : step;
                double beside = fma(static_cast<double>(x), wide, -point.column * wide), left_over = room - beside * beside;
                if (weight == weight && left_over > 0.0)
                    total = fma(POWER == 2 ? weight * left_over : weight, left_over, total);
            }
        }
        out[(static_cast<size_t>(plane) * (last - first) + (y - first)) * columns + x] = static_cast<VALUE>(total * scale);
    }
}
