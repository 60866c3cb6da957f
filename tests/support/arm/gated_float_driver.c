/* Runs SpiNNaker 2's gated float32 core on an Arm Cortex-M4's instructions, as a program of Linux
 * without a C library.
 *
 * Standard input, 32-bit little-endian words: neurons, modes, whether they are complex, ticks, words
 * of all neurons, words of `graded`, values a tick, receptors, rows; kind, branches, per_unit; the
 * table; `graded`; the neurons as gated_float_core.h lays them out; for each row its receptor and a
 * byte a neuron. Then for each tick the values and, for each row, whether its source spikes.
 * Standard output: for each tick y and spike of each neuron; at the end the neurons' words. Exit
 * status: 0, or 1 for what does not fit. */
#include "gated_float_core.h"

#include "system.h"

enum {
    MEMORY_WORDS = 1 << 17, MAX_NEURONS = 256, MAX_VALUES = 1 << 12, MAX_SUMS = 1 << 12,
    MAX_ROWS = 1 << 10
};

typedef struct {
    uint32_t neurons, modes, complex, ticks, words, graded, values, receptors, rows, kind, branches;
    float per_unit;
} head_t;

typedef struct {
    uint32_t receptor;
    int8_t weights[MAX_NEURONS];
} row_t;

static head_t head;
static gated_float_word_t memory[MEMORY_WORDS];
static float table[GATED_FLOAT_INTERVALS + 1];
static uint32_t graded[MAX_VALUES];
static float values[MAX_VALUES];
static int32_t sums[MAX_SUMS];
static row_t rows[MAX_ROWS];
static uint32_t spiking[MAX_ROWS];
static float outputs[2 * MAX_NEURONS];

/* Functions of their own, so that their instructions can be counted. */
__attribute__((noinline)) void receive_spike(const row_t *row)
{
    state_space_float_spike(sums + row->receptor, head.receptors, row->weights, head.neurons);
}

__attribute__((noinline)) void tick_neurons(const gated_float_t *shared)
{
    gated_float_word_t *cursor = memory;
    const int32_t *sum = sums;
    for (uint32_t i = 0; i < head.neurons; i++) {
        const float u = gated_float_input(shared, &cursor, sum, values);
        state_space_float_neuron_t *neuron = (state_space_float_neuron_t *) cursor;
        uint32_t spike;
        outputs[2 * i] = head.complex
            ? state_space_float_step(neuron, head.modes, u, &spike)
            : state_space_float_real_step(neuron, head.modes, u, &spike);
        outputs[2 * i + 1] = (float) spike;
        cursor += 3 + head.modes * (head.complex ? 6 : 3);
        sum += head.receptors;
    }
}

void _start(void)
{
    transfer(READ, &head, sizeof(head));
    if (head.neurons > MAX_NEURONS || head.words > MEMORY_WORDS || head.graded > MAX_VALUES
            || head.values > MAX_VALUES || head.neurons * head.receptors > MAX_SUMS
            || head.rows > MAX_ROWS) {
        leave(1);
    }
    transfer(READ, table, sizeof(table));
    transfer(READ, graded, head.graded * sizeof(uint32_t));
    transfer(READ, memory, head.words * sizeof(gated_float_word_t));
    for (uint32_t i = 0; i != head.rows; i++) {
        transfer(READ, &rows[i].receptor, sizeof(uint32_t));
        transfer(READ, rows[i].weights, head.neurons);
    }
    const gated_float_t shared = {head.kind, head.branches, head.per_unit, table, graded};
    for (uint32_t tick = 0; tick != head.ticks; tick++) {
        transfer(READ, values, head.values * sizeof(float));
        transfer(READ, spiking, head.rows * sizeof(uint32_t));
        for (uint32_t i = 0; i != head.neurons * head.receptors; i++) {
            sums[i] = 0;
        }
        for (uint32_t i = 0; i != head.rows; i++) {
            if (spiking[i]) {
                receive_spike(&rows[i]);
            }
        }
        tick_neurons(&shared);
        transfer(WRITE, outputs, head.neurons * 2 * sizeof(float));
    }
    transfer(WRITE, memory, head.words * sizeof(gated_float_word_t));
    leave(0);
}
