/* Stand-in for SpiNNaker's logging, at the level at which a neuron must print itself. */
#ifndef STAND_IN_DEBUG_H
#define STAND_IN_DEBUG_H
#define LOG_DEBUG 40
#define LOG_LEVEL 40
void log_error(const char *message, ...);
void log_debug(const char *message, ...);
#endif
