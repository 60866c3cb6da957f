// The loop over steps of neurons whose spikes reach each other, too, or move their own thresholds:
// snn_ssm/model/reset.py with a history or a recurrent matrix.
//
// All channels of LANES samples, a lane a sample, go through a step together. Arrays of values are
// (groups, L, H, LANES); samples are filled up to whole groups by lanes of zeros, whose gradients are
// zeros. Of a spike's delays there is one tap or more an axon: taps (H, M), or none: one step.
#pragma once
#include <deque>

#include "reset.h"

struct Feedback {
    Loop loop;
    i64 history, memory, wired;  // J, M and whether there is a matrix
};

template <class S> struct Layer {  // parameters a channel, the same in all lanes
    std::deque<Parameters<S>> channels;
    Buffer<S> weight;
    Layer(const Feedback& f, const S* abar, const S* g, const S* r, const S* d, const S* theta,
          const S* matrix)
        : weight(f.wired ? f.loop.channels : 0, f.loop.channels) {
        Loop one = f.loop;
        one.batch = LANES<S>;
        for (i64 h = 0; h < one.channels; h++) {
            channels.emplace_back(one.planes * one.modes);
            gather<S>(channels[h], one, h * LANES<S>, LANES<S>, abar, g, r, d, theta);
        }
        if (f.wired) memcpy(weight, matrix, one.channels * one.channels * sizeof(S));
    }
};

// late = sum_m taps_m s[k - 1 - m], by channels (H, LANES); `s` points at step k of a group.
template <class S>
void arrive_late(S* late, const S* s, i64 k, const Feedback& f, const S* taps) {
    constexpr int W = LANES<S>;
    const i64 channels = f.loop.channels, stride = channels * W;
    for (i64 h = 0; h < channels; h++) {
        V<S> sum = {};
        for (i64 m = 0; m < std::min(f.memory, k); m++) {
            const S weight = taps ? taps[h * f.memory + m] : S(1);
            if (weight != 0) sum += weight * at(s - (m + 1) * stride + h * W);
        }
        at(late + h * W) = sum;
    }
}

// What the history adds to a threshold; `y` points at a channel in step k.
template <class S>
INLINE V<S> raised(const S* y, i64 k, i64 stride, V<S> theta, const S* a, i64 history) {
    V<S> sum = {};
    const V<S> zero = {};
    for (i64 j = 0; j < std::min(history, k); j++)
        sum += at(y - (j + 1) * stride) > theta ? zero + a[j] : zero;
    return sum;
}

// v: the input with what spikes bring, y membranes, s spikes, (groups, L, H, LANES). states: of each
// KEPT steps (groups, blocks, H, numbers + 2, LANES). a (H, J), weight (H, H) by (to, from).
template <class S, bool COMPLEX, bool HARD>
void feedback_forward_of(i64 first, i64 last, const Feedback& f, const S* u, const S* abar,
                      const S* g, const S* r, const S* d, const S* theta, const S* a,
                      const S* weight, const S* taps, S* v, S* y, S* s, S* states) {
    constexpr int W = LANES<S>;
    const Loop& z = f.loop;
    const i64 channels = z.channels, stride = channels * W;
    const i64 size = (z.planes * z.modes + 2) * W, blocks = (z.length + KEPT - 1) / KEPT;
    Layer<S> layer(f, abar, g, r, d, theta, weight);
    Buffer<S> x(channels, size), late(channels, W), in(channels, W);
    for (i64 group = first; group < last; group++) {
        x.clear();
        for (i64 k = 0; k < z.length; k++) {
            const i64 step = (group * z.length + k) * stride;
            if (k % KEPT == 0)
                memcpy(states + (group * blocks + k / KEPT) * channels * size, x,
                       channels * size * sizeof(S));
            if (f.wired) {
                arrive_late<S>(late, s + step, k, f, taps);
                product<S>(channels, W, channels, layer.weight, channels, 1, late, W, in, W, false);
            }
            for (i64 h = 0; h < channels; h++) {
                const i64 here = step + h * W;
                Parameters<S>& p = layer.channels[h];
                const V<S> zero = {}, level = zero + theta[h];
                const V<S> all = f.wired ? at(u + here) + at(in + h * W) : at(u + here);
                if (a)
                    at<S>(p.theta) =
                        level + raised<S>(y + here, k, stride, level, a + h * f.history, f.history);
                S* own = x + h * size;
                at(v + here) = all;
                at(y + here) = advance_lanes<S, COMPLEX, HARD>(own, own, all, p, z);
                at(s + here) = at(own + size - 2 * W);
            }
        }
    }
}

template <class S> INLINE S lane_sum(V<S> x) {
    S sum = 0;
    for (int l = 0; l < LANES<S>; l++) sum += x[l];
    return sum;
}

