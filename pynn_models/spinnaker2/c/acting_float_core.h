/* State-space neurons on which their spikes act back, in float32, for a Cortex-M4F: a reset, silent
 * steps after a spike, a threshold that moves with the steps before.
 *
 *     x = 0 (hard) or x - r (soft) after a spike;  re = (a_re x_re - a_im x_im) + v,
 *     im = a_re x_im + a_im x_re;  0 where the reset is hard and the neuron rests;
 *     a spike if y > theta + h and it does not rest
 *
 * as pynn_models/spinnaker2/acting.py has it, in the order written here. Compile with
 * -ffp-contract=off. */
#ifndef ACTING_FLOAT_CORE_H
#define ACTING_FLOAT_CORE_H

#include <stdint.h>

/* What all neurons of a core share. */
typedef struct {
    uint32_t n_modes;
    uint32_t complex;    /* whether modes rotate */
    uint32_t hard;       /* whether a spike sets them to 0 */
    uint32_t refractory; /* steps */
    uint32_t history;    /* steps, at most 32 */
} acting_float_t;

/* Then `history` floats a_1, a_2, ...; then the modes. */
typedef struct {
    float d, bias, theta;
    uint32_t fired;
    uint32_t rest;
    uint32_t before; /* bit j: whether y was above theta j + 1 steps before */
} acting_float_neuron_t;

typedef struct {
    float a_re, a_im, c_re, c_im, x_re, x_im, r_re, r_im;
} acting_float_mode_t;

typedef struct {
    float a, c, x, r;
} acting_float_real_mode_t;

/* theta + h. */
static inline float acting_float_threshold(
        const acting_float_t *shared, const acting_float_neuron_t *neuron)
{
    const float *const a = (const float *) (neuron + 1);
    float raised = 0.0f;
    for (uint32_t j = 0; j != shared->history; j++) {
        if (neuron->before >> j & 1) {
            raised = raised + a[j];
        }
    }
    return neuron->theta + raised;
}

/* One step of a neuron; returns its membrane. */
static inline float acting_float_step(
        const acting_float_t *shared, acting_float_neuron_t *neuron, float input, uint32_t *spike)
{
    float *const modes = (float *) (neuron + 1) + shared->history;
    const uint32_t held = shared->hard && neuron->rest != 0;
    const uint32_t zeroed = shared->hard && neuron->fired;
    const uint32_t taken = !shared->hard && neuron->fired;
    const float v = input + neuron->bias;
    float y = neuron->d * v;
    if (shared->complex) {
        acting_float_mode_t *mode = (acting_float_mode_t *) modes;
        for (uint32_t n = shared->n_modes; n != 0; n--, mode++) {
            float x_re = zeroed ? 0.0f : mode->x_re;
            float x_im = zeroed ? 0.0f : mode->x_im;
            if (taken) {
                x_re = x_re - mode->r_re;
                x_im = x_im - mode->r_im;
            }
            float re = mode->a_re * x_re;
            re = re - mode->a_im * x_im;
            float im = mode->a_re * x_im;
            im = im + mode->a_im * x_re;
            re = re + v;
            re = held ? 0.0f : re;
            im = held ? 0.0f : im;
            mode->x_im = im;
            mode->x_re = re;
            y = y + mode->c_re * re;
            y = y - mode->c_im * im;
        }
    } else {
        acting_float_real_mode_t *mode = (acting_float_real_mode_t *) modes;
        for (uint32_t n = shared->n_modes; n != 0; n--, mode++) {
            float x = zeroed ? 0.0f : mode->x;
            if (taken) {
                x = x - mode->r;
            }
            x = mode->a * x;
            x = x + v;
            x = held ? 0.0f : x;
            mode->x = x;
            y = y + mode->c * x;
        }
    }
    *spike = neuron->rest == 0 && y > acting_float_threshold(shared, neuron);
    if (shared->history != 0) {
        neuron->before = neuron->before << 1 | (y > neuron->theta);
    }
    neuron->rest = *spike ? shared->refractory : neuron->rest - (neuron->rest != 0);
    neuron->fired = *spike;
    return y;
}

#endif
