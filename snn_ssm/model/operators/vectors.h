// Vectors of the machine's width, and the one product that all matrices go through.
//
// The width and the number of registers are the target's that this is compiled for: vectors wider
// than the hardware's are taken apart, which costs tens of times.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

using i64 = int64_t;

#if defined(__AVX512F__)
constexpr int BYTES = 64, ROWS = 8;
#elif defined(__AVX2__)
constexpr int BYTES = 32, ROWS = 6;
#else
constexpr int BYTES = 16, ROWS = 6;
#endif

#define INLINE inline __attribute__((always_inline))

template <class S> constexpr int WIDTH = BYTES / sizeof(S);

template <class S> struct Vector {
    typedef S type __attribute__((vector_size(BYTES), aligned(sizeof(S)), may_alias));
};
template <class S> using V = typename Vector<S>::type;

template <class S> INLINE V<S>& at(S* p) { return *(V<S>*)p; }
template <class S> INLINE const V<S>& at(const S* p) { return *(const V<S>*)p; }

struct Wide {
    template <class S> INLINE auto& operator()(S* p) const { return at(p); }
};
struct Single {
    template <class S> INLINE S& operator()(S* p) const { return *p; }
};

// f(i, get) for i < size, where get(p) is the vector at p, or the number, of those left at the end.
template <class S, class F> INLINE void for_vectors(i64 size, F f) {
    i64 i = 0;
    for (; i + WIDTH<S> <= size; i += WIDTH<S>) f(i, Wide());
    for (; i < size; i++) f(i, Single());
}

// to[i] = f(a[i], b[i]), i < size, of vectors; b null: zeros. `to` may be a or b.
template <class S, class F> INLINE void map(i64 size, F f, S* to, const S* a, const S* b) {
    constexpr i64 W = WIDTH<S>;
    i64 i = 0;
    for (; i + W <= size; i += W) at(to + i) = f(at(a + i), b ? at(b + i) : V<S>{});
    if (i == size) return;
    V<S> x = {}, y = {};
    std::copy(a + i, a + size, (S*)&x);
    if (b) std::copy(b + i, b + size, (S*)&y);
    x = f(x, y);
    std::copy((S*)&x, (S*)&x + (size - i), to + i);
}

INLINE i64 up(i64 n, i64 step) { return (n + step - 1) / step * step; }

// Numbers that start as zeros, at the start of a cache line. Rows of a left factor are read in blocks
// of ROWS, so that each buffer has room for ROWS more rows than it is asked for.
template <class S> class Buffer {
    std::vector<S> values;
    S* start;

  public:
    Buffer(i64 rows, i64 columns) : values((up(rows, ROWS) + ROWS) * columns + 64 / sizeof(S)) {
        start = (S*)up((i64)values.data(), 64);
    }
    Buffer(const Buffer&) = delete;
    operator S*() { return start; }
    S* operator+(i64 n) { return start + n; }
    void clear() { std::fill(values.begin(), values.end(), S(0)); }
};

// Have the second cache read n numbers that are needed soon; beyond an array's end nothing happens.
template <class S> INLINE void fetch(const S* from, i64 n) {
    for (i64 i = 0; i < n; i += 64 / sizeof(S)) __builtin_prefetch(from + i, 0, 2);
}

// acc[r][c] += sum_k a[r ar + k ak] b[k bk + c W], r < ROWS, c < N vectors, k0 <= k < k1.
template <class S, int N>
INLINE void multiply(V<S> (&acc)[ROWS][N], const S* a, i64 ar, i64 ak, const S* b, i64 bk,
                     i64 k0, i64 k1) {
    constexpr int W = WIDTH<S>;
    for (i64 k = k0; k < k1; k++) {
        V<S> right[N];
        for (int c = 0; c < N; c++) right[c] = at(b + k * bk + c * W);
        for (int r = 0; r < ROWS; r++) {
            const S left = a[r * ar + k * ak];
            for (int c = 0; c < N; c++) acc[r][c] += left * right[c];
        }
    }
}

template <class S, int N> INLINE void load(V<S> (&acc)[ROWS][N], const S* o, i64 stride) {
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < N; c++) acc[r][c] = at(o + r * stride + c * WIDTH<S>);
}

template <class S, int N> INLINE void store(const V<S> (&acc)[ROWS][N], S* o, i64 stride) {
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < N; c++) at(o + r * stride + c * WIDTH<S>) = acc[r][c];
}

template <int N> struct Count { static constexpr int value = N; };

// f(j, Count<N>) for columns j in blocks of N vectors: two at a time, and the last alone.
template <class S, class F> INLINE void by_columns(i64 columns, F f) {
    constexpr int W = WIDTH<S>;
    i64 j = 0;
    for (; j + 2 * W <= columns; j += 2 * W) f(j, Count<2>());
    if (j < columns) f(j, Count<1>());
}

// o (rows x columns) = A B, or += A B: rows are filled up to whole blocks, columns are whole vectors.
template <class S>
void product(i64 rows, i64 columns, i64 depth, const S* a, i64 ar, i64 ak, const S* b, i64 bk,
             S* o, i64 stride, bool add) {
    for (i64 r = 0; r < rows; r += ROWS)
        by_columns<S>(columns, [&](i64 j, auto count) {
            V<S> acc[ROWS][decltype(count)::value] = {};
            if (add) load<S>(acc, o + r * stride + j, stride);
            multiply<S>(acc, a + r * ar, ar, ak, b + j, bk, 0, depth);
            store<S>(acc, o + r * stride + j, stride);
        });
}

// sum_i f(i), i < size: `wide(i)` is the vector of f at i, i + 1, ... Sums of 4,096 terms are added
// up in double, so that long rows lose nothing.
template <class S, class F, class G> INLINE double total(i64 size, F wide, G single) {
    constexpr i64 W = WIDTH<S>, BLOCK = 4096;
    double sum = 0;
    i64 i = 0;
    while (i + 4 * W <= size) {
        V<S> acc[4] = {};
        for (const i64 end = std::min(size - 4 * W, i + BLOCK - 4 * W); i <= end; i += 4 * W)
            for (int v = 0; v < 4; v++) acc[v] += wide(i + v * W);
        for (int v = 0; v < 4; v++)
            for (int j = 0; j < W; j++) sum += acc[v][j];
    }
    for (; i < size; i++) sum += single(i);
    return sum;
}
