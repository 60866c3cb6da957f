/* Runs a whole network on SpiNNaker 2's float32 cores, one population after another in each tick, as
 * a program of Linux without a C library. What float_network.py writes is what it reads. */
#include "acting_float_core.h"
#include "arriving_float_core.h"
#include "gated_float_core.h"

#include "system.h"

enum { MEMORY = 1 << 24, MAX_POPULATIONS = 64, MAX_PROJECTIONS = 512 };

typedef struct {
    uint32_t size, latency, slots, receptors, values, gated, acting, words, graded;
    acting_float_t cell;
    uint32_t kind, branches;
    float per_unit;
} population_head_t;

typedef struct {
    population_head_t head;
    gated_float_t gates;
    arriving_float_t ring;
    gated_float_word_t *words;
    float *y;
    uint32_t *spikes;
} population_t;

/* source 0: the input; n: population n - 1. place: the receptor of spikes, the first of values. */
typedef struct {
    uint32_t source, target, place, delay, n_sources, is_graded;
} projection_head_t;

typedef struct {
    projection_head_t head;
    int8_t *weights;
} projection_t;

static uint8_t memory[MEMORY] __attribute__((aligned(8)));
static uint32_t used;
static population_t populations[MAX_POPULATIONS];
static projection_t projections[MAX_PROJECTIONS];

static void *room(uint32_t bytes)
{
    void *const found = memory + used;
    used += (bytes + 7) & ~(uint32_t) 7;
    if (used > MEMORY) {
        leave(1);
    }
    return found;
}

static void *filled(uint32_t bytes)
{
    void *const found = room(bytes);
    transfer(READ, found, bytes);
    return found;
}

static void read_population(population_t *p)
{
    transfer(READ, &p->head, sizeof(p->head));
    const population_head_t *const head = &p->head;
    p->gates.kind = head->kind;
    p->gates.n_branches = head->branches;
    p->gates.per_unit = head->per_unit;
    p->gates.table = filled((GATED_FLOAT_INTERVALS + 1) * sizeof(float));
    p->gates.graded = filled(head->graded * sizeof(uint32_t));
    p->words = filled(head->words * sizeof(gated_float_word_t));
    p->ring.slot_mask = head->slots - 1;
    p->ring.n_neurons = head->size;
    p->ring.n_receptors = head->receptors;
    p->ring.n_values = head->values;
    p->ring.sums = room(head->slots * head->size * head->receptors * sizeof(int32_t));
    p->ring.values = room(head->slots * head->values * sizeof(float));
    p->y = room(head->size * sizeof(float));
    p->spikes = room(head->size * sizeof(uint32_t));
}

/* Functions of their own, so that their instructions can be counted. */
__attribute__((noinline)) void step_population(population_t *p, uint32_t tick)
{
    const acting_float_t cell = p->head.cell;
    const gated_float_t gates = p->gates;
    const uint32_t receptors = p->head.receptors, gated = p->head.gated, acting = p->head.acting;
    const uint32_t stride = acting ? 6 + cell.history + cell.n_modes * (cell.complex ? 8 : 4)
                                   : 3 + cell.n_modes * (cell.complex ? 6 : 3);
    gated_float_word_t *cursor = p->words;
    const int32_t *sums = arriving_float_sums(&p->ring, tick);
    const float *const values = arriving_float_values(&p->ring, tick);
    float *y = p->y, *const end = y + p->head.size;
    uint32_t *spike = p->spikes;
    for (; y != end; y++, spike++, sums += receptors, cursor += stride) {
        const float u = gated
            ? gated_float_input(&gates, &cursor, sums, values) : (float) *sums;
        if (acting) {
            *y = acting_float_step(&cell, (acting_float_neuron_t *) cursor, u, spike);
        } else {
            state_space_float_neuron_t *const neuron = (state_space_float_neuron_t *) cursor;
            *y = cell.complex ? state_space_float_step(neuron, cell.n_modes, u, spike)
                              : state_space_float_real_step(neuron, cell.n_modes, u, spike);
        }
    }
    arriving_float_clear(&p->ring, tick);
}

__attribute__((noinline)) void receive_spike(
        const arriving_float_t *ring, uint32_t tick, const projection_head_t *q,
        const int8_t *weights)
{
    arriving_float_spike(ring, tick, q->delay, q->place, weights);
}

__attribute__((noinline)) void receive_value(
        const arriving_float_t *ring, uint32_t tick, const projection_head_t *q, uint32_t i, float y)
{
    arriving_float_value(ring, tick, q->delay, q->place + i, y);
}

static void send(const projection_t *q, uint32_t tick, const uint32_t *spikes, const float *y)
{
    const population_t *const target = &populations[q->head.target];
    for (uint32_t i = 0; i != q->head.n_sources; i++) {
        if (q->head.is_graded) {
            receive_value(&target->ring, tick, &q->head, i, y[i]);
        } else if (spikes[i]) {
            receive_spike(
                &target->ring, tick, &q->head, q->weights + i * target->head.size);
        }
    }
}

void _start(void)
{
    uint32_t head[5]; /* populations, projections, sources of the input, steps, ticks */
    transfer(READ, head, sizeof(head));
    if (head[0] > MAX_POPULATIONS || head[1] > MAX_PROJECTIONS) {
        leave(1);
    }
    for (uint32_t i = 0; i != head[0]; i++) {
        read_population(&populations[i]);
    }
    for (uint32_t i = 0; i != head[1]; i++) {
        projection_t *const q = &projections[i];
        transfer(READ, &q->head, sizeof(q->head));
        q->weights = q->head.is_graded
            ? 0 : filled(q->head.n_sources * populations[q->head.target].head.size);
    }
    uint32_t *const input = room(head[2] * sizeof(uint32_t));
    for (uint32_t tick = 0; tick != head[4]; tick++) {
        if (tick < head[3]) {
            transfer(READ, input, head[2] * sizeof(uint32_t));
            for (uint32_t i = 0; i != head[1]; i++) {
                if (projections[i].head.source == 0) {
                    send(&projections[i], tick, input, 0);
                }
            }
        }
        for (uint32_t n = 0; n != head[0]; n++) {
            population_t *const p = &populations[n];
            if (tick < p->head.latency || tick >= p->head.latency + head[3]) {
                continue;
            }
            step_population(p, tick);
            for (uint32_t i = 0; i != head[1]; i++) {
                if (projections[i].head.source == n + 1) {
                    send(&projections[i], tick, p->spikes, p->y);
                }
            }
            transfer(WRITE, p->y, p->head.size * sizeof(float));
            transfer(WRITE, p->spikes, p->head.size * sizeof(uint32_t));
        }
    }
    leave(0);
}
