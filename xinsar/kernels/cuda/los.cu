// Motion from several lines of sight, los.py: a thread for each pixel makes the pixel's operator, in float64 and mostly
// in registers, and walks through the epochs. So vectors, weights and terrain are read once for all epochs of a call, and
// neighbouring threads read and write neighbouring pixels.
//
// Where looks are more than unknowns a look may be missing at some epochs: the operator is made again only where other
// looks are at hand than in the epoch before. BATCH epochs are read ahead, so that enough reads are on their way.
//
// Compiled with -fmad=false: a fused multiply-add is written out where the CPU has one, and rounds as there.
// Set by source.py: VALUE, THREADS, BATCH, NUMBER (looks), UNKNOWNS and COMPONENTS, KIND and the names of kinds, WEIGHTED
// and KNOWN (are there weights, are there variances), CHECKED, SINGULAR, SUSPICIOUS, RADIAN, THIRD_OF_TURN, and the
// pointers to what looks saw (DATA, as arguments DATA_ARGUMENTS) and to their vectors (VECTORS, VECTOR_ARGUMENTS).

enum { TIED = KIND >= ALONG_ASPECT, ENTRIES = UNKNOWNS * (UNKNOWNS + 1) / 2, UNROLLED = NUMBER <= 8 ? NUMBER : 1 };
static_assert(TIED || COMPONENTS == UNKNOWNS, "directions that no terrain tells are components");

__device__ inline float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double fused(double a, double b, double c) { return fma(a, b, c); }
__device__ inline double missing() { return __longlong_as_double(0x7ff8000000000000LL); }
__device__ inline double infinity() { return __longlong_as_double(0x7ff0000000000000LL); }
__device__ inline int entry(int j, int m) { return j > m ? j * (j + 1) / 2 + m : m * (m + 1) / 2 + j; }

// Where a call's pixels lie: maps hold one value a pixel, vectors and tables one row of pixels a component or look.
struct Place {
    long long pixels, p;
    __device__ long long at(long long row) const { return row * pixels + p; }
};

// What the looks of a pixel see of the directions (design), of the components (rows), and what they weigh: 0 where one
// cannot be used. Vectors that lie in no plane of directions are kept only where motion is tied to the terrain.
struct Looks {
    double basis[UNKNOWNS][3], design[NUMBER][UNKNOWNS], weight[NUMBER];
    VALUE vectors[NUMBER][3];

    // True where a vector may be wrong: the CPU then looks at it.
    __device__ bool read(const Place& place, const VALUE* const (&from)[NUMBER], const double* weights, const double* terrain) {
        if (TIED) lay(place, terrain);
        bool wrong = false;
#pragma unroll UNROLLED
        for (int k = 0; k < NUMBER; k++) {
            VALUE e = from[k][place.at(0)], n = from[k][place.at(1)], u = from[k][place.at(2)];
            if (CHECKED) wrong |= fabs(static_cast<double>(e * e + n * n + u * u) - 1.0) > SUSPICIOUS || u <= 0;
            vectors[k][0] = e, vectors[k][1] = n, vectors[k][2] = u;
            see(k);
            weight[k] = WEIGHTED ? weights[place.at(k)] : 1.0;
            judge(k);
        }
        return wrong;
    }

    // The directions of a pixel.
    __device__ void lay(const Place& place, const double* terrain) {
        double slope = terrain[place.at(0)] * RADIAN, aspect = terrain[place.at(1)] * RADIAN;
        double east = sin(aspect), north = cos(aspect);
#pragma unroll
        for (int i = 0; i < 3 * UNKNOWNS; i++) basis[i / 3][i % 3] = 0.0;
        double(&last)[3] = basis[UNKNOWNS - 1];
        if (KIND == ALONG_ASPECT) {
            basis[0][0] = east, basis[0][1] = north, last[2] = 1.0;
        } else if (KIND == ALONG_SURFACE) {
            basis[0][0] = 1.0, basis[0][2] = -tan(slope) * east;
            last[1] = 1.0, last[2] = -tan(slope) * north;
        } else {
            basis[0][0] = east * cos(slope), basis[0][1] = north * cos(slope), basis[0][2] = -sin(slope);
        }
    }

