/* Stand-in for multicast packets. */
#ifndef STAND_IN_SEND_MC_H
#define STAND_IN_SEND_MC_H
#include <stdint.h>
void send_spike_mc(uint32_t key);
void send_spike_mc_payload(uint32_t key, uint32_t payload);
#endif
