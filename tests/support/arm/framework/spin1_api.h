/* Stand-in for SpiNNaker's low-level library. */
#ifndef STAND_IN_SPIN1_API_H
#define STAND_IN_SPIN1_API_H
enum { RTE_SWERR = 13 };
void *spin1_malloc(unsigned int bytes);
void spin1_memcpy(void *target, const void *source, unsigned int bytes);
void rt_error(unsigned int code, ...);
#endif