    __device__ void see(int k) {
#pragma unroll
        for (int j = 0; j < UNKNOWNS; j++) {
            if (TIED) {
                design[k][j] = 0.0;
#pragma unroll
                for (int c = 0; c < 3; c++) design[k][j] += static_cast<double>(vectors[k][c]) * basis[j][c];
            } else {
                design[k][j] = vectors[k][KIND == EAST_UP && j == 1 ? 2 : j];
            }
        }
    }

    __device__ void judge(int k) {
        double w = weight[k] > 0.0 && weight[k] < infinity() ? weight[k] : 0.0;
#pragma unroll
        for (int j = 0; j < UNKNOWNS; j++) w = design[k][j] == design[k][j] ? w : 0.0;
#pragma unroll
        for (int j = 0; j < UNKNOWNS; j++) design[k][j] = w > 0.0 ? design[k][j] : 0.0;
        weight[k] = w;
    }

    __device__ double row(int k, int c) const {
        return COMPONENTS == UNKNOWNS ? design[k][c % UNKNOWNS] : static_cast<double>(vectors[k][c]);
    }
};

// The upper triangle of G' W G, column after column; used tells the weight of each look, ONES that it counts as 1.
template <bool ONES>
__device__ inline void multiply(const Looks& looks, const double (&used)[NUMBER], double (&normal)[ENTRIES]) {
#pragma unroll
    for (int i = 0; i < ENTRIES; i++) normal[i] = 0.0;
#pragma unroll UNROLLED
    for (int k = 0; k < NUMBER; k++) {
        double w = ONES ? (used[k] > 0.0 ? 1.0 : 0.0) : used[k];
#pragma unroll
        for (int j = 0; j < UNKNOWNS; j++)
#pragma unroll
            for (int m = 0; m <= j; m++) normal[entry(j, m)] += w * looks.design[k][m] * looks.design[k][j];
    }
}

__device__ inline void invert(double (&normal)[1]) { normal[0] = 1.0 / normal[0]; }

__device__ inline void invert(double (&normal)[3]) {
    double a = normal[0], b = normal[1], c = normal[2], over = 1.0 / (a * c - b * b);
    normal[0] = c * over, normal[1] = -b * over, normal[2] = a * over;
}

__device__ inline void invert(double (&normal)[6]) {
    double a = normal[0], b = normal[1], c = normal[2], d = normal[3], e = normal[4], f = normal[5];
    double first = c * f - e * e, second = d * e - b * f, third = b * e - c * d;
    double over = 1.0 / (a * first + b * second + d * third);
    normal[0] = first * over, normal[1] = second * over, normal[3] = third * over;
    normal[2] = (a * f - d * d) * over, normal[4] = (b * d - a * e) * over;
    normal[5] = (a * c - b * b) * over;
}

// The smallest and largest eigenvalue.
__device__ inline void extremes(const double (&normal)[1], double& least, double& most) { least = most = normal[0]; }

__device__ inline void extremes(const double (&normal)[3], double& least, double& most) {
    double a = normal[0], b = normal[1], c = normal[2];
    most = 0.5 * (a + c) + sqrt(0.25 * (a - c) * (a - c) + b * b);
    least = most > 0.0 ? (a * c - b * b) / most : 0.0;
}

