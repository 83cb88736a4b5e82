// Networks of pairs turned into series, network.py: a block inverts one tile of PIXELS pixels after another, GROUPS
// threads for each pixel.
//
// The state of a tile is rows of PIXELS numbers in float64: the conductances of all edges, then the currents of all dates.
// It stays in shared memory, or, where it does not fit there (IN_MEMORY), in global memory. Threads of a group share a
// row, groups share the work: pairs are read GROUPS at a time, the updates of a date's elimination are independent of
// one another. Whatever is summed up is summed in the order of the CPU, by one thread: pairs go through a stage in shared
// memory, from which the owner of a row (its number modulo GROUPS) takes what belongs there.
//
// Pixels whose dates fall into more parts than the rows have room for are left out, with -1 parts; how many rows they need
// is told, and the next call does AGAIN what was left out.
//
// Compiled with -fmad=false. Set by source.py: VALUE and COHERENCE (types), WEIGHTED (is there coherence), INDEX (a type that
// counts rows), THREADS, PIXELS, TILE (pixels of a tile of the CPU), IN_MEMORY, AGAIN, BAD_PHASE, BAD_COHERENCE, STAGE_BYTES,
// INFINITE, the numbers of network.py, and those of phasor.py for angles.cu.

enum { GROUPS = THREADS / PIXELS };

// One row gets the product of two others and the inverse of the date's conductance: to += factor * inverse * from.
struct alignas(4 * sizeof(INDEX)) Update { INDEX to, factor, from, none; };
// Rows that a pair feeds: the currents of its dates, and the conductance between them.
struct alignas(16) Pair { int first, second, edge, none; };

// The elimination of a network: date p, in the order of elimination, has edges starts[p] to starts[p + 1], which lead to
// the dates later[...], and updates ends[p] to ends[p + 1]. place is where each date comes in that order.
struct Plan {
    const Pair* pairs;
    const Update* updates;
    const int *starts, *ends, *later, *place;
    const double *years, *shift;
    int number, dates, rows;  // pairs, dates, rows before those of the currents
};

using Row = double[PIXELS];

// What threads of a pixel tell each other: two turns of pairs, for the owners of rows and of sums; the parts of dates,
// which may reach beyond.
struct Stage {
    Row origin;
    float wave[2][PIXELS];
    int known[PIXELS], none[PIXELS];
    union {
        struct { Row weight[GROUPS], flow[GROUPS]; } pairs[2];
        struct { Row square[GROUPS]; float wave[2][GROUPS][PIXELS]; } rests[2];
    };
};
static_assert(sizeof(Stage) == STAGE_BYTES, "network.py asks for what a tile needs, and for parts of more dates");

struct Tile {
    Row* state;
    Stage& stage;
    int x, group, current;  // pixel, group, first row of the currents

    __device__ double& row(int i) const { return state[i][x]; }
    __device__ double& date(int place) const { return state[current + place][x]; }
};

// A pair at a pixel.
struct Seen {
    VALUE phase;
    COHERENCE coherence;

    __device__ void read(const VALUE* phases, const COHERENCE* coherences, long long at, bool there) {
        phase = there ? phases[at] : static_cast<VALUE>(nanf(""));
        coherence = WEIGHTED && there ? coherences[at] : static_cast<COHERENCE>(1);
    }
    __device__ double data(double shift) const { return static_cast<double>(phase) - shift; }
    __device__ bool there(double shift) const { return data(shift) == data(shift) && coherence > 0; }

    __device__ double weight() const {
        if (!WEIGHTED) return 1.0;
        double inside = coherence;
        inside = LEAST > inside ? LEAST : inside;
        inside = MOST < inside ? MOST : inside;
        return inside * inside / (1.0 - inside * inside);
    }

    __device__ int flaw(double shift) const {
        if (fabs(data(shift)) == INFINITE) return BAD_PHASE;
        double c = coherence;
        return WEIGHTED && (c < 0.0 || c > LIMIT) ? BAD_COHERENCE : 0;
    }
};

// Tell what is wrong, so that the smallest number is what the CPU finds: in the first of its tiles the last bad pair.
__device__ inline void tell(long long* status, long long pixel, int left, int flaw) {
    atomicMin(status, (pixel / TILE << 32) + (static_cast<long long>(left) << 2) + flaw);
}

