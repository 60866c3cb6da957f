// The convolution of snn_ssm/model/chunks.py, a channel after the other; its equations stand there.
//
// u, y (H, B, L); chunks of T steps, C to a sample. A state is M numbers: N real parts, of complex
// modes N imaginary ones, and zeros up to whole vectors. k (H, T): the kernel; enter (H, T, M): E;
// leave (H, M, T): F, of complex modes (Re F, -Im F); decay (H, M): D; states (H, B, C, M): X. T is of
// whole vectors. With a norm's weight (H,), else null, u is normed as it is read, by mean and var (H,).
#pragma once
#include "norm.h"
#include "vectors.h"

struct Sizes {
    i64 batch, length, steps, count, modes, planes, state;
    i64 samples() const { return std::max<i64>(1, 384 / count); }  // whose chunks the caches hold
};

// The tables, from abar and g (H, planes, N) and d (H,) in double. enter_t and leave_t: E and F
// transposed.
template <class S>
void tables_forward(i64 first, i64 last, const Sizes& z, const double* abar, const double* g,
                    const double* d, S* k, S* enter, S* enter_t, S* leave, S* leave_t, S* decay) {
    const i64 T = z.steps, M = z.state, n = z.modes;
    std::vector<double> sums(T);
    const auto fill = [](S* x, i64 size) { std::fill(x, x + size, S(0)); };
    for (i64 h = first; h < last; h++) {
        S *e = enter + h * T * M, *et = enter_t + h * T * M, *dec = decay + h * M;
        S *f = leave + h * T * M, *ft = leave_t + h * T * M;
        for (S* table : {e, et, f, ft}) fill(table, T * M);
        fill(dec, M);
        std::fill(sums.begin(), sums.end(), 0.0);
        sums[0] = d[h];
        for (i64 i = 0; i < n; i++) {
            const double *a = abar + h * z.planes * n + i, *w = g + h * z.planes * n + i;
            const double ai = z.planes == 2 ? a[n] : 0, wi = z.planes == 2 ? w[n] : 0;
            double re = 1, im = 0;  // abar^j
            for (i64 j = 0; j <= T; j++) {
                const double real = *w * re - wi * im, imaginary = *w * im + wi * re;
                for (i64 plane = 0; plane < z.planes; plane++) {
                    const i64 m = plane * n + i;
                    const S power = plane ? im : re, out = plane ? -imaginary : real;
                    if (j < T) e[(T - 1 - j) * M + m] = et[m * T + T - 1 - j] = power;
                    if (j > 0) f[m * T + j - 1] = ft[(j - 1) * M + m] = out;
                    if (j == T) dec[m] = power;
                }
                if (j < T) sums[j] += real;
                const double next = re * *a - im * ai;
                im = re * ai + im * *a;
                re = next;
            }
        }
        for (i64 j = 0; j < T; j++) k[h * T + j] = sums[j];
    }
}

// Gradients of abar, g and d from those of the tables.
template <class S>
void tables_backward(i64 first, i64 last, const Sizes& z, const double* abar, const double* g,
                     const S* gk, const S* genter, const S* gleave_t, const S* gdecay,
                     double* gabar, double* gg, double* gd) {
    const i64 T = z.steps, M = z.state, n = z.modes;
    for (i64 h = first; h < last; h++) {
        const S *k = gk + h * T, *e = genter + h * T * M, *f = gleave_t + h * T * M;
        gd[h] = k[0];
        for (i64 i = 0; i < n; i++) {
            const i64 place = h * z.planes * n + i;
            const bool two = z.planes == 2;
            const double ar = abar[place], ai = two ? abar[place + n] : 0;
            const double wr = g[place], wi = two ? g[place + n] : 0;
            double re = 1, im = 0, before_re = 0, before_im = 0;  // abar^j, abar^(j-1)
            double sar = 0, sai = 0, sgr = 0, sgi = 0;
            for (i64 j = 0; j <= T; j++) {
                // Of g abar^j, by K and F; F's imaginary part is stored with its sign turned.
                double or_ = 0, oi = 0, pr = 0, pi = 0;
                if (j < T) {
                    or_ += k[j];
                    pr += e[(T - 1 - j) * M + i];
                    pi += two ? e[(T - 1 - j) * M + n + i] : S(0);
                } else {
                    pr += gdecay[h * M + i];
                    pi += two ? gdecay[h * M + n + i] : S(0);
                }
                if (j > 0) {
                    or_ += f[(j - 1) * M + i];
                    oi -= two ? f[(j - 1) * M + n + i] : S(0);
                }
                sgr += re * or_ + im * oi;
                sgi += re * oi - im * or_;
                pr += wr * or_ + wi * oi;
                pi += wr * oi - wi * or_;
                sar += j * (before_re * pr + before_im * pi);
                sai += j * (before_re * pi - before_im * pr);
                before_re = re, before_im = im;
                re = before_re * ar - before_im * ai;
                im = before_re * ai + before_im * ar;
            }
            gabar[place] = sar;
            gg[place] = sgr;
            if (two) gabar[place + n] = sai, gg[place + n] = sgi;
        }
    }
}

