// The loop over steps of neurons whose spikes reset them: snn_ssm/model/reset.py, whose equations
// these are, operation by operation: compiled without fused multiply-add, so that spikes are the
// same.
//
// Rows are the neurons of all samples, (R, L), R = H B, row h B + b of channel h. A group of LANES
// rows goes through the steps together, whatever the batch. Complex numbers are planes: `planes` is
// 1 or 2, of (planes, H, N) numbers.
#pragma once
#include "spikes.h"

struct Loop {
    i64 channels, batch, length, modes, planes, hard, refractory, through, instant, kind;
    double slope;
};

template <class S> constexpr int LANES = WIDTH<S>;  // a row each
constexpr i64 KEPT = 32;  // steps from one state that is kept for the way back to the next

template <class S> struct Parameters {  // of a group's rows, a lane a row; 0 where there is no row
    Buffer<S> abar, g, r, d, theta;
    Parameters(i64 numbers)
        : abar(numbers, LANES<S>), g(numbers, LANES<S>), r(numbers, LANES<S>), d(1, LANES<S>),
          theta(1, LANES<S>) {}
};

template <class S>
void gather(Parameters<S>& p, const Loop& z, i64 row, i64 rows, const S* abar, const S* g,
            const S* r, const S* d, const S* theta) {
    constexpr int W = LANES<S>;
    const i64 numbers = z.planes * z.modes;
    for (i64 l = 0; l < W; l++) {
        const bool there = l < rows;
        const i64 h = there ? (row + l) / z.batch : 0;
        for (i64 i = 0; i < numbers; i++) {
            const i64 at = (i / z.modes * z.channels + h) * z.modes + i % z.modes;
            p.abar[i * W + l] = there ? abar[at] : S(0);
            p.g[i * W + l] = there ? g[at] : S(0);
            p.r[i * W + l] = there && r ? r[at] : S(0);
        }
        p.d[l] = there ? d[h] : S(0);
        p.theta[l] = there ? theta[h] : S(0);
    }
}

// Columns of W vectors of W numbers for their rows, by exchanging halves, quarters, ...
#if defined(__GNUC__) && !defined(__clang__)
template <class S, int STEP> INLINE void flip(V<S>* rows) {
    constexpr int W = WIDTH<S>;
    decltype(rows[0] > rows[0]) low, high;
    for (int j = 0; j < W; j++) {
        low[j] = j & STEP ? W + j - STEP : j;
        high[j] = j & STEP ? W + j : j + STEP;
    }
    for (int i = 0; i < W; i++) {
        if (i & STEP) continue;
        const V<S> one = rows[i], other = rows[i + STEP];
        rows[i] = __builtin_shuffle(one, other, low);
        rows[i + STEP] = __builtin_shuffle(one, other, high);
    }
    if constexpr (STEP > 1) flip<S, STEP / 2>(rows);
}
#else
template <class S, int STEP> INLINE void flip(V<S>* rows) {
    for (int i = 0; i < WIDTH<S>; i++)
        for (int j = 0; j < i; j++) {
            const S x = rows[i][j];
            rows[i][j] = rows[j][i];
            rows[j][i] = x;
        }
}
#endif

// Rows (rows, L) to steps (steps, LANES), `steps` of them; `whole` blocks in vectors, what is left a
// number at a time. And back.
template <class S> void transpose_in(S* to, const S* from, i64 rows, i64 length, i64 steps) {
    constexpr int W = LANES<S>;
    const i64 whole = rows == W ? steps / W * W : 0;
    for (i64 k = 0; k < whole; k += W) {
        V<S> block[W];
        for (int l = 0; l < W; l++) block[l] = at(from + l * length + k);
        flip<S, W / 2>(block);
        for (int j = 0; j < W; j++) at(to + (k + j) * W) = block[j];
    }
    for (i64 l = 0; l < rows; l++)
        for (i64 k = whole; k < steps; k++) to[k * W + l] = from[l * length + k];
}

template <class S> void transpose_out(S* to, const S* from, i64 rows, i64 length, i64 steps) {
    constexpr int W = LANES<S>;
    const i64 whole = rows == W ? steps / W * W : 0;
    for (i64 k = 0; k < whole; k += W) {
        V<S> block[W];
        for (int j = 0; j < W; j++) block[j] = at(from + (k + j) * W);
        flip<S, W / 2>(block);
        for (int l = 0; l < W; l++) at(to + l * length + k) = block[l];
    }
    for (i64 l = 0; l < rows; l++)
        for (i64 k = whole; k < steps; k++) to[l * length + k] = from[k * W + l];
}

