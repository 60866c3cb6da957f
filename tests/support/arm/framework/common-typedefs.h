/* Stand-in for the front end's types: those that a neuron uses, where it declares them. */
#ifndef STAND_IN_COMMON_TYPEDEFS_H
#define STAND_IN_COMMON_TYPEDEFS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define accum _Accum
#define use(x) ((void) (x))
typedef uint32_t index_t;
typedef uint32_t *address_t;
#endif
