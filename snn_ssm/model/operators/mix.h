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
            by_columns<S>(PANEL, [&](i64 j, auto count) {
                V<S> acc[ROWS][decltype(count)::value] = {};
                multiply<S>(acc, w + o * from, from, 1, panel + j, PANEL, 0, from);
                store<S>(acc, out + j, PANEL);
            });
            for (i64 r = 0; r < rows; r++) {
                const S b = bias ? bias[o + r] : S(0), *row = out + r * PANEL;
                S* put = y + (o + r) * size + t;
                for (i64 j = 0; j < n; j++) put[j] = row[j] + b;
            }
        }
    }
}
