/* The arithmetic of state-space neurons with gated inputs and graded projections, in integers.
 *
 *   total_r = sat(spikes_r + bias_r)                    a receptor: the input, then value and gate of
 *                                                       each branch; sat limits to 32 bits
 *   total_r = sat(total_r + sat(sum_i w_i y_i >> shift))         a graded projection after another
 *   glu:  b = sat(v sigmoid(g >> index) >> last)
 *   gsu:  z = sat(sat(v g >> first) + offset),  b = sat((z normal(z >> index) >> 16) gain >> last)
 *   u     = sat(total_0 + b_0), sat(... + b_1), ...
 *
 * and then the modes of state_space_core.h. Event-based gated recurrent units have two branches of sums
 * and no products, and h in the state of one real mode, in units of 2^-30 as v, y and theta:
 *
 *   z = sigmoid(value_0 >> first_0), r = sigmoid(gate_0 >> index_0)
 *   g = 2 sigmoid(sat(total_0 + sat(value_1 r >> last_1)) >> index_1) - 1
 *   v = (z h + (1 - z) g) >> 16,  a spike if v > theta,  h = v, less theta after one
 *
 * Shifts round to nearest, halves up. sigmoid and normal
 * are tables with linear interpolation, in units of 2^-16 (pynn_models/spinnaker/tables.py); which
 * integers the host puts here says pynn_models/spinnaker/gated_parameters.py. What is sent is
 * y >> send. Every w is 16 bits signed, sum |w| < 2^22, so that 64-bit sums never overflow.
 *
 * Needs <stdint.h> only. License: MIT. */
#ifndef STATE_SPACE_GATED_CORE_H
#define STATE_SPACE_GATED_CORE_H

#include "state_space_core.h"

enum {
    STATE_SPACE_GLU = 1,
    STATE_SPACE_GSU = 2,
    STATE_SPACE_EGRU = 3,
    STATE_SPACE_SENDS = 1,
    STATE_SPACE_CLEARS = 2,
    STATE_SPACE_INTERVALS = 1024,
    STATE_SPACE_TABLE_WORDS = (STATE_SPACE_INTERVALS + 2) / 2
};

/* What all neurons of a core share, before the table, the graded projections and the keys. */
typedef struct {
    state_space_population_t population;
    uint32_t kind;      /* of the branches; 0: none */
    uint32_t n_branches;
    uint32_t n_graded;  /* projections */
    uint32_t n_sources; /* neurons that send them something, each counted once a projection */
    uint32_t n_keys;    /* state_space_key_t */
    uint32_t slot_mask; /* slots - 1: a power of two above the longest delay */
    uint32_t sends;     /* SENDS: y goes out, too; CLEARS: what is not sent is 0 */
    uint32_t step_bits; /* of the table */
} state_space_gated_t;

/* A graded projection: its sources' values begin at `first` of a slot. */
typedef struct {
    uint32_t receptor;
    uint32_t delay;
    uint32_t first;
    uint32_t n_sources;
} state_space_graded_t;

/* A neuron behind its modes: 4 bytes, then a shift each graded projection, then the branches, then
 * the weights: two a word, each projection's from a word of its own. */
typedef struct {
    int32_t send;
} state_space_gate_t;

typedef struct {
    int32_t value; /* weighted spikes of this tick; cleared by the step */
    int32_t gate;
    int32_t value_bias;
    int32_t gate_bias;
    int32_t offset;
    int32_t gain;
    uint32_t shifts; /* first, index, last: a byte each, the first lowest */
} state_space_branch_t;

/* Where the shared parts lie, and what graded projections bring. */
typedef struct {
    state_space_gated_t head;
    const uint16_t *table;
    const state_space_graded_t *graded;
    const int32_t *values; /* [slots][n_sources] */
} state_space_gated_core_t;

/* Words of one projection's weights. */
static inline uint32_t state_space_weight_words(uint32_t n_sources)
{
    return (n_sources + 1) / 2;
}

/* Bytes from one neuron to the next. */
static inline uint32_t state_space_gated_bytes(
        const state_space_gated_t *head, const state_space_graded_t *graded)
{
    uint32_t words = 1 + head->n_graded;
    for (uint32_t m = 0; m < head->n_graded; m++) {
        words += state_space_weight_words(graded[m].n_sources);
    }
    return state_space_neuron_bytes(&head->population) + 4 * words
            + head->n_branches * (uint32_t) sizeof(state_space_branch_t);
}

/* The largest or smallest number, whichever has a's sign. */
static inline int32_t state_space_limit(int32_t a)
{
    return a < 0 ? -INT32_MAX - 1 : INT32_MAX;
}

#if defined(__GNUC__) && defined(__arm__) && !defined(__thumb__) && !defined(STATE_SPACE_PORTABLE)

static inline int32_t state_space_saturating_add(int32_t a, int32_t b)
{
    int32_t sum;
    __asm__("qadd %0, %1, %2" : "=r"(sum) : "r"(a), "r"(b));
    return sum;
}

#else

