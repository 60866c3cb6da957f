/* Stand-in for SpiNNaker's low-level library. */
#ifndef STAND_IN_SPIN1_API_H
#define STAND_IN_SPIN1_API_H
typedef unsigned int uint;
typedef void (*callback_t)(uint, uint);
enum { MCPL_PACKET_RECEIVED = 5 };
enum { RTE_SWERR = 13 };
void spin1_callback_on(uint event_id, callback_t cback, int priority);
void spin1_callback_off(uint event_id);
void *spin1_malloc(uint bytes);
void spin1_memcpy(void *dst, void const *src, uint len);
void rt_error(uint code, ...);
#endif
