/* Cores of several chips, in threads. Those of one chip share its memory, so that they run in one thread,
 * one after the other; chips share nothing. What comes out is the same with any number of threads.
 */

#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

typedef struct core core;
int core_run(core *c, uint64_t slice); /* core.c; 0 and 2: the core waits */

enum { THREADS = 64 };

typedef struct {
  core *const *cores;
  const int *first; /* of each chip's, and behind the last */
  int n_chips, *outcomes;
  uint64_t slice;
  double until;
  atomic_int next;
} work;

typedef struct { work *work; double seconds; } worker;

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *run_some(void *data) {
  work *w = ((worker *)data)->work;
  for (int chip; (chip = atomic_fetch_add(&w->next, 1)) < w->n_chips;)
    for (int i = w->first[chip]; i < w->first[chip + 1]; i++) {
      if (i && seconds_of(CLOCK_MONOTONIC) >= w->until) break;
      w->outcomes[i] = core_run(w->cores[i], w->slice);
      if (w->outcomes[i] != 0 && w->outcomes[i] != 2) break;
    }
  ((worker *)data)->seconds = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  return NULL;
}

/* Run each chip's cores in order, until one of them has more to do or fails. Behind the very first, none is begun once
 * ``seconds`` have passed. ``outcomes``: what core_run gave; of those that were not run they stay as they are. Gives the
 * processor time of further threads. */
double chips_run(core *const *cores, const int *first, int n_chips, int *outcomes, uint64_t slice,
                 double seconds, int threads) {
  work w = {cores, first, n_chips, outcomes, slice, seconds_of(CLOCK_MONOTONIC) + seconds, 0};
  worker workers[THREADS];
  pthread_t made[THREADS];
  double spent = 0;
  int n = 0;
  while (n + 1 < threads && n + 1 < THREADS) {
    workers[n + 1] = (worker){&w, 0};
    if (pthread_create(&made[n], NULL, run_some, &workers[n + 1])) break; /* fewer do it, too */
    n++;
  }
  workers[0] = (worker){&w, 0};
  run_some(&workers[0]);
  for (int i = 0; i < n; i++) {
    pthread_join(made[i], NULL);
    spent += workers[i + 1].seconds;
  }
  return spent;
}