// x = d x + s of one state, or conj(d) x + s.
template <class S>
INLINE void advance(S* next, const S* x, const S* s, const S* d, const Sizes& z, bool conjugate) {
    const i64 n = z.modes;
    if (z.planes == 1) {
        for_vectors<S>(n, [&](i64 i, auto get) { get(next + i) = get(d + i) * get(x + i) + get(s + i); });
        return;
    }
    const S sign = conjugate ? -1 : 1;
    for_vectors<S>(n, [&](i64 i, auto get) {
        const auto re = get(x + i), im = get(x + n + i), dr = get(d + i), di = sign * get(d + n + i);
        get(next + i) = dr * re - di * im + get(s + i);
        get(next + n + i) = dr * im + di * re + get(s + n + i);
    });
}

template <class S>
void pack(S* to, const S* from, i64 samples, const Sizes& z, const Normed<S>* norm = nullptr) {
    const i64 whole = z.count * z.steps;
    for (i64 b = 0; b < samples; b++) {
        if (norm) norm->apply(to + b * whole, from + b * z.length, z.length);
        else memcpy(to + b * whole, from + b * z.length, z.length * sizeof(S));
        std::fill(to + b * whole + z.length, to + (b + 1) * whole, S(0));
    }
}

// Where ROWS rows of chunks, the first one r, belong in `samples` samples, and for how many steps.
template <class S> struct Places {
    S* to[ROWS];
    i64 room[ROWS];
    Places(S* samples, i64 r, i64 rows, const Sizes& z) {
        for (i64 i = 0; i < ROWS; i++) {
            const i64 b = (r + i) / z.count, c = (r + i) % z.count;
            to[i] = samples + b * z.length + c * z.steps;
            room[i] = r + i < rows ? z.length - c * z.steps : 0;
        }
    }
    template <int N> INLINE void store(const V<S> (&acc)[ROWS][N], i64 j) const {
        for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < N; c++) {
                const i64 at_ = j + c * WIDTH<S>;
                if (at_ + WIDTH<S> <= room[r]) at(to[r] + at_) = acc[r][c];
                else for (i64 i = at_; i < room[r]; i++) to[r][i] = acc[r][c][i - at_];
            }
    }
};

template <class S>
Normed<S> normed(i64 h, const S* weight, const S* bias, const S* mean, const S* var, double eps) {
    return weight ? Normed<S>(mean[h], var[h], weight[h], bias[h], eps) : Normed<S>();
}

template <class S>
void chunks_forward(i64 first, i64 last, const Sizes& z, const S* u, const S* weight, const S* bias,
                    double eps, const S* k, const S* enter, const S* leave, const S* decay, S* y,
                    S* states, S* mean, S* var) {
    const i64 T = z.steps, C = z.count, M = z.state, most = std::min(z.samples(), z.batch);
    Buffer<S> in(most * C, T), added(most * C, M), x(most * C, M), wide(1, 2 * T);
    for (i64 h = first; h < last; h++) {
        const S *e = enter + h * T * M, *f = leave + h * M * T, *d = decay + h * M;
        memcpy(wide + T, k + h * T, T * sizeof(S));  // wide[T + j] = K[j], zeros before
        if (weight) moments<S>(z.batch * z.length, u + h * z.batch * z.length, mean[h], var[h]);
        const auto norm = normed<S>(h, weight, bias, mean, var, eps);
        for (i64 b = 0; b < z.batch; b += most) {
            const i64 samples = std::min(most, z.batch - b), rows = samples * C;
            const i64 place = (h * z.batch + b) * z.length;
            pack<S>(in, u + place, samples, z, weight ? &norm : nullptr);
            product<S>(rows, M, T, in, T, 1, e, M, added, M, false);
            for (i64 c = 0; c < C; c++)
                for (i64 s = 0; s < samples; s++) {
                    S* to = x + (s * C + c) * M;
                    if (c) advance<S>(to, to - M, added + (s * C + c - 1) * M, d, z, false);
                    else std::fill(to, to + M, S(0));
                }
            for (i64 r = 0; r < rows; r += ROWS) {
                const Places<S> places(y + place, r, rows, z);
                fetch(u + place + (rows + r) * T, ROWS * T);
                by_columns<S>(T, [&](i64 j, auto count) {
                    constexpr int N = decltype(count)::value;
                    V<S> acc[ROWS][N] = {};
                    multiply<S>(acc, x + r * M, M, 1, f + j, T, 0, M);
                    multiply<S>(acc, in + r * T, T, 1, wide + T + j, -1, 0, j + N * WIDTH<S>);
                    places.store(acc, j);
                });
            }
            memcpy(states + (h * z.batch + b) * C * M, x, rows * M * sizeof(S));
        }
    }
}

