// Products of a matrix with the rows of all samples: the mixing of snn_ssm/model/mixing.py.
#pragma once
#include "vectors.h"

// y = W x (+ bias, + onto), columns first to last: W (to, from), x (from, M), bias (to,) or null, onto
// (to, M) or null, y (to, M). With `transposed` W is (from, to).
template <class S>
void mix(i64 first, i64 last, i64 to, i64 from, i64 size, bool transposed, const S* weight,
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
