// Least squares of series with gaps, regression.py: a thread for each pixel, the dates read one after another, twice.
//
// Compiled with -fmad=false. Set by source.py: VALUE, THREADS, NUMBER (of functions of time) and SINGULAR.

enum { UNROLLED = NUMBER <= 8 ? NUMBER : 1 };  // what does not fit into registers is not forced into them

// What the valid dates of a pixel add up to: the lower half of the normal matrix, the right side, and their number.
struct Sums {
    double normal[NUMBER][NUMBER], right[NUMBER];
    int count;

    __device__ void add(const double* basis, int dates, int t, double value) {
        count++;
#pragma unroll UNROLLED
        for (int i = 0; i < NUMBER; i++) {
            right[i] += basis[i * dates + t] * value;
#pragma unroll UNROLLED
            for (int j = 0; j <= i; j++) normal[i][j] += basis[i * dates + t] * basis[j * dates + t];
        }
    }

    // Factor in place: D on the diagonal, L below it; tell whether it is not singular.
    __device__ bool factor() {
        bool good = true;
#pragma unroll UNROLLED
        for (int i = 0; i < NUMBER; i++) {
            double whole = normal[i][i];
#pragma unroll UNROLLED
            for (int j = 0; j < i; j++) {
                double value = normal[i][j];
#pragma unroll UNROLLED
                for (int k = 0; k < j; k++) value -= normal[i][k] * normal[j][k] * normal[k][k];
                normal[i][j] = normal[j][j] > 0.0 ? value / normal[j][j] : 0.0;
                normal[i][i] -= normal[i][j] * value;
            }
            good = good && normal[i][i] > SINGULAR * whole;
        }
        return good;
    }

    __device__ void solve(double (&values)[NUMBER]) const {
#pragma unroll UNROLLED
        for (int i = 0; i < NUMBER; i++)
#pragma unroll UNROLLED
            for (int j = 0; j < i; j++) values[i] -= normal[i][j] * values[j];
#pragma unroll UNROLLED
        for (int i = 0; i < NUMBER; i++) values[i] /= normal[i][i];
#pragma unroll UNROLLED
        for (int i = NUMBER - 1; i >= 0; i--)
#pragma unroll UNROLLED
            for (int j = i + 1; j < NUMBER; j++) values[i] -= normal[j][i] * values[j];
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
regression(const VALUE* __restrict__ series, const double* __restrict__ basis, const double* __restrict__ row, int dates,
           long long pixels, VALUE* found, VALUE* sigma) {
    long long p = static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x;
    if (p >= pixels) return;
    Sums sums = {};
    for (int t = 0; t < dates; t++) {
        double value = series[t * pixels + p];
        if (value == value) sums.add(basis, dates, t, value);
    }
    bool known = sums.factor() && sums.count >= NUMBER;
    found[p] = sigma[p] = static_cast<VALUE>(nanf(""));
    if (!known) return;
    double lever[NUMBER], squares = 0.0, total = 0.0, spread = 0.0;
#pragma unroll UNROLLED
    for (int i = 0; i < NUMBER; i++) lever[i] = row[i];
    sums.solve(sums.right);
    sums.solve(lever);
    for (int t = 0; t < dates; t++) {
        double rest = series[t * pixels + p];
        if (rest != rest) continue;
#pragma unroll UNROLLED
        for (int i = 0; i < NUMBER; i++) rest -= basis[i * dates + t] * sums.right[i];
        squares += rest * rest;
    }
#pragma unroll UNROLLED
    for (int i = 0; i < NUMBER; i++) {
        total += row[i] * sums.right[i];
        spread += row[i] * lever[i];
    }
    double room = sums.count - NUMBER;
    found[p] = static_cast<VALUE>(total);
    if (room > 0.0) sigma[p] = static_cast<VALUE>(sqrt(squares / room * spread));
}
