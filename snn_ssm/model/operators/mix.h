// Products of a matrix with the rows of all samples: the mixing of snn_ssm/model/mixing.py.
#pragma once
#include "vectors.h"

// y = W x (+ bias), columns first to last: W (to, from), x (from, M), bias (to,) or null, y (to, M).
// With `transposed` W is (from, to).
template <class S>
void mix(i64 first, i64 last, i64 to, i64 from, i64 size, bool transposed, const S* weight,
         const S* x, const S* bias, S* y) {
    constexpr i64 PANEL = 64;  // columns whose 64 rows the first cache holds
    Buffer<S> w(to, from), panel(from, PANEL), out(ROWS, PANEL);
    for (i64 o = 0; o < to; o++)
        for (i64 i = 0; i < from; i++)
            w[o * from + i] = transposed ? weight[i * to + o] : weight[o * from + i];
    for (i64 t = first; t < last; t += PANEL) {
        const i64 n = std::min(PANEL, last - t);
        for (i64 i = 0; i < from; i++) memcpy(panel + i * PANEL, x + i * size + t, n * sizeof(S));
        for (i64 o = 0; o < to; o += ROWS) {
            const i64 rows = std::min<i64>(ROWS, to - o);
            S* put = y + o * size + t;
            by_columns<S>(PANEL, [&](i64 j, auto count) {
                constexpr int N = decltype(count)::value;
                V<S> acc[ROWS][N];
                for (int r = 0; r < ROWS; r++)
                    for (int c = 0; c < N; c++) acc[r][c] = V<S>{} + (bias && r < rows ? bias[o + r] : 0);
                multiply<S>(acc, w + o * from, from, 1, panel + j, PANEL, 0, from);
                if (rows == ROWS && j + N * WIDTH<S> <= n) {
                    store<S>(acc, put + j, size);
                } else {
                    store<S>(acc, out, N * WIDTH<S>);
                    for (i64 r = 0; r < rows; r++)
                        for (i64 i = 0; i < std::min<i64>(N * WIDTH<S>, n - j); i++)
                            put[r * size + j + i] = out[r * N * WIDTH<S> + i];
                }
            });
        }
    }
}