__device__ inline void extremes(const double (&normal)[6], double& least, double& most) {
    double a = normal[0], b = normal[1], c = normal[2], d = normal[3], e = normal[4], f = normal[5];
    double mean = (a + c + f) / 3.0, x = a - mean, y = c - mean, z = f - mean;
    double spread = sqrt((x * x + y * y + z * z + 2.0 * (b * b + d * d + e * e)) / 6.0);
    least = most = mean;
    if (!(spread > 0.0)) return;
    double determinant = x * (y * z - e * e) - b * (b * z - e * d) + d * (b * e - y * d);
    double cosine = determinant / (2.0 * (spread * (spread * spread)));
    cosine = cosine > -1.0 ? cosine : -1.0;
    double turn = acos(cosine < 1.0 ? cosine : 1.0) / 3.0;
    least = mean + 2.0 * spread * cos(turn + THIRD_OF_TURN);
    most = mean + 2.0 * spread * cos(turn);
}

// The operator that turns looks into components, and the condition number of the looks that it uses.
struct Solution {
    double factor[COMPONENTS][NUMBER], condition;

    __device__ void solve(const Looks& looks, const double (&used)[NUMBER], double limit, double least) {
        double own[UNKNOWNS][NUMBER];
        if (UNKNOWNS == 2 && NUMBER == 2) {
            invert_looks(looks, used, limit, least, own);
        } else {
            invert_normal(looks, used, limit, least, own);
        }
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++)
#pragma unroll UNROLLED
            for (int k = 0; k < NUMBER; k++) {
                factor[c][k] = TIED && COMPONENTS != UNKNOWNS ? 0.0 : own[c % UNKNOWNS][k];
#pragma unroll
                for (int j = 0; TIED && COMPONENTS != UNKNOWNS && j < UNKNOWNS; j++) factor[c][k] += looks.basis[j][c] * own[j][k];
            }
    }

    // Two looks at two unknowns: the inverse of G, whatever the weights.
    __device__ void invert_looks(const Looks& looks, const double (&used)[NUMBER], double limit, double least,
                                 double (&own)[UNKNOWNS][NUMBER]) {
        const int last = NUMBER - 1, other = UNKNOWNS - 1;  // 1, where this is called
        double a = looks.design[0][0], b = looks.design[0][other], c = looks.design[last][0], d = looks.design[last][other];
        double one = a * a + c * c, both = a * b + c * d, two = b * b + d * d;
        double most = 0.5 * (one + two) + sqrt(0.25 * (one - two) * (one - two) + both * both);
        double determinant = a * d - b * c, ratio = most / fabs(determinant);
        bool there = used[0] * used[last] > 0.0;
        bool allowed = ratio <= limit && ratio < SINGULAR && fabs(determinant) >= least * sqrt(most);
        condition = there ? ratio : missing();
        double over = there && allowed ? 1.0 / determinant : missing();
        own[0][0] = d * over, own[0][last] = -b * over, own[other][0] = -c * over, own[other][last] = a * over;
    }

    __device__ void invert_normal(const Looks& looks, const double (&used)[NUMBER], double limit, double least,
                                  double (&own)[UNKNOWNS][NUMBER]) {
        double normal[ENTRIES], low, high;
        multiply<true>(looks, used, normal);
        extremes(normal, low, high);
        int number = 0;
#pragma unroll UNROLLED
        for (int k = 0; k < NUMBER; k++) number += used[k] > 0.0;
        double weakest = number >= UNKNOWNS ? sqrt(0.0 > low ? 0.0 : low) : missing();
        condition = sqrt(high) / weakest;
        bool allowed = condition <= limit && condition < SINGULAR && weakest >= least;
        multiply<false>(looks, used, normal);
        invert(normal);
#pragma unroll
        for (int j = 0; j < UNKNOWNS; j++)
#pragma unroll UNROLLED
            for (int k = 0; k < NUMBER; k++) {
                own[j][k] = 0.0;
#pragma unroll
                for (int m = 0; m < UNKNOWNS; m++) own[j][k] += used[k] * normal[entry(j, m)] * looks.design[k][m];
                own[j][k] = allowed ? own[j][k] : missing();
            }
    }

    // The standard error of a component: of known variances, else of variances 1 / weight.
    __device__ double error(const Place& place, const double* variances, const double (&used)[NUMBER], int c) const {
        double total = 0.0;
#pragma unroll UNROLLED
        for (int k = 0; k < NUMBER; k++) {
            if (KNOWN && factor[c][k] != 0.0) total += factor[c][k] * factor[c][k] * variances[place.at(k)];
            if (!KNOWN && used[k] > 0.0) total += factor[c][k] * factor[c][k] / used[k];
        }
        return sqrt(total);
    }
};