// enter_t (H, M, T) and leave_t (H, T, M): E and F transposed. Makes the gradients of u (unless gu is
// null), k, enter, decay, and of F transposed; with a norm of its weight and bias too, and that of u
// has `more` (or null) added, the gradient of who else reads u.
template <class S>
void chunks_backward(i64 first, i64 last, const Sizes& z, const S* grad, const S* u,
                     const S* weight, const S* bias, double eps, const S* mean, const S* var,
                     const S* more, const S* states, const S* k, const S* enter_t,
                     const S* leave_t, const S* decay, S* gu, S* gweight, S* gbias, S* gk,
                     S* genter, S* gleave_t, S* gdecay) {
    constexpr i64 BLOCK = 64;  // rows of two factors that the first cache holds
    const i64 T = z.steps, C = z.count, M = z.state, most = std::min(z.samples(), z.batch);
    Buffer<S> in(most * C, T), dy(most * C, T), x(most * C, M), g(most * C, M);
    Buffer<S> from(most * C, M), wide(1, 2 * T + 2 * WIDTH<S>), gram(T, T), ge(T, M), gf(T, M);
    for (i64 h = first; h < last; h++) {
        const S *e = enter_t + h * M * T, *f = leave_t + h * T * M, *d = decay + h * M;
        for (i64 j = 0; j < T; j++) wide[T - 1 - j] = k[h * T + j];  // zeros behind
        gram.clear();
        ge.clear();
        gf.clear();
        S* gd = gdecay + h * M;
        std::fill(gd, gd + M, S(0));
        const auto norm = normed<S>(h, weight, bias, mean, var, eps);
        for (i64 b = 0; b < z.batch; b += most) {
            const i64 samples = std::min(most, z.batch - b), rows = samples * C;
            const i64 place = (h * z.batch + b) * z.length;
            pack<S>(in, u + place, samples, z, weight ? &norm : nullptr);
            pack<S>(dy, grad + place, samples, z);
            memcpy(x, states + (h * z.batch + b) * C * M, rows * M * sizeof(S));
            product<S>(rows, M, T, dy, T, 1, f, M, from, M, false);
            for (i64 c = C - 1; c >= 0; c--)
                for (i64 s = 0; s < samples; s++) {
                    S* to = g + (s * C + c) * M;
                    if (c + 1 < C) advance<S>(to, to + M, from + (s * C + c + 1) * M, d, z, true);
                    else std::fill(to, to + M, S(0));
                }
            if (gu)
                for (i64 r = 0; r < rows; r += ROWS) {
                    const Places<S> places(gu + place, r, rows, z);
                    fetch(u + place + (rows + r) * T, ROWS * T);
                    fetch(grad + place + (rows + r) * T, ROWS * T);
                    by_columns<S>(T, [&](i64 j, auto count) {
                        constexpr int N = decltype(count)::value;
                        V<S> acc[ROWS][N] = {};
                        multiply<S>(acc, g + r * M, M, 1, e + j, T, 0, M);
                        multiply<S>(acc, dy + r * T, T, 1, wide + T - 1 + j, -1, j, T);
                        places.store(acc, j);
                    });
                }
            for (i64 r = 0; r < rows; r += BLOCK) {
                const i64 depth = std::min(BLOCK, rows - r);
                const S *left = in + r * T, *right = dy + r * T;
                for (i64 i = 0; i < T; i += ROWS)
                    by_columns<S>(T, [&](i64 j, auto count) {
                        constexpr int N = decltype(count)::value;
                        if (j + N * WIDTH<S> <= i) return;  // before the diagonal
                        V<S> acc[ROWS][N];
                        load<S>(acc, gram + i * T + j, T);
                        multiply<S>(acc, left + i, 1, T, right + j, T, 0, depth);
                        store<S>(acc, gram + i * T + j, T);
                    });
                product<S>(T, M, depth, left, 1, T, g + r * M, M, ge, M, true);
                product<S>(T, M, depth, right, 1, T, x + r * M, M, gf, M, true);
            }
            const i64 n = z.modes;
            for (i64 r = 0; r < rows; r++) {
                const S *a = g + r * M, *c = x + r * M;
                if (z.planes == 1) {
                    for_vectors<S>(n, [&](i64 i, auto get) { get(gd + i) += get(a + i) * get(c + i); });
                    continue;
                }
                for_vectors<S>(n, [&](i64 i, auto get) {
                    const auto ar = get(a + i), ai = get(a + n + i), cr = get(c + i), ci = get(c + n + i);
                    get(gd + i) += ar * cr + ai * ci;
                    get(gd + n + i) += ai * cr - ar * ci;
                });
            }
        }
        if (weight) {
            const i64 row = h * z.batch * z.length;
            norm_gradients<S>(z.batch * z.length, gu + row, u + row, norm, more ? more + row : more,
                              gu + row, gweight[h], gbias[h]);
        }
        S* sums = gk + h * T;
        std::fill(sums, sums + T, S(0));
        for (i64 s = 0; s < T; s++)
            for (i64 t = s; t < T; t++) sums[t - s] += gram[s * T + t];
        memcpy(genter + h * T * M, ge, T * M * sizeof(S));
        memcpy(gleave_t + h * T * M, gf, T * M * sizeof(S));
    }
}
