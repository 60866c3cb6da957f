// Products of a matrix with the rows of all samples: the mixing of snn_ssm/model/mixing.py.
#pragma once
#include "vectors.h"

// y = W x (+ bias, + onto), columns first to last: W (to, from), x (from, M), bias (to,) or null, onto
// (to, M) or null, y (to, M). With `transposed` W is (from, to).
template <class S>
void mix(i64 first, i64 last, i64 to, i64 from, i64 size, i64 transposed, const S* weight,
         const S* x, const S* bias, const S* onto, S* y) {
    constexpr i64 WIDE = 2 * WIDTH<S>, PANEL = 1024 / sizeof(S);  // a kilobyte of each row at once
    Buffer<S> w(to, from), panel(PANEL / WIDE * from, WIDE), out(ROWS, WIDE);
    for (i64 o = 0; o < to; o++)
        for (i64 i = 0; i < from; i++)
            w[o * from + i] = transposed ? weight[i * to + o] : weight[o * from + i];
    for (i64 t = first; t < last; t += PANEL) {
        const i64 n = std::min(PANEL, last - t);
        // Columns in blocks of WIDE, a block's rows together: the first cache holds one and W.
        for (i64 i = 0; i < from; i++) {
            const S* in = x + i * size + t;
            for (i64 j = 0; j < n; j += WIDE) {
                S* block = panel + (j * from + i * WIDE);
                if (j + WIDE <= n) at(block) = at(in + j), at(block + WIDTH<S>) = at(in + j + WIDTH<S>);
                else std::copy(in + j, in + n, block);
            }
        }
        for (i64 o = 0; o < to; o += ROWS) {
            const i64 rows = std::min<i64>(ROWS, to - o);
            for (i64 j = 0; j < n; j += WIDE) {
                V<S> acc[ROWS][2];
                for (int r = 0; r < ROWS; r++)
                    for (int c = 0; c < 2; c++) acc[r][c] = V<S>{} + (bias && r < rows ? bias[o + r] : 0);
                multiply<S>(acc, w + o * from, from, 1, panel + j * from, WIDE, 0, from);
                const i64 place = o * size + t + j;
                if (rows == ROWS && j + WIDE <= n) {
                    if (onto)
                        for (int r = 0; r < ROWS; r++)
                            for (int c = 0; c < 2; c++)
                                acc[r][c] += at(onto + place + r * size + c * WIDTH<S>);
                    store<S>(acc, y + place, size);
                } else {
                    store<S>(acc, out, WIDE);
                    for (i64 r = 0; r < rows; r++)
                        for (i64 i = 0; i < std::min(WIDE, n - j); i++)
                            y[place + r * size + i] =
                                out[r * WIDE + i] + (onto ? onto[place + r * size + i] : 0);
                }
            }
        }
    }
}

#if defined(__AVX512F__)
constexpr int TALL = 4, BROAD = 4;  // sums that the registers hold, with what they are made of
#else
constexpr int TALL = 3, BROAD = 3;
#endif

// sums + (r stride + c) W += grad[r] x[c], r < R, c < C, of `columns` columns of rows of `size`
// numbers: a vector each, whose numbers are added up at the end.
template <class S, int R, int C>
INLINE void outer(i64 columns, i64 size, i64 stride, const S* grad, const S* x, S* sums) {
    constexpr int W = WIDTH<S>;
    V<S> acc[R][C];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) acc[r][c] = at(sums + (r * stride + c) * W);
    i64 j = 0;
    for (; j + W <= columns; j += W) {
        V<S> right[C];
        for (int c = 0; c < C; c++) right[c] = at(x + c * size + j);
        for (int r = 0; r < R; r++) {
            const V<S> left = at(grad + r * size + j);
            for (int c = 0; c < C; c++) acc[r][c] += left * right[c];
        }
    }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) {
            S* sum = sums + (r * stride + c) * W;
            at(sum) = acc[r][c];
            for (i64 i = j; i < columns; i++) sum[i - j] += grad[r * size + i] * x[c * size + i];
        }
}

// f(i, Count<N>) for i < n in blocks of N, those left at the end one by one.
template <int N, class F> INLINE void by_blocks(i64 n, F f) {
    i64 i = 0;
    for (; i + N <= n; i += N) f(i, Count<N>());
    for (; i < n; i++) f(i, Count<1>());
}

// gweight = grad x^T, rows first to last: grad (to, M), x (from, M), gweight (to, from). The order of
// a sum is that of the columns, however the rows are shared.
template <class S>
void mix_weight(i64 first, i64 last, i64 from, i64 size, const S* grad, const S* x, S* gweight) {
    constexpr i64 TILE = 64, PANEL = 4096 / sizeof(S), W = WIDTH<S>;  // in the second cache
    Buffer<S> sums(TILE * TILE, W);
    for (i64 o = first; o < last; o += TILE)
        for (i64 i = 0; i < from; i += TILE) {
            const i64 rows = std::min(TILE, last - o), columns = std::min(TILE, from - i);
            sums.clear();
            for (i64 t = 0; t < size; t += PANEL)
                by_blocks<TALL>(rows, [&](i64 r, auto tall) {
                    by_blocks<BROAD>(columns, [&](i64 c, auto broad) {
                        outer<S, decltype(tall)::value, decltype(broad)::value>(
                            std::min(PANEL, size - t), size, TILE, grad + (o + r) * size + t,
                            x + (i + c) * size + t, sums + (r * TILE + c) * W);
                    });
                });
            for (i64 r = 0; r < rows; r++)
                for (i64 c = 0; c < columns; c++) {
                    const S* sum = sums + (r * TILE + c) * W;
                    gweight[(o + r) * from + i + c] = std::accumulate(sum, sum + W, S(0));
                }
        }
}