// The epochs [first, last) of a block.
struct Epochs {
    int first, last;
    __device__ Epochs(int epochs, int each) : first(blockIdx.y * each), last(min(first + each, epochs)) {}
};

// What the looks saw at one epoch.
__device__ inline void take(const VALUE* const (&data)[NUMBER], const Place& place, int epoch, VALUE (&values)[NUMBER]) {
#pragma unroll UNROLLED
    for (int k = 0; k < NUMBER; k++) values[k] = data[k][place.at(epoch)];
}

// As many looks as unknowns: no look can be left out, and one operator serves all epochs.
extern "C" __global__ void __launch_bounds__(THREADS)
motion(DATA_ARGUMENTS, VECTOR_ARGUMENTS, const double* __restrict__ weights, const double* __restrict__ terrain,
       long long pixels, int epochs, int each, double limit, double least, VALUE* out, int* status) {
    const VALUE *data[NUMBER] = {DATA}, *from[NUMBER] = {VECTORS};
    Place place = {pixels, static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x};
    if (place.p >= pixels) return;
    Looks looks;
    if (looks.read(place, from, weights, terrain)) atomicMax(status, 1);
    Solution exact;
    exact.solve(looks, looks.weight, limit, least);
    VALUE factor[COMPONENTS][NUMBER];
#pragma unroll
    for (int c = 0; c < COMPONENTS; c++)
#pragma unroll UNROLLED
        for (int k = 0; k < NUMBER; k++) factor[c][k] = static_cast<VALUE>(exact.factor[c][k]);
    Epochs own(epochs, each);
    for (int epoch = own.first; epoch < own.last; epoch += BATCH) {
        VALUE values[BATCH][NUMBER];
#pragma unroll
        for (int b = 0; b < BATCH; b++)
            if (epoch + b < own.last) take(data, place, epoch + b, values[b]);
#pragma unroll
        for (int b = 0; b < BATCH; b++) {
            if (epoch + b >= own.last) break;
#pragma unroll
            for (int c = 0; c < COMPONENTS; c++) {
                VALUE total = factor[c][0] * values[b][0];
#pragma unroll UNROLLED
                for (int k = 1; k < NUMBER; k++) total = fused(factor[c][k], values[b][k], total);
                out[place.at(static_cast<long long>(epoch + b) * COMPONENTS + c)] = total;
            }
        }
    }
}

// The state of a pixel from epoch to epoch: which looks it used last, and the operator made of them.
struct Estimate {
    double used[NUMBER], errors[COMPONENTS];
    Solution solution;

    __device__ void update(const Looks& looks, const Place& place, const VALUE (&values)[NUMBER], const double* variances,
                           double limit, double least) {
        bool changed = false;
#pragma unroll UNROLLED
        for (int k = 0; k < NUMBER; k++) {
            double now = values[k] == values[k] ? looks.weight[k] : 0.0;
            changed |= now != used[k];
            used[k] = now;
        }
        if (!changed) return;
        solution.solve(looks, used, limit, least);
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) errors[c] = solution.error(place, variances, used, c);
    }

    __device__ void find(const VALUE (&values)[NUMBER], double (&found)[COMPONENTS]) const {
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) {
            found[c] = 0.0;
#pragma unroll UNROLLED
            for (int k = 0; k < NUMBER; k++)
                found[c] += solution.factor[c][k] * (used[k] > 0.0 ? static_cast<double>(values[k]) : 0.0);
        }
    }

    // The residual, and what errors are multiplied by: 1 where those of the looks are known.
    __device__ double spread(const Looks& looks, const VALUE (&values)[NUMBER], const double (&found)[COMPONENTS],
                             double& residual) const {
        double total = 0.0, weight = 0.0;
        int number = 0;
#pragma unroll UNROLLED
        for (int k = 0; k < NUMBER; k++) {
            if (!(used[k] > 0.0)) continue;
            double left = values[k];
#pragma unroll
            for (int c = 0; c < COMPONENTS; c++) left -= looks.row(k, c) * found[c];
            total += used[k] * left * left;
            weight += used[k];
            number++;
        }
        residual = number >= UNKNOWNS ? sqrt(total / weight) : missing();
        if (KNOWN) return 1.0;
        return number > UNKNOWNS ? sqrt(total / (number - UNKNOWNS)) : missing();
    }
};