// One step of a group. x (numbers, LANES): the state; behind it s and rest, the last step's spikes and
// the steps for which neurons still rest. Returns y.
template <class S, bool COMPLEX, bool HARD>
INLINE V<S> advance_lanes(S* next, const S* x, V<S> u, Parameters<S>& p, const Loop& z) {
    constexpr int W = LANES<S>;
    const i64 n = z.modes, numbers = z.planes * n;
    const V<S> zero = {}, one = zero + 1, s = at(x + numbers * W), rest = at(x + numbers * W + W);
    const auto spiked = s > zero, held = rest > zero;
    V<S> y = at<S>(p.d) * u;
    for (i64 i = 0; i < n; i++) {
        const i64 a = i * W, b = (n + i) * W;
        V<S> re = at(x + a), im = zero;
        if (HARD) re = spiked ? zero : re;
        else re = re - at(p.r + a) * s;
        if (COMPLEX) {
            im = at(x + b);
            if (HARD) im = spiked ? zero : im;
            else im = im - at(p.r + b) * s;
            const V<S> kept = re;
            re = at(p.abar + a) * kept - at(p.abar + b) * im + u;
            im = at(p.abar + a) * im + at(p.abar + b) * kept;
        } else {
            re = at(p.abar + a) * re + u;
        }
        if (HARD) re = held ? zero : re, im = held ? zero : im;
        at(next + a) = re;
        y += at(p.g + a) * re;
        if (COMPLEX) {
            at(next + b) = im;
            y -= at(p.g + b) * im;
        }
    }
    const auto above = y > at<S>(p.theta);
    const V<S> fired = held ? zero : (above ? one : zero);
    at(next + numbers * W) = fired;
    at(next + numbers * W + W) =
        fired > zero ? zero + S(z.refractory) : rest - (held ? one : zero);
    return y;
}

// Membranes and, unless null, spikes (R, L). states: of each group and each KEPT steps x, s and rest: (groups, blocks, numbers + 2, LANES).
template <class S, bool COMPLEX, bool HARD>
void loop_forward_of(i64 first, i64 last, const Loop& z, const S* u, const S* abar, const S* g,
                  const S* r, const S* d, const S* theta, S* y, S* spikes, S* states) {
    constexpr int W = LANES<S>;
    const i64 numbers = z.planes * z.modes, all = z.channels * z.batch, size = (numbers + 2) * W;
    const i64 blocks = (z.length + KEPT - 1) / KEPT;
    Parameters<S> p(numbers);
    Buffer<S> x(numbers + 2, W), in(KEPT, W), out(KEPT, W), fired(KEPT, W);
    for (i64 group = first; group < last; group++) {
        const i64 row = group * W, rows = std::min<i64>(W, all - row);
        gather<S>(p, z, row, rows, abar, g, r, d, theta);
        x.clear();
        in.clear();
        for (i64 c = 0; c < blocks; c++) {
            const i64 steps = std::min(KEPT, z.length - c * KEPT), place = row * z.length + c * KEPT;
            memcpy(states + (group * blocks + c) * size, x, size * sizeof(S));
            transpose_in<S>(in, u + place, rows, z.length, steps);
            for (i64 k = 0; k < steps; k++) {
                const V<S> v = advance_lanes<S, COMPLEX, HARD>(x, x, at(in + k * W), p, z);
                at(out + k * W) = v;
                at(fired + k * W) = at(x + numbers * W);
            }
            transpose_out<S>(y + place, out, rows, z.length, steps);
            if (spikes) transpose_out<S>(spikes + place, fired, rows, z.length, steps);
        }
    }
}

// The surrogate's derivative, in place.
template <class S> __attribute__((noinline)) void derive(const Loop& z, S* x, i64 size) {
    with_derivative<S>(z.kind, z.slope, [=](auto derivative) {
        for (i64 i = 0; i < size; i++) x[i] = derivative(x[i]);
    });
}

// What goes back through the steps of a group, a lane a row. carry (numbers) and reset: the gradients
// of the modes before the step after, and of the spike that they lost something by; the others are
// sums over the steps.
template <class S> struct Gradients {
    Buffer<S> carry, abar, g, r, d, theta, reset;
    Gradients(i64 numbers)
        : carry(numbers, LANES<S>), abar(numbers, LANES<S>), g(numbers, LANES<S>),
          r(numbers, LANES<S>), d(1, LANES<S>), theta(1, LANES<S>), reset(1, LANES<S>) {}
    void clear() {
        for (Buffer<S>* x : {&carry, &abar, &g, &r, &d, &theta, &reset}) x->clear();
    }
};