static inline int32_t state_space_saturating_add(int32_t a, int32_t b)
{
    const int32_t sum = state_space_add(a, b);
    return ((a ^ sum) & (b ^ sum)) < 0 ? state_space_limit(a) : sum;
}

#endif

/* (sum + 2^(shift - 1)) >> shift, limited to 32 bits; shift 0 to 31. */
static inline int32_t state_space_limited(state_space_sum_t sum, uint32_t shift)
{
    uint32_t low = sum.low;
    int32_t high = state_space_signed(sum.high);
    if (shift != 0) {
        const uint32_t half = (uint32_t) 1 << (shift - 1);
        low += half;
        high = state_space_signed((uint32_t) high + (low < half));
        low = low >> shift | (uint32_t) high << (32 - shift);
        high >>= shift;
    }
    const int32_t kept = state_space_signed(low);
    return high == kept >> 31 ? kept : state_space_limit(high);
}

/* (a + 2^(shift - 1)) >> shift without a sum that overflows; shift 0 to 31. */
static inline int32_t state_space_rounded(int32_t a, uint32_t shift)
{
    return shift == 0 ? a : (a >> shift) + (a >> (shift - 1) & 1);
}

/* The table's function of an s16.15 number, in units of 2^-16. */
static inline int32_t state_space_half(const uint16_t *table, uint32_t bits, int32_t x)
{
    const uint32_t a = x < 0 ? 0u - (uint32_t) x : (uint32_t) x;
    const uint32_t i = a >> bits;
    uint32_t left = 0;
    if (i < STATE_SPACE_INTERVALS) {
        const uint32_t above = table[i], below = table[i + 1];
        const uint32_t rest = a & (((uint32_t) 1 << bits) - 1);
        left = above - (((above - below) * rest + ((uint32_t) 1 << (bits - 1))) >> bits);
    }
    return (int32_t) (x < 0 ? left : 65536u - left);
}

/* What one graded projection brings: sum_i w_i y_i, limited. */
STATE_SPACE_OUT_OF_LINE static int32_t state_space_graded_sum(
        const int32_t *weights, const int32_t *values, uint32_t n_sources, uint32_t shift)
{
    state_space_sum_t sum = {0, 0};
    for (; n_sources > 1; n_sources -= 2) {
        const int32_t pair = *weights++;
        sum = state_space_add_product(
                sum, state_space_signed((uint32_t) pair << 16) >> 16, values[0]);
        sum = state_space_add_product(sum, pair >> 16, values[1]);
        values += 2;
    }
    if (n_sources > 0) {
        sum = state_space_add_product(
                sum, state_space_signed((uint32_t) *weights << 16) >> 16, values[0]);
    }
    return state_space_limited(sum, shift);
}

/* What one branch adds to u. */
STATE_SPACE_OUT_OF_LINE static int32_t state_space_branch(
        const state_space_gated_core_t *core, const state_space_branch_t *branch,
        int32_t value, int32_t gate)
{
    const uint32_t bits = core->head.step_bits;
    const uint32_t index = branch->shifts >> 8 & 0xffu, last = branch->shifts >> 16;
    if (core->head.kind == STATE_SPACE_GLU) {
        const int32_t s = state_space_half(core->table, bits, state_space_rounded(gate, index));
        return state_space_limited(state_space_product(value, s), last);
    }
    const int32_t product = state_space_limited(
            state_space_product(value, gate), branch->shifts & 0xffu);
    const int32_t z = state_space_saturating_add(product, branch->offset);
    const int32_t normal = state_space_half(core->table, bits, state_space_rounded(z, index));
    const int32_t gelu = state_space_limited(state_space_product(z, normal), 16);
    return state_space_limited(state_space_product(gelu, branch->gain), last);
}

/* The shifts of a neuron's graded projections, the branches behind them, and the weights. */
static inline const int32_t *state_space_gate_shifts(const state_space_gate_t *gate)
{
    return (const int32_t *) (gate + 1);
}

static inline state_space_branch_t *state_space_branches(
        const state_space_gated_t *head, state_space_gate_t *gate)
{
    return (state_space_branch_t *) ((int32_t *) (gate + 1) + head->n_graded);
}

static inline state_space_gate_t *state_space_gate(
        const state_space_gated_t *head, state_space_neuron_t *neuron)
{
    return (state_space_gate_t *)
            ((uint8_t *) neuron + state_space_neuron_bytes(&head->population));
}

/* Adds weighted spikes to a receptor: 0 the input, 1 + 2 p value p, 2 + 2 p gate p. */
static inline void state_space_gated_add(
        const state_space_gated_t *head, state_space_neuron_t *neuron, uint32_t receptor,
        int32_t weight)
{
    int32_t *input = &neuron->input;
    if (receptor != 0) {
        state_space_branch_t *branches =
                state_space_branches(head, state_space_gate(head, neuron));
        input = &branches[(receptor - 1) / 2].value + ((receptor - 1) & 1u);
    }
    *input = state_space_add(*input, weight);
}

/* All totals of a neuron, those of branches in their value and gate; returns that of the input,
 * which it clears. */
