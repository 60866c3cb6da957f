/* Runs neurons with gated inputs on ARM, as a program of Linux without a C library.
 *
 * Standard input, 32-bit little-endian words: neurons, first tick, ticks; the words that neurons
 * share; the neurons; then for each tick the values of all graded sources, which arrive in it, and
 * for each neuron what spikes bring to each receptor. Standard output: for each tick y, spike and
 * what is sent of each neuron; at the end the neurons' words. Exit status as driver.c. */
#include "state_space_gated_core.h"

#include "system.h"

enum { MEMORY_WORDS = 1 << 16, SHARED_WORDS = 1 << 12, MAX_NEURONS = 256, MAX_RECEPTORS = 33 };

static uint32_t shared[SHARED_WORDS];
static int32_t memory[MEMORY_WORDS];
static int32_t values[1 << 14];
static int32_t inputs[MAX_NEURONS * MAX_RECEPTORS];
static int32_t outputs[3 * MAX_NEURONS];

/* A function of its own, so that its instructions can be counted. */
__attribute__((noinline)) void tick_neurons(
        const state_space_gated_core_t *core, uint32_t n_neurons, uint32_t tick)
{
    const uint32_t stride = state_space_gated_bytes(&core->head, core->graded) / sizeof(int32_t);
    const uint32_t receptors = 1 + 2 * core->head.n_branches;
    const state_space_phase_t phase = state_space_begin(
            &core->head.population, (uint8_t *) memory, n_neurons, stride * sizeof(int32_t), tick);
    for (uint32_t i = 0; i < n_neurons; i++) {
        state_space_neuron_t *neuron = (state_space_neuron_t *) &memory[i * stride];
        for (uint32_t r = 0; r < receptors; r++) {
            state_space_gated_add(&core->head, neuron, r, inputs[i * receptors + r]);
        }
        uint32_t spike;
        outputs[3 * i] = state_space_gated_step(
                core, neuron, phase, tick, 0, &spike, &outputs[3 * i + 2]);
        outputs[3 * i + 1] = (int32_t) spike;
    }
}

void _start(void)
{
    uint32_t head[3];
    state_space_gated_core_t core;
    transfer(READ, head, sizeof(head));
    transfer(READ, &core.head, sizeof(core.head));
    const uint32_t n_neurons = head[0], n_sources = core.head.n_sources;
    const uint32_t words = STATE_SPACE_TABLE_WORDS + 4 * core.head.n_graded;
    const uint32_t receptors = 1 + 2 * core.head.n_branches;
    if (n_neurons > MAX_NEURONS || words > SHARED_WORDS || receptors > MAX_RECEPTORS
            || (core.head.slot_mask + 1) * n_sources > sizeof(values) / sizeof(int32_t)) {
        leave(1);
    }
    transfer(READ, shared, words * sizeof(uint32_t));
    core.table = (const uint16_t *) shared;
    core.graded = (const state_space_graded_t *) (shared + STATE_SPACE_TABLE_WORDS);
    core.values = values;
    const uint32_t bytes = n_neurons * state_space_gated_bytes(&core.head, core.graded);
    if (bytes > sizeof(memory)) {
        leave(1);
    }
    transfer(READ, memory, bytes);
    for (uint32_t tick = head[1]; tick != head[1] + head[2]; tick++) {
        transfer(READ, &values[(tick & core.head.slot_mask) * n_sources],
                n_sources * sizeof(int32_t));
        transfer(READ, inputs, n_neurons * receptors * sizeof(int32_t));
        tick_neurons(&core, n_neurons, tick);
        transfer(WRITE, outputs, n_neurons * 3 * sizeof(int32_t));
    }
    transfer(WRITE, memory, bytes);
    leave(0);
}
