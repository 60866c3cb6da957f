/* Stand-in for the sending of spikes: keys and colour are those of neuron.c. */
#ifndef STAND_IN_SEND_SPIKE_H
#define STAND_IN_SEND_SPIKE_H
#include <stdbool.h>
#include <common/send_mc.h>
extern bool use_key;
extern uint32_t *neuron_keys;
extern uint32_t colour;
void send_spike(uint32_t timer_count, uint32_t time, uint32_t neuron_index);
#endif