// Gradients: gv of v, and a group's sums of abar, g, r (groups, numbers, H), d and theta (groups, H)
// and a (groups, H, J). That of the matrix and of its taps is a product of gv and s. gs may be null.
template <class S, bool COMPLEX, bool HARD>
void feedback_backward_of(i64 first, i64 last, const Feedback& f, const S* gy, const S* gs,
                       const S* v, const S* y, const S* states, const S* abar, const S* g,
                       const S* r, const S* d, const S* theta, const S* a, const S* weight,
                       const S* taps, S* gv, S* gabar, S* gg, S* gr, S* gd, S* gtheta, S* ga) {
    constexpr int W = LANES<S>;
    const Loop& z = f.loop;
    const i64 channels = z.channels, stride = channels * W, history = a ? f.history : 0;
    const i64 numbers = z.planes * z.modes, size = (numbers + 2) * W;
    const i64 blocks = (z.length + KEPT - 1) / KEPT, whole = channels * size;
    const bool back = f.wired && !z.instant;
    const V<S> zero = {};
    Layer<S> layer(f, abar, g, r, d, theta, weight);
    std::deque<Gradients<S>> sums;
    for (i64 h = 0; h < channels; h++) sums.emplace_back(numbers);
    // Of a step: distances from the threshold at rest and as raised, then the surrogates of them.
    Buffer<S> xs(KEPT + 1, whole), rest(channels, W), slope(channels, W);
    // What goes back to the spikes of earlier steps: of all steps, since taps and histories are long.
    Buffer<S> late(back ? z.length : 0, stride), moves(history ? z.length : 0, stride);
    Buffer<S> sa(history ? channels * history : 0, W), sent(channels, W);  // filled up to blocks
    for (i64 group = first; group < last; group++) {
        const i64 start = group * z.length * stride;
        for (Gradients<S>& q : sums) q.clear();
        sa.clear();
        for (i64 c = blocks - 1; c >= 0; c--) {
            const i64 steps = std::min(KEPT, z.length - c * KEPT);
            memcpy(xs, states + (group * blocks + c) * whole, whole * sizeof(S));
            for (i64 i = 0; i < steps; i++)
                for (i64 h = 0; h < channels; h++) {
                    const i64 k = c * KEPT + i, here = start + k * stride + h * W;
                    const V<S> level = zero + theta[h];
                    if (history)
                        at<S>(layer.channels[h].theta) =
                            level + raised<S>(y + here, k, stride, level, a + h * history, history);
                    S* before = xs + i * whole + h * size;
                    advance_lanes<S, COMPLEX, HARD>(before + whole, before, at(v + here),
                                                    layer.channels[h], z);
                }
            for (i64 i = steps - 1; i >= 0; i--) {
                const i64 k = c * KEPT + i, step = start + k * stride;
                for (i64 h = 0; h < channels; h++) {
                    const S* membrane = y + step + h * W;
                    const V<S> level = zero + theta[h], above = at(membrane) - level;
                    at(rest + h * W) = above;
                    at(slope + h * W) = above;
                    if (history)
                        at(slope + h * W) = at(membrane) - (level + raised<S>(
                            membrane, k, stride, level, a + h * history, history));
                }
                derive<S>(z, slope, channels * W);
                if (history) derive<S>(z, rest, channels * W);
                for (i64 h = 0; h < channels; h++) {
                    const i64 here = step + h * W;
                    const S* before = xs + i * whole + h * size;
                    Gradients<S>& q = sums[h];
                    V<S> e = at(gy + here), ds = at<S>(q.reset);
                    if (gs) ds += at(gs + here);
                    if (back)
                        for (i64 m = 0; m < std::min(f.memory, z.length - 1 - k); m++) {
                            const S tap = taps ? taps[h * f.memory + m] : S(1);
                            if (tap != 0) ds += tap * at(late + (k + 1 + m) * stride + h * W);
                        }
                    V<S> moved = at(slope + h * W) * ds;
                    moved = at(before + (numbers + 1) * W) > zero ? zero : moved;
                    if (history) {
                        at(moves + k * stride + h * W) = moved;
                        V<S> dp = zero;
                        for (i64 j = 0; j < history; j++) {
                            const S raise = a[h * history + j];
                            if (k > j) {
                                const V<S> past = at(y + here - (j + 1) * stride);
                                at(sa + (h * history + j) * W) -=
                                    past > zero + theta[h] ? moved : zero;
                            }
                            if (!z.instant && k + 1 + j < z.length)
                                dp -= raise * at(moves + (k + 1 + j) * stride + h * W);
                        }
                        moved += at(rest + h * W) * dp;
                    }
                    e += moved;
                    at<S>(q.theta) -= moved;
                    at(gv + here) = back_lanes<S, COMPLEX, HARD>(before, before + whole, e,
                                                                 at(v + here), q,
                                                                 layer.channels[h], z);
                }
                if (back) {
                    product<S>(channels, W, channels, layer.weight, 1, channels, gv + step, W, sent,
                               W, false);
                    memcpy(late + k * stride, sent, stride * sizeof(S));
                }
            }
        }
        for (i64 h = 0; h < channels; h++) {
            Gradients<S>& q = sums[h];
            for (i64 i = 0; i < numbers; i++) {
                const i64 place = (group * numbers + i) * channels + h;
                gabar[place] = lane_sum<S>(at(q.abar + i * W));
                gg[place] = lane_sum<S>(at(q.g + i * W));
                gr[place] = lane_sum<S>(at(q.r + i * W));
            }
            gd[group * channels + h] = lane_sum<S>(at<S>(q.d));
            gtheta[group * channels + h] = lane_sum<S>(at<S>(q.theta));
            for (i64 j = 0; j < history; j++)
                ga[(group * channels + h) * history + j] =
                    lane_sum<S>(at(sa + (h * history + j) * W));
        }
    }
}
