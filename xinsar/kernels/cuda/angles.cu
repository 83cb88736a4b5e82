// Sine and cosine of a phase, and the angle of a phasor: phasor.py, the same operations in the same order.
//
// Compiled with -fmad=false: a fused multiply-add is written fmaf, as in the CPU kernels, and rounds as there.
// Set by source.py: the numbers of phasor.py.

__device__ inline void phasor(float phase, float weight, float& re, float& im) {
    float biased = fmaf(phase, INV_PI, ROUND);
    float turns = biased - ROUND;
    float rest = fmaf(-turns, PI_LOW, fmaf(-turns, PI_HIGH, phase));
    float square = rest * rest;
    float sine = fmaf(fmaf(fmaf(S4, square, S3), square, S2), square, S1);
    sine = fmaf(sine * square, rest, rest);
    float cosine = fmaf(fmaf(fmaf(C4, square, C3), square, C2), square, C1);
    cosine = fmaf(cosine * square, square, fmaf(-0.5f, square, 1.0f));
    float sign = __int_as_float(__float_as_int(weight) ^ static_cast<int>(__float_as_uint(biased) << 31));
    re = sign * cosine;
    im = sign * sine;
}

__device__ inline float angle(float re, float im) {
    float width = fabsf(re), height = fabsf(im);
    float larger = height > width ? height : width;
    float smaller = height > width ? width : height;
    float t = larger > 0.0f ? smaller / larger : 0.0f;
    float square = t * t;
    float curve = fmaf(fmaf(fmaf(A7, square, A6), square, A5), square, A4);
    curve = fmaf(fmaf(fmaf(curve, square, A3), square, A2), square, A1);
    float result = fmaf(curve * square, t, t);
    result = height > width ? HALF_PI - result : result;
    result = re < 0.0f ? PI_HIGH - result : result;
    return im < 0.0f ? -result : result;
}