// Write conductances and currents.
__device__ inline void assemble(const Tile& tile, const Plan& plan, const VALUE* phases, const COHERENCE* coherences,
                                long long pixel, long long pixels, bool in, long long* status) {
    for (int i = tile.group; i < plan.rows + plan.dates; i += GROUPS) tile.row(i) = 0.0;
    Seen next;
    next.read(phases, coherences, tile.group * pixels + pixel, in && tile.group < plan.number);
    for (int base = 0, turn = 0; base < plan.number; base += GROUPS, turn = 1 - turn) {
        int k = base + tile.group, after = k + GROUPS;
        Seen own = next;
        next.read(phases, coherences, after * pixels + pixel, in && after < plan.number);
        double shift = k < plan.number ? plan.shift[k] : 0.0;
        int flaw = in && k < plan.number ? own.flaw(shift) : 0;
        if (flaw) tell(status, pixel, plan.number - 1 - k, flaw);
        double weight = own.there(shift) ? own.weight() : 0.0;
        double data = own.data(shift) == own.data(shift) ? own.data(shift) : 0.0;
        tile.stage.pairs[turn].weight[tile.group][tile.x] = weight;
        tile.stage.pairs[turn].flow[tile.group][tile.x] = weight * data;
        __syncthreads();
        for (int j = 0; j < min(GROUPS, plan.number - base); j++) {
            Pair pair = plan.pairs[base + j];
            double flow = tile.stage.pairs[turn].flow[j][tile.x];
            if (pair.edge % GROUPS == tile.group) tile.row(pair.edge) += tile.stage.pairs[turn].weight[j][tile.x];
            if (pair.first % GROUPS == tile.group) tile.row(pair.first) -= flow;
            if (pair.second % GROUPS == tile.group) tile.row(pair.second) += flow;
        }
    }
}

// Turn the edges and the current of a date that is eliminated into shares; nothing else looks at them any more.
__device__ inline void divide(const Tile& tile, const Plan& plan, int p, double inverse) {
    for (int e = plan.starts[p] + tile.group; e < plan.starts[p + 1]; e += GROUPS) tile.row(e) *= inverse;
    if (tile.group == 0) tile.date(p) *= inverse;
}

// Eliminate date after date; count the last dates of parts.
__device__ inline int eliminate(const Tile& tile, const Plan& plan) {
    int roots = 0;
    double inverse = 0.0;
    for (int p = 0; p < plan.dates; p++) {
        __syncthreads();
        double total = 0.0, before = inverse;
        for (int e = plan.starts[p]; e < plan.starts[p + 1]; e++) total += tile.row(e);
        inverse = total > 0.0 ? 1.0 / total : 0.0;
        roots += total > 0.0 ? 0 : 1;
        for (int u = plan.ends[p] + tile.group; u < plan.ends[p + 1]; u += GROUPS) {
            Update update = plan.updates[u];
            tile.row(update.to) += tile.row(update.factor) * inverse * tile.row(update.from);
        }
        if (p > 0) divide(tile, plan, p - 1, before);
    }
    divide(tile, plan, plan.dates - 1, inverse);
    __syncthreads();
    return roots;
}

// Turn currents into the phases of dates, 0 at the last date of each part: one thread for each pixel.
__device__ inline void substitute(const Tile& tile, const Plan& plan) {
    for (int p = plan.dates - 1; p >= 0; p--) {
        double phase = tile.date(p);
        for (int e = plan.starts[p]; e < plan.starts[p + 1]; e++) phase += tile.row(e) * tile.date(plan.later[e]);
        tile.date(p) = phase;
    }
}

// The parts of a pixel's dates: numbers from 0 on, by place; -1 for a date without a pair. Of each date its part is kept,
// and the size of the part that has its number.
struct Parts {
    short (*parts)[2][PIXELS];
    int x;

    __device__ short& part(int p) const { return parts[p][0][x]; }
    __device__ short& size(int p) const { return parts[p][1][x]; }

