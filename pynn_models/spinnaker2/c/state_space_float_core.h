/* The state-space neuron in float32, for SpiNNaker 2's Cortex-M4F: no library, no memory of its own.
 *
 *     v = u + bias,  x[n] = a[n] x[n] + v,  y = d v + sum_n Re(c[n] x[n]),  a spike if y > theta
 *
 * Operations are rounded one by one in the order written here, which is that of the NumPy model:
 * compile with -ffp-contract=off, since a fused multiply-add rounds once where this rounds twice. */
#ifndef STATE_SPACE_FLOAT_CORE_H
#define STATE_SPACE_FLOAT_CORE_H

#include <stdint.h>

typedef struct {
    float a_re, a_im, c_re, c_im, x_re, x_im;
} state_space_float_mode_t;

typedef struct {
    float a, c, x;
} state_space_float_real_mode_t;

typedef struct {
    float d, bias, theta;
} state_space_float_neuron_t; /* its modes follow */

/* A spike's weights onto one receptor of n neurons, whose sums are `stride` words apart. */
static inline void state_space_float_spike(
        int32_t *sums, uint32_t stride, const int8_t *weights, uint32_t n)
{
    const int8_t *const end = weights + n;
    for (; weights != end; weights++) {
        *sums += *weights;
        sums += stride;
    }
}

/* One step of a neuron of complex modes; returns its membrane. */
static inline float state_space_float_step(
        state_space_float_neuron_t *neuron, uint32_t n_modes, float input, uint32_t *spike)
{
    state_space_float_mode_t *mode = (state_space_float_mode_t *) (neuron + 1);
    state_space_float_mode_t *const end = mode + n_modes;
    const float v = input + neuron->bias;
    float y = neuron->d * v;
    for (; mode != end; mode++) {
        const float x_re = mode->x_re;
        const float x_im = mode->x_im;
        float re = mode->a_re * x_re;
        re = re - mode->a_im * x_im;
        float im = mode->a_re * x_im;
        im = im + mode->a_im * x_re;
        re = re + v;
        mode->x_im = im;
        mode->x_re = re;
        y = y + mode->c_re * re;
        y = y - mode->c_im * im;
    }
    *spike = y > neuron->theta;
    return y;
}

/* The same of real modes. */
static inline float state_space_float_real_step(
        state_space_float_neuron_t *neuron, uint32_t n_modes, float input, uint32_t *spike)
{
    state_space_float_real_mode_t *mode = (state_space_float_real_mode_t *) (neuron + 1);
    state_space_float_real_mode_t *const end = mode + n_modes;
    const float v = input + neuron->bias;
    float y = neuron->d * v;
    for (; mode != end; mode++) {
        float x = mode->a * mode->x;
        x = x + v;
        mode->x = x;
        y = y + mode->c * x;
    }
    *spike = y > neuron->theta;
    return y;
}

#endif
