// Velocity of every month of a series with gaps, months.py: a thread for each pixel walks from valid date to valid date.
//
// Compiled with -fmad=false. Set by source.py: VALUE, THREADS and STARTS (of months, and the end of the last one).

// The line at the starts of months, and the longest segment that touches each month.
struct Line {
    double at[STARTS], longest[STARTS];

    // Enter one segment; before tells how many starts lie before its first date, up_to how many up to its last.
    __device__ void enter(const double* starts, double begin, double end, double first, double last, int before, int up_to) {
#pragma unroll 1
        for (int m = before; m < up_to; m++) {
            double share = (starts[m] - begin) / (end - begin);
            at[m] = first * (1.0 - share) + last * share;
        }
        int held = before == STARTS || starts[before] > begin ? before - 1 : before;
#pragma unroll 1
        for (int m = max(held, 0); m < min(up_to, STARTS - 1); m++)
            if (starts[m] < end) longest[m] = end - begin > longest[m] ? end - begin : longest[m];
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
monthly_velocity(const VALUE* __restrict__ series, const double* __restrict__ days, const double* __restrict__ starts,
                 const int* __restrict__ before, const int* __restrict__ up_to, int dates, long long pixels,
                 double max_gap, double year, VALUE* velocity) {
    long long p = static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x;
    if (p >= pixels) return;
    Line line;
#pragma unroll 1
    for (int m = 0; m < STARTS; m++) line.at[m] = nanf(""), line.longest[m] = 0.0;
    int last = -1;
    double old = 0.0;
    for (int t = 0; t < dates; t++) {
        double value = series[t * pixels + p];
        if (value != value) continue;
        if (last >= 0) line.enter(starts, days[last], days[t], old, value, before[last], up_to[t]);
        last = t, old = value;
    }
#pragma unroll 1
    for (int m = 0; m < STARTS - 1; m++) {
        double rate = (line.at[m + 1] - line.at[m]) / (starts[m + 1] - starts[m]) * year;
        velocity[m * pixels + p] = static_cast<VALUE>(line.longest[m] <= max_gap ? rate : nanf(""));
    }
}
