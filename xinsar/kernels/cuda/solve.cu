// The rate that maximises J, from the sums of rate.py: a thread for each edge, search on the grid, then Newton's method.

enum { TERMS = HEIGHT ? 6 : 2 };
enum { ABREAST = 8 };  // grid points looked at together

struct Sums {
    const float* first;  // of this edge: plane 0 of interval 0
    const float *intervals, *cosines, *sines;
    int number, points;  // intervals, grid points
    size_t stride;       // from interval to interval
    int width;

    __device__ float at(int g, int term) const { return g < number ? first[g * stride + static_cast<size_t>(term) * width] : 0.0f; }
};

struct Peak {
    float j, slope, curve;              // J, dJ/dr, -d2J/dr2
    float lift, lift_curve, crossed;    // dJ/dh, -d2J/dh2, -d2J/drdh
};

// The grid point with the largest J, in steps; the sums of four intervals are added at once, as on the CPU.
__device__ inline float search(const Sums& sums) {
    float best = -3e38f, place = 0.0f;
    for (int start = 0; start < sums.points; start += ABREAST) {
        float even[ABREAST] = {}, odd[ABREAST] = {};
        for (int g = 0; g < sums.number; g += 4) {
            float re[4], im[4];
#pragma unroll
            for (int k = 0; k < 4; k++) re[k] = sums.at(g + k, 0), im[k] = sums.at(g + k, 1);
#pragma unroll
            for (int j = 0; j < ABREAST; j++) {
                const float* c = sums.cosines + static_cast<size_t>(g) * sums.points + min(start + j, sums.points - 1);
                const float* s = sums.sines + (c - sums.cosines);
                float low = fmaf(re[1], c[sums.points], re[0] * c[0]);
                even[j] += fmaf(re[3], c[3 * sums.points], fmaf(re[2], c[2 * sums.points], low));
                low = fmaf(im[1], s[sums.points], im[0] * s[0]);
                odd[j] += fmaf(im[3], s[3 * sums.points], fmaf(im[2], s[2 * sums.points], low));
            }
        }
#pragma unroll
        for (int j = 0; j < ABREAST; j++) {
            if (start + j >= sums.points) break;
            float step = static_cast<float>(start + j), ahead = even[j] + odd[j], behind = even[j] - odd[j];
            float here = ahead > best ? step : place, top = ahead > best ? ahead : best;
            place = behind > top ? -step : here;
            best = behind > top ? behind : top;
        }
    }
    return place;
}

__device__ inline Peak derive(const Sums& sums, float rate, float h) {
    Peak peak = {};
    for (int g = 0; g < sums.number; g++) {
        float dt = sums.intervals[g], cosine, sine;
        phasor(dt * rate, 1.0f, cosine, sine);
        float re = sums.at(g, 0), im = sums.at(g, 1);
#if HEIGHT
        float re1 = sums.at(g, 2), im1 = sums.at(g, 3), re2 = sums.at(g, 4), im2 = sums.at(g, 5);
        re = re + h * im1 - 0.5f * h * h * re2;
        im = im - h * re1 - 0.5f * h * h * im2;
        float dre = im1 - h * re2, dim = -re1 - h * im2;
        peak.lift += dre * cosine + dim * sine;
        peak.lift_curve += re2 * cosine + im2 * sine;
        peak.crossed -= dt * (dim * cosine - dre * sine);
#endif
        float along = fmaf(re, cosine, im * sine), across = fmaf(im, cosine, -re * sine);
        peak.j += along;
        peak.slope = fmaf(dt, across, peak.slope);
        peak.curve = fmaf(dt * dt, along, peak.curve);
    }
    return peak;
}

// One step of Newton's method, at most limit long.
__device__ inline void climb(const Peak& p, float limit, float& rate, float& h) {
#if HEIGHT
    float size = p.curve * p.lift_curve - p.crossed * p.crossed;
    bool peak = p.curve > 0.0f && size > 0.0f;
    float move = peak ? (p.slope * p.lift_curve - p.lift * p.crossed) / size : 0.0f;
    h += peak ? (p.lift * p.curve - p.slope * p.crossed) / size : 0.0f;
#else
    float move = p.curve > 0.0f ? p.slope / p.curve : 0.0f;
#endif
    move = move > limit ? limit : move;
    rate += move < -limit ? -limit : move;
}

// sums (y, interval, 2 TERMS, x) to out (y, direction, rate and J, x). cosines and sines (interval, grid point) are
// padded with zeros to a multiple of four intervals.
extern "C" __global__ void solve_rate(const float* __restrict__ sums, const float* __restrict__ intervals,
                                      const float* __restrict__ cosines, const float* __restrict__ sines, int width,
                                      int number, int points, float step, float* out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y, direction = blockIdx.z;
    if (x >= width) return;
    size_t stride = static_cast<size_t>(2 * TERMS) * width;
    const float* first = sums + row * number * stride + static_cast<size_t>(direction) * TERMS * width + x;
    Sums own = {first, intervals, cosines, sines, number, points, stride, width};
    float rate = search(own) * step, h = 0.0f;
    for (int i = 0; i < NEWTON_STEPS; i++) climb(derive(own, rate, h), step * 0.5f, rate, h);
    float* to = out + (static_cast<size_t>(row) * 4 + 2 * direction) * width + x;
    to[0] = rate;
    to[width] = derive(own, rate, h).j;
}