    __device__ int label(const Tile& tile, const Plan& plan) const {
        int dates = plan.dates, number = 0;
        for (int p = 0; p < dates; p++) size(p) = 0;
        for (int p = dates - 1; p >= 0; p--) {
            part(p) = static_cast<short>(p);
            for (int e = plan.starts[p]; e < plan.starts[p + 1]; e++) {
                if (tile.row(e) > 0.0) {
                    part(p) = part(plan.later[e]);
                    break;
                }
            }
            size(part(p)) = static_cast<short>(size(part(p)) + 1);
        }
        for (int p = 0; p < dates; p++)
            if (size(p) > 1) size(p) = static_cast<short>(dates + number++);
        for (int p = 0; p < dates; p++) part(p) = static_cast<short>(size(part(p)) >= dates ? size(part(p)) - dates : -1);
        return number;
    }
};

// A dense net of parts, in the rows of the edges, which are not needed any more.
struct Net {
    const Tile& tile;
    int number;

    __device__ double& at(int a, int b) const { return tile.row(a * number + b); }
    __device__ double& flow(int a) const { return tile.row(number * number + a); }

    // Shift the parts of a pixel so that the velocities between its consecutive dates are smallest.
    __device__ void join(const Plan& plan, const Parts& parts) const {
        for (int i = 0; i < number * (number + 1); i++) tile.row(i) = 0.0;
        int before = -1;
        for (int t = 0; t < plan.dates; t++) {
            int p = plan.place[t];
            if (parts.part(p) < 0) continue;
            if (before >= 0) {
                int q = plan.place[before], a = parts.part(q), b = parts.part(p);
                double apart = plan.years[t] - plan.years[before], w = 1.0 / (apart * apart);
                if (a != b) {
                    double flows = w * (tile.date(p) - tile.date(q));
                    at(a, b) += w, at(b, a) += w;
                    flow(a) += flows, flow(b) -= flows;
                }
            }
            before = t;
        }
        solve();
        for (int p = 0; p < plan.dates; p++)
            if (parts.part(p) >= 0) tile.date(p) += flow(parts.part(p));
    }

    // Turn currents into potentials, 0 at the last node.
    __device__ void solve() const {
        for (int p = 0; p < number - 1; p++) {
            double total = 0.0;
            for (int a = p + 1; a < number; a++) total += at(p, a);
            for (int a = p + 1; a < number; a++) {
                at(p, a) /= total;
                flow(a) += at(p, a) * flow(p);
                for (int b = p + 1; b < number; b++)
                    if (b != a) at(a, b) += at(p, a) * at(b, p);
            }
            flow(p) /= total;
        }
        flow(number - 1) = 0.0;
        for (int p = number - 2; p >= 0; p--)
            for (int a = p + 1; a < number; a++) flow(p) += at(p, a) * flow(a);
    }
};

// Join the parts of a pixel and write NaN where it has no date; return the number of parts, or -1 where rows are too few.
__device__ inline int settle(const Tile& tile, const Plan& plan, long long* status) {
    Parts parts = {reinterpret_cast<short (*)[2][PIXELS]>(tile.stage.pairs), tile.x};
    int number = parts.label(tile, plan), needed = number * (number + 1);
    if (number > 1 && needed > plan.rows) {
        atomicMax(status + 1, static_cast<long long>(needed));
        return -1;
    }
    if (number > 1) Net{tile, number}.join(plan, parts);
    for (int p = 0; p < plan.dates; p++)
        if (parts.part(p) < 0) tile.date(p) = nanf("");
    return number;
}

// The phase of a pixel's first date, NaN where it has none.
__device__ inline double origin(const Tile& tile, const Plan& plan) {
    double value = nanf("");
    for (int t = 0; t < plan.dates && value != value; t++) value = tile.date(plan.place[t]);
    return value;
}

// What the pairs leave: summed up by the first group (number, squares) and the second (cosines and sines).
struct Sums {
    double pairs = 0.0, squares = 0.0;
    float cosines = 0.0f, sines = 0.0f;

