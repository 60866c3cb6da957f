/* Gated inputs and graded projections of a state-space neuron in float32, for a Cortex-M4F.
 *
 *     A       = ((0 + w_0 y_0) + w_1 y_1) + ...           weights that are not 0, sources ascending
 *     total_r = (scale_r S_r + scale A) + scale A' + ...  S_r: the sum of the spikes' weights
 *     u       = total_0 + bias
 *     glu:  u = u + v sigmoid(g)
 *     gsu:  z = v g + shift,  u = u + (z normal(z)) gain          one branch after another
 *
 * with v and g the totals of a branch's value and gate and their biases, as
 * pynn_models/spinnaker2/gated.py has it. Sigmoid and normal distribution are a table with linear
 * interpolation (tables.py). Operations are rounded one by one in the order written here: compile
 * with -ffp-contract=off.
 *
 * A neuron in 32-bit words: scale_0, then for each graded projection onto the input its scale, its
 * number of links and the links; bias; and for each branch the same of value and value bias, of gate
 * and gate bias, then shift and gain. What follows is state_space_float_core.h's neuron, of bias 0. */
#ifndef GATED_FLOAT_CORE_H
#define GATED_FLOAT_CORE_H

#include "state_space_float_core.h"

enum { GATED_FLOAT_NONE, GATED_FLOAT_GLU, GATED_FLOAT_GSU, GATED_FLOAT_INTERVALS = 1024 };

typedef union {
    float real;
    uint32_t count;
    struct {
        uint16_t source;
        int16_t weight;
    } link;
} gated_float_word_t;

/* What all neurons of a core share. */
typedef struct {
    uint32_t kind;         /* of the branches */
    uint32_t n_branches;
    float per_unit;        /* 1 / the table's step */
    const float *table;    /* GATED_FLOAT_INTERVALS + 1 */
    const uint32_t *graded; /* for each receptor: its graded projections, and where the values of
                               each one's sources begin */
} gated_float_t;

/* The table's function: f(x), where f(-x) = 1 - f(x). */
static inline float gated_float_half(const gated_float_t *shared, float x)
{
    const float t = (x < 0.0f ? -x : x) * shared->per_unit;
    float left = 0.0f;
    if (t < (float) GATED_FLOAT_INTERVALS) {
        const int32_t i = (int32_t) t;
        const float rest = t - (float) i;
        const float step = shared->table[i + 1] - shared->table[i];
        left = shared->table[i] + rest * step;
    }
    return x < 0.0f ? left : 1.0f - left;
}

/* total_r; moves both cursors behind what belongs to the receptor. */
static inline float gated_float_total(
        gated_float_word_t **cursor, const uint32_t **graded, int32_t sum,
        const float *values)
{
    gated_float_word_t *word = *cursor;
    const uint32_t *projection = *graded;
    const uint32_t *const last = projection + 1 + *projection;
    float total = word->real * (float) sum;
    word++;
    for (projection++; projection != last; projection++) {
        const float scale = word[0].real;
        const float *const sent = values + *projection;
        const gated_float_word_t *const end = word + 2 + word[1].count;
        float a = 0.0f;
        for (word += 2; word != end; word++) {
            a = a + (float) word->link.weight * sent[word->link.source];
        }
        total = total + scale * a;
    }
    *cursor = word;
    *graded = projection;
    return total;
}

/* u of the neuron at *cursor, which is moved to its modes. sums: an integer each receptor; values:
 * what graded sources sent that arrives now. */
static inline float gated_float_input(
        const gated_float_t *shared, gated_float_word_t **cursor, const int32_t *sums,
        const float *values)
{
    const uint32_t *graded = shared->graded;
    const float input = gated_float_total(cursor, &graded, *sums++, values);
    float u = input + (*cursor)++->real;
    for (uint32_t p = 0; p != shared->n_branches; p++) {
        const float value = gated_float_total(cursor, &graded, *sums++, values);
        const float v = value + (*cursor)++->real;
        const float gate = gated_float_total(cursor, &graded, *sums++, values);
        const float g = gate + (*cursor)++->real;
        const float shift = (*cursor)++->real;
        const float gain = (*cursor)++->real;
        if (shared->kind == GATED_FLOAT_GLU) {
            u = u + v * gated_float_half(shared, g);
        } else {
            const float product = v * g;
            const float z = product + shift;
            const float gelu = z * gated_float_half(shared, z);
            u = u + gelu * gain;
        }
    }
    return u;
}

#endif