STATE_SPACE_OUT_OF_LINE static int32_t state_space_gated_sums(
        const state_space_gated_core_t *core, state_space_neuron_t *neuron,
        state_space_gate_t *gate, uint32_t tick)
{
    const state_space_gated_t *head = &core->head;
    state_space_branch_t *branches = state_space_branches(head, gate);
    const int32_t *shifts = state_space_gate_shifts(gate);
    const int32_t *weights = (const int32_t *) (branches + head->n_branches);
    int32_t u = state_space_saturating_add(neuron->input, neuron->bias);
    neuron->input = 0;
    for (uint32_t p = 0; p < head->n_branches; p++) {
        state_space_branch_t *branch = &branches[p];
        branch->value = state_space_saturating_add(branch->value, branch->value_bias);
        branch->gate = state_space_saturating_add(branch->gate, branch->gate_bias);
    }
    for (uint32_t m = 0; m < head->n_graded; m++) {
        const state_space_graded_t *graded = &core->graded[m];
        const uint32_t slot = (tick - graded->delay) & head->slot_mask;
        const int32_t part = state_space_graded_sum(
                weights, &core->values[slot * head->n_sources + graded->first],
                graded->n_sources, (uint32_t) shifts[m]);
        weights += state_space_weight_words(graded->n_sources);
        if (graded->receptor == 0) {
            u = state_space_saturating_add(u, part);
        } else {
            state_space_branch_t *branch = &branches[(graded->receptor - 1) / 2];
            int32_t *total = &branch->value + ((graded->receptor - 1) & 1u);
            *total = state_space_saturating_add(*total, part);
        }
    }
    return u;
}

/* u of a neuron whose inputs have arrived, which it clears. */
STATE_SPACE_OUT_OF_LINE static int32_t state_space_gated_input(
        const state_space_gated_core_t *core, state_space_neuron_t *neuron,
        state_space_gate_t *gate, uint32_t tick)
{
    const state_space_gated_t *head = &core->head;
    state_space_branch_t *branches = state_space_branches(head, gate);
    int32_t u = state_space_gated_sums(core, neuron, gate, tick);
    for (uint32_t p = 0; p < head->n_branches; p++) {
        state_space_branch_t *branch = &branches[p];
        u = state_space_saturating_add(
                u, state_space_branch(core, branch, branch->value, branch->gate));
        branch->value = 0;
        branch->gate = 0;
    }
    return u;
}

/* One tick of an event-based gated recurrent unit; as state_space_gated_step. */
STATE_SPACE_OUT_OF_LINE static int32_t state_space_egru_step(
        const state_space_gated_core_t *core, state_space_neuron_t *neuron,
        state_space_gate_t *gate, state_space_phase_t phase, uint32_t tick, int32_t current,
        uint32_t *spike, int32_t *sent)
{
    const uint32_t bits = core->head.step_bits;
    state_space_branch_t *branch = state_space_branches(&core->head, gate);
    state_space_real_mode_t *state = (state_space_real_mode_t *) (neuron + 1);
    const int32_t input = state_space_saturating_add(
            state_space_gated_sums(core, neuron, gate, tick), current);
    const int32_t z = state_space_half(
            core->table, bits, state_space_rounded(branch->value, branch->shifts & 0xffu));
    const int32_t r = state_space_half(
            core->table, bits, state_space_rounded(branch->gate, branch->shifts >> 8 & 0xffu));
    branch->value = 0;
    branch->gate = 0;
    branch++;
    const int32_t u = state_space_saturating_add(input, state_space_limited(
            state_space_product(branch->value, r), branch->shifts >> 16));
    branch->value = 0;
    branch->gate = 0;
    *spike = 0;
    *sent = 0;
    if (phase == STATE_SPACE_WAITING) {
        return 0;
    }
    const int32_t g = 2 * state_space_half(
            core->table, bits, state_space_rounded(u, branch->shifts >> 8 & 0xffu)) - 65536;
    const int32_t v = state_space_limited(
            state_space_add_product(state_space_product(z, state->x), 65536 - z, g * 16384), 16);
    state->x = v;
    if (v > neuron->theta) {
        state->x = v - neuron->theta;
        *spike = 1;
        *sent = v;
    }
    return v;
}

/* One tick of one neuron: returns y, whether y > theta in *spike, and in *sent what goes out. For a
 * population that is waiting its input is thrown away, and y is 0. */
static inline int32_t state_space_gated_step(
        const state_space_gated_core_t *core, state_space_neuron_t *neuron,
        state_space_phase_t phase, uint32_t tick, int32_t current, uint32_t *spike, int32_t *sent)
{
    state_space_gate_t *gate = state_space_gate(&core->head, neuron);
    if (core->head.kind == STATE_SPACE_EGRU) {
        return state_space_egru_step(core, neuron, gate, phase, tick, current, spike, sent);
    }
    const int32_t u = state_space_saturating_add(
            state_space_gated_input(core, neuron, gate, tick), current);
    const int32_t y = state_space_update(neuron, &core->head.population, phase, u, spike);
    *sent = state_space_rounded(y, (uint32_t) gate->send);
    return y;
}

#endif /* STATE_SPACE_GATED_CORE_H */