    __device__ void judge(const Tile& tile, const Plan& plan, const VALUE* phases, const COHERENCE* coherences,
                          long long pixel, long long pixels, bool in) {
        Seen next;
        next.read(phases, coherences, tile.group * pixels + pixel, in && tile.group < plan.number);
        for (int base = 0, turn = 0; base < plan.number; base += GROUPS, turn = 1 - turn) {
            int k = base + tile.group, after = k + GROUPS;
            Seen own = next;
            next.read(phases, coherences, after * pixels + pixel, in && after < plan.number);
            Pair pair = plan.pairs[min(k, plan.number - 1)];
            double shift = plan.shift[min(k, plan.number - 1)];
            bool there = k < plan.number && own.there(shift);
            double rest = there ? own.data(shift) - (tile.row(pair.second) - tile.row(pair.first)) : 0.0;
            auto& rests = tile.stage.rests[turn];
            rests.square[tile.group][tile.x] = there ? rest * rest : -1.0;
            float cosine, sine;
            phasor(static_cast<float>(rest), there ? 1.0f : 0.0f, cosine, sine);
            rests.wave[0][tile.group][tile.x] = cosine, rests.wave[1][tile.group][tile.x] = sine;
            __syncthreads();
            for (int j = 0; j < GROUPS && tile.group == 0; j++) {
                double square = rests.square[j][tile.x];
                if (square < 0.0) continue;
                pairs += 1.0;
                squares += square;
            }
            for (int j = 0; j < GROUPS && tile.group == 1; j++) {
                cosines += rests.wave[0][j][tile.x];
                sines += rests.wave[1][j][tile.x];
            }
        }
    }

    // Temporal coherence and rms of the residuals.
    __device__ void write(VALUE* quality, long long pixels) const {
        double re = cosines, im = sines, mean = sqrt(re * re + im * im) / pairs;
        quality[0] = static_cast<VALUE>(pairs > 0.0 ? (1.0 < mean ? 1.0 : mean) : nanf(""));
        quality[pixels] = static_cast<VALUE>(pairs > 0.0 ? sqrt(squares / pairs) : nanf(""));
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
invert_network(const VALUE* __restrict__ phases, const COHERENCE* __restrict__ coherences, const Pair* __restrict__ pairs,
               const Update* __restrict__ updates, const int* __restrict__ starts, const int* __restrict__ ends,
               const int* __restrict__ later, const int* __restrict__ place, const double* __restrict__ years,
               const double* __restrict__ shift, int number, int dates, int rows, int stage_bytes, long long pixels,
               double scale, Row* memory_state, VALUE* series, VALUE* quality, short* found, long long* status) {
    extern __shared__ float4 memory[];
    Plan plan = {pairs, updates, starts, ends, later, place, years, shift, number, dates, rows};
    Row* shared_state = reinterpret_cast<Row*>(reinterpret_cast<char*>(memory) + stage_bytes);
    Tile tile = {IN_MEMORY ? memory_state + static_cast<size_t>(blockIdx.x) * (rows + dates) : shared_state,
                 *reinterpret_cast<Stage*>(memory), static_cast<int>(threadIdx.x % PIXELS),
                 static_cast<int>(threadIdx.x / PIXELS), rows};
    for (long long first = static_cast<long long>(blockIdx.x) * PIXELS; first < pixels; first += gridDim.x * PIXELS) {
        long long pixel = first + tile.x;
        bool in = pixel < pixels && !(AGAIN && found[pixel] >= 0);
        if (AGAIN && !__syncthreads_or(in)) continue;
        assemble(tile, plan, phases, coherences, pixel, pixels, in, status);
        int roots = eliminate(tile, plan);
        if (tile.group == 0) {
            substitute(tile, plan);
            tile.stage.known[tile.x] = roots == 1 || !in ? 1 : settle(tile, plan, status);
            tile.stage.origin[tile.x] = origin(tile, plan);
        }
        __syncthreads();
        double start = tile.stage.origin[tile.x];
        int known = tile.stage.known[tile.x];
        Sums sums;
        sums.judge(tile, plan, phases, coherences, pixel, pixels, in);
        if (tile.group == 1) tile.stage.wave[0][tile.x] = sums.cosines, tile.stage.wave[1][tile.x] = sums.sines;
        for (int t = tile.group; t < dates && in; t += GROUPS)
            series[t * pixels + pixel] = static_cast<VALUE>((tile.date(place[t]) - start) * scale + 0.0);
        __syncthreads();
        if (tile.group == 0 && in) {
            sums.cosines = tile.stage.wave[0][tile.x], sums.sines = tile.stage.wave[1][tile.x];
            sums.write(quality + pixel, pixels);
            found[pixel] = static_cast<short>(known);
        }
    }
}