// More looks than unknowns: one that is missing at an epoch is left out there.
extern "C" __global__ void __launch_bounds__(THREADS)
estimates(DATA_ARGUMENTS, VECTOR_ARGUMENTS, const double* __restrict__ weights, const double* __restrict__ variances,
          const double* __restrict__ terrain, long long pixels, int epochs, int each, double limit, double least,
          VALUE* motion, VALUE* sigma, VALUE* condition, VALUE* residual, int* status) {
    const VALUE *data[NUMBER] = {DATA}, *from[NUMBER] = {VECTORS};
    Place place = {pixels, static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x};
    if (place.p >= pixels) return;
    Looks looks;
    if (looks.read(place, from, weights, terrain)) atomicMax(status, 1);
    Estimate estimate;
#pragma unroll UNROLLED
    for (int k = 0; k < NUMBER; k++) estimate.used[k] = -1.0;
    Epochs own(epochs, each);
    VALUE waiting[BATCH][NUMBER];
#pragma unroll
    for (int b = 0; b < BATCH; b++)
        if (own.first + b < own.last) take(data, place, own.first + b, waiting[b]);
#pragma unroll 1
    for (int epoch = own.first; epoch < own.last; epoch++) {
        VALUE values[NUMBER];
#pragma unroll UNROLLED
        for (int k = 0; k < NUMBER; k++) {
            values[k] = waiting[0][k];
#pragma unroll
            for (int b = 1; b < BATCH; b++) waiting[b - 1][k] = waiting[b][k];
        }
        if (epoch + BATCH < own.last) take(data, place, epoch + BATCH, waiting[BATCH - 1]);
        double found[COMPONENTS], left;
        estimate.update(looks, place, values, variances, limit, least);
        estimate.find(values, found);
        double factor = estimate.spread(looks, values, found, left);
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) {
            long long at = place.at(static_cast<long long>(epoch) * COMPONENTS + c);
            motion[at] = static_cast<VALUE>(found[c]);
            sigma[at] = static_cast<VALUE>(KNOWN ? estimate.errors[c] : estimate.errors[c] * factor);
        }
        condition[place.at(epoch)] = static_cast<VALUE>(estimate.solution.condition);
        residual[place.at(epoch)] = static_cast<VALUE>(left);
    }
}

// What the vectors alone tell: standard errors and condition number.
extern "C" __global__ void __launch_bounds__(THREADS)
geometry(VECTOR_ARGUMENTS, const double* __restrict__ weights, const double* __restrict__ variances,
         const double* __restrict__ terrain, long long pixels, double limit, VALUE* sigma, VALUE* condition, int* status) {
    const VALUE* from[NUMBER] = {VECTORS};
    Place place = {pixels, static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x};
    if (place.p >= pixels) return;
    Looks looks;
    if (looks.read(place, from, weights, terrain)) atomicMax(status, 1);
    Solution solution;
    solution.solve(looks, looks.weight, limit, 0.0);
#pragma unroll
    for (int c = 0; c < COMPONENTS; c++)
        sigma[place.at(c)] = static_cast<VALUE>(KNOWN ? solution.error(place, variances, looks.weight, c) : missing());
    condition[place.at(0)] = static_cast<VALUE>(solution.condition);
}
