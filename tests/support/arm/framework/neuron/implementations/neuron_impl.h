/* Stand-in for sPyNNaker's framework: only what state_space_impl.h takes from it. */
#ifndef STAND_IN_NEURON_IMPL_H
#define STAND_IN_NEURON_IMPL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define accum _Accum
#define SOMETIMES_UNUSED __attribute__((unused))
#define use(x) ((void) (x))
typedef uint32_t *address_t;
typedef uint32_t index_t;
typedef accum input_t;
void send_spike(uint32_t timer_count, uint32_t time, uint32_t neuron_index);
#endif