// A step of a group back: e is the gradient of y, u its input, `before` the state that it began
// with, x the one after it. Returns the gradient of u.
template <class S, bool COMPLEX, bool HARD>
INLINE V<S> back_lanes(const S* before, const S* x, V<S> e, V<S> u, Gradients<S>& q,
                       Parameters<S>& p, const Loop& z) {
    constexpr int W = LANES<S>;
    const i64 n = z.modes, numbers = z.planes * n;
    const V<S> zero = {}, s = at(before + numbers * W), rest = at(before + numbers * W + W);
    const auto spiked = s > zero, held = rest > zero;
    V<S> total = at<S>(p.d) * e, reset = zero;
    at<S>(q.d) += e * u;
    for (i64 i = 0; i < n; i++) {
        const i64 a = i * W, b = (n + i) * W;
        const V<S> xr = at(before + a), ar = at(p.abar + a);
        V<S> re = at(q.carry + a) + at(p.g + a) * e;
        at(q.g + a) += e * at(x + a);
        if (HARD) re = held ? zero : re;
        total += re;
        const V<S> kr = HARD ? (spiked ? zero : xr) : xr - at(p.r + a) * s;
        V<S> cr = ar * re;
        if (COMPLEX) {
            const V<S> xi = at(before + b), ai = at(p.abar + b);
            V<S> im = at(q.carry + b) - at(p.g + b) * e;
            at(q.g + b) -= e * at(x + b);
            if (HARD) im = held ? zero : im;
            const V<S> ki = HARD ? (spiked ? zero : xi) : xi - at(p.r + b) * s;
            cr += ai * im;
            V<S> ci = ar * im - ai * re;
            at(q.abar + a) += re * kr + im * ki;
            at(q.abar + b) += im * kr - re * ki;
            reset -= ci * (HARD ? xi : at(p.r + b));
            if (!HARD) at(q.r + b) -= ci * s;
            if (HARD) ci = spiked ? zero : ci;
            at(q.carry + b) = z.instant ? zero : ci;
        } else {
            at(q.abar + a) += re * kr;
        }
        reset -= cr * (HARD ? xr : at(p.r + a));
        if (!HARD) at(q.r + a) -= cr * s;
        if (HARD) cr = spiked ? zero : cr;
        at(q.carry + a) = z.instant ? zero : cr;
    }
    at<S>(q.reset) = z.through && !z.instant ? reset : zero;
    return total;
}

// Gradients of u (R, L), and a row each of abar, g, r (planes, N, R), d and theta (R,). gs may be null.
template <class S, bool COMPLEX, bool HARD>
void loop_backward_of(i64 first, i64 last, const Loop& z, const S* gy, const S* gs, const S* u,
                   const S* states, const S* abar, const S* g, const S* r, const S* d,
                   const S* theta, S* gu, S* gabar, S* gg, S* gr, S* gd, S* gtheta) {
    constexpr int W = LANES<S>;
    const i64 numbers = z.planes * z.modes, all = z.channels * z.batch;
    const i64 size = (numbers + 2) * W, blocks = (z.length + KEPT - 1) / KEPT;
    Parameters<S> p(numbers);
    Gradients<S> q(numbers);
    Buffer<S> xs((KEPT + 1) * (numbers + 2), W), in(KEPT, W), dy(KEPT, W), ds(KEPT, W);
    Buffer<S> out(KEPT, W), slope(KEPT, W);
    const bool spikes = gs || z.through;
    for (i64 group = first; group < last; group++) {
        const i64 row = group * W, rows = std::min<i64>(W, all - row);
        gather<S>(p, z, row, rows, abar, g, r, d, theta);
        q.clear();
        for (Buffer<S>* values : {&in, &dy, &ds}) values->clear();
        for (i64 c = blocks - 1; c >= 0; c--) {
            const i64 steps = std::min(KEPT, z.length - c * KEPT), place = row * z.length + c * KEPT;
            transpose_in<S>(in, u + place, rows, z.length, steps);
            transpose_in<S>(dy, gy + place, rows, z.length, steps);
            if (gs) transpose_in<S>(ds, gs + place, rows, z.length, steps);
            memcpy(xs, states + (group * blocks + c) * size, size * sizeof(S));
            for (i64 k = 0; k < steps; k++) {  // xs[k]: before step k
                const S* before = xs + k * size;
                const V<S> y = advance_lanes<S, COMPLEX, HARD>((S*)before + size, before,
                                                               at(in + k * W), p, z);
                at(slope + k * W) = y - at<S>(p.theta);
            }
            if (spikes) derive<S>(z, slope, steps * W);
            for (i64 k = steps - 1; k >= 0; k--) {
                const S* before = xs + k * size;
                V<S> e = at(dy + k * W);
                if (spikes) {
                    const V<S> zero = {};
                    V<S> moved = at(slope + k * W) * (at(ds + k * W) + at<S>(q.reset));
                    moved = at(before + (numbers + 1) * W) > zero ? zero : moved;
                    e += moved;
                    at<S>(q.theta) -= moved;
                }
                at(out + k * W) = back_lanes<S, COMPLEX, HARD>(before, before + size, e,
                                                               at(in + k * W), q, p, z);
            }
            transpose_out<S>(gu + place, out, rows, z.length, steps);
        }
        for (i64 l = 0; l < rows; l++) {
            for (i64 i = 0; i < numbers; i++) {
                gabar[i * all + row + l] = q.abar[i * W + l];
                gg[i * all + row + l] = q.g[i * W + l];
                gr[i * all + row + l] = q.r[i * W + l];
            }
            gd[row + l] = q.d[l];
            gtheta[row + l] = q.theta[l];
        }
    }
}
