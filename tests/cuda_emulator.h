// Enough of CUDA to run a kernel on a CPU: every thread of a block is a fiber, and fibers change places at barriers and
// shuffles only. Blocks run one after another. Slow, but the very source that a GPU would run.
#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>
#include <ucontext.h>

#define __global__
#define __device__
#define __shared__
#define __launch_bounds__(...)

struct dim3 { unsigned x = 1, y = 1, z = 1; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) float2 { float x, y; };
static float2 make_float2(float x, float y) { return {x, y}; }
static dim3 threadIdx, blockIdx, blockDim, gridDim;
float4 memory[1 << 14];

template <class To, class From> static To bits_of(From value) { To to; std::memcpy(&to, &value, sizeof to); return to; }
static int __float_as_int(float value) { return bits_of<int>(value); }
static unsigned __float_as_uint(float value) { return bits_of<unsigned>(value); }
static float __int_as_float(int value) { return bits_of<float>(value); }
static int min(int a, int b) { return a < b ? a : b; }
static int max(int a, int b) { return a > b ? a : b; }
static void atomicMax(int* at, int value) { *at = max(*at, value); }
static void atomicMax(long long* at, long long value) { *at = *at > value ? *at : value; }
static void atomicMin(long long* at, long long value) { *at = *at < value ? *at : value; }
static void atomicAdd(unsigned long long* at, unsigned long long value) { *at += value; }
static long long __double_as_longlong(double value) { return bits_of<long long>(value); }
static double __longlong_as_double(long long value) { return bits_of<double>(value); }
static unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return static_cast<unsigned>(((static_cast<uint64_t>(high) << 32) | low) >> (by & 31));
}

namespace emulator {

struct Fiber {
    ucontext_t start;
    jmp_buf place;
    std::vector<char> stack = std::vector<char>(1 << 16);
    bool begun, done;
};
struct Barrier { int arrived = 0, generation = 0; };
struct Warp { Barrier barrier; uint64_t lent[2][32]; };

static std::vector<Fiber> fibers;
static std::vector<Warp> warps;
static Barrier block;
static int any[2], current, threads;
static long progress;
static jmp_buf scheduler;
static std::function<void()> body;

static void yield() {
    if (!_setjmp(fibers[current].place)) _longjmp(scheduler, 1);
}

static void wait(Barrier& barrier, int number) {
    int generation = barrier.generation;
    if (++barrier.arrived == number) {
        barrier.arrived = 0;
        barrier.generation++;
        progress++;
        return;
    }
    while (barrier.generation == generation) yield();
}

static void enter() {
    body();
    fibers[current].done = true;
    progress++;
    _longjmp(scheduler, 1);
}

static void resume(int thread) {
    current = thread;
    threadIdx.x = thread;
    Fiber& fiber = fibers[thread];
    if (_setjmp(scheduler)) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.start);
}

// Resume the threads of a warp that are not done; how many there were.
static int run_warp(int warp, bool backwards) {
    static int lane, left;
    left = 0;
    for (lane = 0; lane < 32; lane++) {
        int thread = 32 * warp + (backwards ? 31 - lane : lane);
        if (fibers[thread].done) continue;
        left++;
        resume(thread);
    }
    return left;
}

// One block; false where its threads wait for each other for ever. Each warp runs as far as it can before the next one
// does, so that a barrier that is missing shows.
static bool run_block(bool backwards) {
    block = Barrier();
    warps.assign(threads / 32, Warp());
    any[0] = any[1] = 0;
    for (Fiber& fiber : fibers) {
        fiber.begun = fiber.done = false;
        getcontext(&fiber.start);
        fiber.start.uc_stack.ss_sp = fiber.stack.data();
        fiber.start.uc_stack.ss_size = fiber.stack.size();
        makecontext(&fiber.start, enter, 0);
    }
    static int left, warp, number;
    static long before, here;
    number = threads / 32;
    do {
        before = progress;
        left = 0;
        for (warp = 0; warp < number; warp++) {
            do {
                here = progress;
                left += run_warp(backwards ? number - 1 - warp : warp, backwards);
            } while (progress != here);
        }
    } while (left && progress != before);
    return left == 0;
}

static bool untouched(size_t from) {
    const unsigned char* bytes = reinterpret_cast<const unsigned char*>(memory);
    for (size_t i = from; i < sizeof memory; i++)
        if (bytes[i] != 0xff) return false;
    return true;
}

// 0, 1 where a block hangs, 2 where it writes beyond its shared memory.
static int run(std::function<void()> kernel, const int* grid, int size, int shared, bool backwards) {
    body = kernel;
    threads = size;
    if (static_cast<int>(fibers.size()) != size) fibers = std::vector<Fiber>(size);
    blockDim.x = size;
    gridDim.x = grid[0], gridDim.y = grid[1], gridDim.z = grid[2];
    static unsigned x, y, z;
    for (z = 0; z < gridDim.z; z++)
        for (y = 0; y < gridDim.y; y++)
            for (x = 0; x < gridDim.x; x++) {
                blockIdx.x = x, blockIdx.y = y, blockIdx.z = z;
                std::memset(memory, 0xff, sizeof memory);  // NaN: nothing may be read before it is written
                if (!run_block(backwards)) return 1;
                if (!untouched(shared)) return 2;
            }
    return 0;
}

template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** args, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(args[I])...);
}

template <class... A>
static void call(void (*kernel)(A...), void** args) { call(kernel, args, std::index_sequence_for<A...>()); }

}  // namespace emulator

static void __syncthreads() { emulator::wait(emulator::block, emulator::threads); }

static int __syncthreads_or(int value) {
    int turn = emulator::block.generation & 1;
    emulator::any[turn] |= value != 0;
    if (emulator::block.arrived == emulator::threads - 1) emulator::any[1 - turn] = 0;
    __syncthreads();
    return emulator::any[turn];
}

template <class T>
static T __shfl_sync(unsigned mask, T value, int lane) {
    if (mask != 0xffffffffu) std::abort();
    emulator::Warp& warp = emulator::warps[threadIdx.x / 32];
    int turn = warp.barrier.generation & 1;
    uint64_t& lent = warp.lent[turn][threadIdx.x % 32];
    std::memcpy(&lent, &value, sizeof value);
    emulator::wait(warp.barrier, 32);
    std::memcpy(&value, &warp.lent[turn][lane], sizeof value);
    return value;
}

template <class T>
static T __shfl_xor_sync(unsigned mask, T value, int by) { return __shfl_sync(mask, value, (threadIdx.x % 32) ^ by); }

static int __any_sync(unsigned mask, int value) {
    for (int by = 16; by > 0; by /= 2) value |= __shfl_xor_sync(mask, value, by);
    return value != 0;
}

template <class T>
static T __shfl_up_sync(unsigned mask, T value, int by) {
    int lane = threadIdx.x % 32;
    return __shfl_sync(mask, value, lane < by ? lane : lane - by);
}

template <class T>
static T __shfl_down_sync(unsigned mask, T value, int by) {
    int lane = threadIdx.x % 32;
    return __shfl_sync(mask, value, lane + by > 31 ? lane : lane + by);
}

#define EMULATE(name)                                                                                        \
    extern "C" int run_##name(void** args, const int* grid, int size, int shared, int backwards) {           \
        return emulator::run([=] { emulator::call(name, args); }, grid, size, shared, backwards);            \
    }
