/* One application core: Unicorn, its peripherals and its interrupts, as core.py and peripherals.py
 * say. Every register reads and does what it does there, to the bit.
 *
 * Compiled on first use and kept in the user's cache (compiled.py). Unicorn's functions are those of
 * the library that its Python package has loaded.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <unicorn/unicorn.h>

#define ITCM_SIZE 0x8000u
#define DTCM_BASE 0x400000u
#define DTCM_SIZE 0x10000u
#define SDRAM_SIZE 0x8000000u
#define SYSRAM_SIZE 0x8000u
#define NOWHERE 0xFFFF0000u /* no code is there: execution ends by a hook */

enum { TIMER = 1u << 4, PACKET = 1u << 6, EMPTY = 1u << 11, DMA_DONE = 1u << 12, CPU = 1u << 18,
       MULTICAST = 1u << 24 };
enum { SLOTS = 16, NESTED = 64, NO_SLOT = -1, AT_ONCE = 16 };
/* What core_run answers; the first are those of Progress in core.py. */
enum { WAITING, BUSY, POLLING, READ_REFUSED, WRITE_REFUSED, NO_MEMORY, EXECUTION,
       OTHER_PACKETS };

typedef struct { uint32_t key, payload, with_payload; } packet;

typedef struct {
  uc_engine *uc;
  uint32_t number, *sync;
  void (*to_monitor)(void);
  uint8_t *itcm, *dtcm, *sdram, *sysram;
  /* interrupt controller */
  uint32_t enabled, fast, soft, fallback, handlers[SLOTS], controls[SLOTS];
  int serving[NESTED], depth;
  /* timers */
  uint32_t control, load, timer_raised, second_control, second_load, polls, idle_polls;
  int second_used, second_over;
  /* packets: a queue that grows, of which those before ``shown`` have arrived, and what was sent */
  packet *queue, *sent;
  uint32_t head, tail, shown, room, n_sent, sent_room, payload, has_payload;
  /* DMA */
  uint32_t in_sdram, in_core, done;
  /* system controller */
  uint32_t cpu_raised;
  /* execution */
  uint32_t pc, resumed, asleep, waiting, polling, out_of_time;
  uint32_t block, block_size;
  uint64_t instructions, limit;
  int failed; /* READ_REFUSED, WRITE_REFUSED, NO_MEMORY or OTHER_PACKETS */
  uint32_t fault_address;
  int uc_error;
  uint8_t shifts[ITCM_SIZE / 2];
} core;

/* --- interrupts ------------------------------------------------------------------------------ */

static uint32_t raw(const core *c) {
  uint32_t arrived = c->head != c->shown ? PACKET | MULTICAST : 0;
  return c->timer_raised | c->cpu_raised | c->done | arrived | EMPTY | c->soft;
}

static uint32_t fiq(const core *c) { return raw(c) & c->enabled & c->fast; }
static uint32_t irq(const core *c) { return raw(c) & c->enabled & ~c->fast; }

/* The slot to serve now: the first that is raised, above the one in service. */
static int slot(const core *c) {
  uint32_t raised = irq(c), vectored = 0;
  if (!raised) return NO_SLOT;
  int limit = c->depth ? c->serving[c->depth - 1] : SLOTS + 1;
  for (int i = 0; i < SLOTS && i < limit; i++)
    if (c->controls[i] & 0x20 && raised >> (c->controls[i] & 0x1F) & 1) return i;
  for (int i = 0; i < SLOTS; i++)
    if (c->controls[i] & 0x20) vectored |= 1u << (c->controls[i] & 0x1F);
  return limit > SLOTS && raised & ~vectored ? SLOTS : NO_SLOT;
}

/* Mode and vector of the interrupt to take now; 0: none. */
static int entry(const core *c, uint32_t status, uint32_t *mode, uint32_t *vector) {
  if (!(status & 0x40) && fiq(c)) { *mode = 0xD1; *vector = 0x1C; return 1; }
  if (!(status & 0x80) && slot(c) != NO_SLOT) { *mode = 0x92; *vector = 0x18; return 1; }
  return 0;
}

static uint32_t status_of(const core *c) {
  uint32_t value;
  uc_reg_read(c->uc, UC_ARM_REG_CPSR, &value);
  return value;
}

static void enter(core *c) {
  uint32_t mode, vector, status = status_of(c);
  if (!entry(c, status, &mode, &vector)) return;
  uint32_t changed = (status & ~0x3Fu) | mode, link = (c->pc & ~1u) + 4;
  uc_reg_write(c->uc, UC_ARM_REG_CPSR, &changed); /* first: the next are banked */
  uc_reg_write(c->uc, UC_ARM_REG_SPSR, &status);
  uc_reg_write(c->uc, UC_ARM_REG_LR, &link);
  c->pc = vector;
}

/* --- registers -------------------------------------------------------------------------------- */

static void refuse(core *c, int what, uint32_t address) {
  if (!c->failed) { c->failed = what; c->fault_address = address; }
  uc_emu_stop(c->uc);
}

#define READ(name, base)                                                                    \
  static uint64_t name(uc_engine *uc, uint64_t offset, unsigned size, void *data) {         \
    core *c = data;                                                                         \
    const uint32_t from = base;                                                             \
    (void)uc, (void)size;
#define UNKNOWN_READ                                                                        \
    refuse(c, READ_REFUSED, from + (uint32_t)offset);                                       \
    return 0;                                                                               \
  }
#define WRITE(name, base)                                                                   \
  static void name(uc_engine *uc, uint64_t offset, unsigned size, uint64_t wide, void *data) { \
    core *c = data;                                                                         \
    const uint32_t from = base, value = (uint32_t)wide;                                     \
    (void)uc, (void)size;
#define UNKNOWN_WRITE                                                                       \
    refuse(c, WRITE_REFUSED, from + (uint32_t)offset);                                      \
  }

READ(vic_read, 0x1F000000u)
  if (offset >= 0x100 && offset < 0x140) return c->handlers[(offset - 0x100) >> 2];
  if (offset >= 0x200 && offset < 0x240) return c->controls[(offset - 0x200) >> 2];
  switch (offset) {
    case 0x00: return irq(c);
    case 0x04: return fiq(c);
    case 0x08: return raw(c);
    case 0x0C: return c->fast;
    case 0x10: return c->enabled;
    case 0x18: return c->soft;
    case 0x34: return c->fallback;
    case 0x30: {
      int found = slot(c);
      if (found == NO_SLOT || c->depth == NESTED) return c->fallback;
      c->serving[c->depth++] = found;
      return found == SLOTS ? c->fallback : c->handlers[found];
    }
  }
UNKNOWN_READ

WRITE(vic_write, 0x1F000000u)
  if (offset >= 0x100 && offset < 0x140) { c->handlers[(offset - 0x100) >> 2] = value; return; }
  if (offset >= 0x200 && offset < 0x240) { c->controls[(offset - 0x200) >> 2] = value; return; }
  switch (offset) {
    case 0x0C: c->fast = value; return;
    case 0x10: c->enabled |= value; return;
    case 0x14: c->enabled &= ~value; return;
    case 0x18: c->soft |= value; return;
    case 0x1C: c->soft &= ~value; return;
    case 0x30: if (c->depth) c->depth--; return;
    case 0x34: c->fallback = value; return;
  }
UNKNOWN_WRITE

/* Programs for synapses alone look at the second timer until the tick is over. */
static uint32_t second_count(core *c) {
  if (!(c->second_control & 0x80)) return 0xFFFFFFFFu;
  if (c->second_over) return 0;
  if (c->second_control == 0xE3 && ++c->polls >= c->idle_polls) {
    c->polls = 0;
    c->polling = 1;
    uc_emu_stop(c->uc);
  }
  return c->second_load > 256 ? c->second_load - 100 : c->second_load;
}

READ(timer_read, 0x11000000u)
  switch (offset) {
    case 0x00: return c->load;
    case 0x04: return c->second_used ? c->load : 0;
    case 0x08: return c->control;
    case 0x10: return c->timer_raised != 0;
    case 0x14: return c->timer_raised != 0;
    case 0x24: return second_count(c);
    case 0x28: return c->second_control;
  }
UNKNOWN_READ

WRITE(timer_write, 0x11000000u)
  switch (offset) {
    case 0x00: case 0x18: c->load = value; return;
    case 0x08: c->control = value; return;
    case 0x0C: c->timer_raised = 0; return;
    case 0x20: c->second_load = value; c->second_used = 1; return;
    case 0x28: c->second_control = value; c->second_over = 0; c->polls = 0; return;
    case 0x2C: c->second_over = 0; c->second_control = 0; return;
  }
UNKNOWN_WRITE

READ(comms_read, 0x10000000u)
  const packet *first = &c->queue[c->head];
  int empty = c->head == c->shown;
  switch (offset) {
    case 0x00: return 0xB0000000u; /* empty, not full */
    case 0x0C: return empty ? 0 : 0x80000000u | first->with_payload << 17;
    case 0x10: return empty ? 0 : first->payload;
    case 0x14:
      if (empty) return 0;
      c->head++;
      return first->key;
  }
UNKNOWN_READ

WRITE(comms_write, 0x10000000u)
  switch (offset) {
    case 0x00: /* what is sent: multicast packets alone */
      if (value >> 22 & 3) refuse(c, OTHER_PACKETS, value);
      return;
    case 0x0C: return; /* flags of errors that there are none of */
    case 0x04: c->payload = value; c->has_payload = 1; return;
    case 0x08:
      if (c->n_sent == c->sent_room) {
        c->sent_room = c->sent_room ? 2 * c->sent_room : 256;
        c->sent = realloc(c->sent, c->sent_room * sizeof(packet));
      }
      c->sent[c->n_sent++] = (packet){value, c->has_payload ? c->payload : 0, c->has_payload};
      c->has_payload = 0;
      return;
  }
UNKNOWN_WRITE

static uint8_t *place(core *c, uint32_t address, uint32_t length) {
  if (address < ITCM_SIZE && length <= ITCM_SIZE - address) return c->itcm + address;
  uint32_t at = address - DTCM_BASE;
  if (at < DTCM_SIZE && length <= DTCM_SIZE - at) return c->dtcm + at;
  at = address & 0x0FFFFFFFu;
  if ((address >> 28 == 6 || address >> 28 == 7) && at < SDRAM_SIZE && length <= SDRAM_SIZE - at)
    return c->sdram + at;
  at = address - (address >= 0xF5000000u ? 0xF5000000u : 0xE5000000u);
  if (at < SYSRAM_SIZE && length <= SYSRAM_SIZE - at) return c->sysram + at;
  refuse(c, NO_MEMORY, address);
  return NULL;
}

static void copy(core *c, uint32_t descriptor) {
  uint32_t length = descriptor & 0x1FFFF;
  uint8_t *shared = place(c, c->in_sdram, length), *own = place(c, c->in_core, length);
  if (shared == NULL || own == NULL) return;
  if (descriptor >> 19 & 1) memcpy(shared, own, length);
  else memcpy(own, shared, length);
  c->done = DMA_DONE;
}

READ(dma_read, 0x30000000u)
  if (offset >= 0x40 && offset < 0x60) return 0; /* statistics, which a program that exits reads */
  switch (offset) {
    case 0x04: return c->in_sdram;
    case 0x08: return c->in_core;
    case 0x10: return 0; /* what is asked for has been done */
    case 0x14: return c->number << 24 | (c->done ? 1u << 10 : 0);
  }
UNKNOWN_READ

WRITE(dma_write, 0x30000000u)
  c->polls = 0;
  switch (offset) {
    case 0x04: c->in_sdram = value; return;
    case 0x08: c->in_core = value; return;
    case 0x0C: copy(c, value); return;
    case 0x10: if (value & 8) c->done = 0; return;
    case 0x18: case 0x28: return; /* which events interrupt: a copy that is done does; statistics */
  }
UNKNOWN_WRITE

READ(system_read, 0xE2000000u)
  switch (offset) {
    case 0x00: return 0x59111012u;
    case 0x34: return 0; /* the monitor's core */
    case 0x58: case 0x5C: return *c->sync;
  }
  if (offset >= 0x100 && offset < 0x200) return 0; /* locks: cores run one after the other */
UNKNOWN_READ

WRITE(system_write, 0xE2000000u)
  switch (offset) {
    case 0x08: if (value & 1) c->to_monitor(); return;
    case 0x0C: if (value >> c->number & 1) c->cpu_raised = 0; return;
    case 0x58: *c->sync |= value; return;
    case 0x5C: *c->sync &= ~value; return;
  }
  if (offset >= 0x100 && offset < 0x200) return;
UNKNOWN_WRITE

/* The router's: 0, and no notice taken; the board routes. */
static uint64_t router_read(uc_engine *uc, uint64_t offset, unsigned size, void *data) {
  (void)uc, (void)offset, (void)size, (void)data;
  return 0;
}

static void router_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *d) {
  (void)uc, (void)offset, (void)size, (void)value, (void)d;
}

/* --- hooks ------------------------------------------------------------------------------------ */

static void on_wait(uc_engine *uc, uint64_t address, uint32_t size, void *data) {
  (void)address, (void)size;
  ((core *)data)->waiting = 1;
  uc_emu_stop(uc);
}

static void on_status(uc_engine *uc, uint64_t address, uint32_t size, void *data) {
  core *c = data;
  uint32_t mode, vector;
  (void)address, (void)size;
  if ((fiq(c) || irq(c)) && entry(c, status_of(c), &mode, &vector)) uc_emu_stop(uc);
}

static void on_block(uc_engine *uc, uint64_t address, uint32_t size, void *data) {
  core *c = data;
  uint8_t inside = 0, *shift = address < ITCM_SIZE ? &c->shifts[address >> 1] : &inside;
  if (!*shift) *shift = status_of(c) & 0x20 ? 1 : 2; /* code is Thumb or ARM, and stays so */
  c->instructions += size >> *shift;
  c->block = (uint32_t)address, c->block_size = size;
  if (c->instructions >= c->limit) { c->out_of_time = 1; uc_emu_stop(uc); }
}

/* --- what Python calls ------------------------------------------------------------------------ */

void core_free(core *c) {
  if (c->uc) uc_close(c->uc);
  free(c->queue);
  free(c->sent);
  free(c);
}

/* NULL: Unicorn refused. ``waits`` and ``writes``: addresses to hook. */
core *core_new(uint32_t number, uint32_t start, uint32_t *sync, void (*to_monitor)(void), uint8_t *itcm,
               uint8_t *dtcm, uint8_t *sdram, uint8_t *sysram, const uint32_t *waits, int n_waits,
               const uint32_t *writes, int n_writes, uint32_t idle_polls) {
  static const struct { uint32_t base, size; uc_cb_mmio_read_t read; uc_cb_mmio_write_t write; }
  devices[] = {
    {0x10000000u, 0x1000, comms_read, comms_write}, {0x20000000u, 0x1000, comms_read, comms_write},
    {0x11000000u, 0x1000, timer_read, timer_write}, {0x21000000u, 0x1000, timer_read, timer_write},
    {0x1F000000u, 0x1000, vic_read, vic_write}, {0x2F000000u, 0x1000, vic_read, vic_write},
    {0xFFFFF000u, 0x1000, vic_read, vic_write},
    {0x30000000u, 0x1000, dma_read, dma_write}, {0x40000000u, 0x1000, dma_read, dma_write},
    {0xE2000000u, 0x1000, system_read, system_write},
    {0xF2000000u, 0x1000, system_read, system_write},
    {0xE1000000u, 0x20000, router_read, router_write},
    {0xF1000000u, 0x20000, router_read, router_write},
  };
  core *c = calloc(1, sizeof(core));
  if (c == NULL) return NULL;
  const struct { uint32_t base, size; uint8_t *bytes; } memories[] = {
    {0, ITCM_SIZE, itcm}, {DTCM_BASE, DTCM_SIZE, dtcm},
    {0x60000000u, SDRAM_SIZE, sdram}, {0x70000000u, SDRAM_SIZE, sdram},
    {0xE5000000u, SYSRAM_SIZE, sysram}, {0xF5000000u, SYSRAM_SIZE, sysram},
  };
  uint32_t status = 0xD3; /* supervisor, no interrupts */
  uc_hook hook;
  int wrong = 0;
  c->number = number, c->sync = sync, c->to_monitor = to_monitor, c->idle_polls = idle_polls;
  c->itcm = itcm, c->dtcm = dtcm, c->sdram = sdram, c->sysram = sysram;
  c->resumed = 1;
  c->room = 256;
  c->queue = malloc(c->room * sizeof(packet));
  wrong |= c->queue == NULL || uc_open(UC_ARCH_ARM, UC_MODE_ARM, &c->uc);
  wrong = wrong || uc_ctl_set_cpu_model(c->uc, UC_CPU_ARM_946);
  for (unsigned i = 0; !wrong && i < sizeof memories / sizeof *memories; i++)
    wrong = uc_mem_map_ptr(c->uc, memories[i].base, memories[i].size, UC_PROT_ALL,
                           memories[i].bytes);
  for (unsigned i = 0; !wrong && i < sizeof devices / sizeof *devices; i++)
    wrong = uc_mmio_map(c->uc, devices[i].base, devices[i].size, devices[i].read, c,
                        devices[i].write, c);
  for (int i = 0; !wrong && i < n_waits; i++)
    wrong = uc_hook_add(c->uc, &hook, UC_HOOK_CODE, (void *)on_wait, c, (uint64_t)waits[i],
                        (uint64_t)waits[i]);
  for (int i = 0; !wrong && i < n_writes; i++)
    wrong = uc_hook_add(c->uc, &hook, UC_HOOK_CODE, (void *)on_status, c, (uint64_t)writes[i],
                        (uint64_t)writes[i]);
  wrong = wrong || uc_hook_add(c->uc, &hook, UC_HOOK_BLOCK, (void *)on_block, c, (uint64_t)1,
                               (uint64_t)0);
  wrong = wrong || uc_reg_write(c->uc, UC_ARM_REG_CPSR, &status) ||
          uc_reg_write(c->uc, UC_ARM_REG_R0, &start);
  if (wrong) { core_free(c); return NULL; }
  return c;
}

/* More of the queue arrives, once the core has nothing else to do; 0: there is no more. */
static int arrive(core *c) {
  if (c->shown == c->tail) return 0;
  c->shown = c->tail - c->shown > AT_ONCE ? c->shown + AT_ONCE : c->tail;
  return 1;
}

static int idle(core *c) { return !(fiq(c) || irq(c)) && !(arrive(c) && (fiq(c) || irq(c))); }

/* A block is counted when it begins: what was not executed of the last one is taken off. */
static void correct(core *c) {
  uint32_t done = c->pc - c->block;
  if (done < c->block_size)
    c->instructions -= (c->block_size - done) >> (status_of(c) & 0x20 ? 1 : 2);
  c->instructions += c->waiting;
  c->block_size = 0;
}

/* Until the core waits for an interrupt that is not there, polls the clock, fails, or has executed ``slice`` instructions. */
int core_run(core *c, uint64_t slice) {
  if (c->asleep && idle(c)) return WAITING;
  c->limit = c->instructions + slice;
  for (;;) {
    if (!c->resumed && (fiq(c) || irq(c))) enter(c);
    c->resumed = c->asleep = c->waiting = c->polling = c->out_of_time = 0;
    uint32_t thumb = status_of(c) >> 5 & 1;
    c->uc_error = uc_emu_start(c->uc, c->pc | thumb, NOWHERE, 0, 0);
    uc_reg_read(c->uc, UC_ARM_REG_PC, &c->pc);
    correct(c);
    if (c->failed) return c->failed;
    if (c->uc_error) return EXECUTION;
    if (c->waiting) c->pc += 4;
    if (c->polling) { if (idle(c)) return POLLING; continue; }
    if (c->waiting) {
      if (!idle(c)) continue;
      c->asleep = 1;
      return WAITING;
    }
    if (c->out_of_time) { c->resumed = 1; return BUSY; }
  }
}

void core_tick(core *c) { c->timer_raised = TIMER; }
void core_end_tick(core *c) { c->second_over = 1; }
void core_interrupt(core *c) { c->cpu_raised = CPU; }
int core_timer_runs(const core *c) { return c->control >> 7 & 1; }
uint32_t core_tick_cycles(const core *c) { return c->load; }
uint64_t core_instructions(const core *c) { return c->instructions; }
uint32_t core_fault_address(const core *c) { return c->fault_address; }
int core_uc_error(const core *c) { return c->uc_error; }
uint32_t core_sent(const core *c) { return c->n_sent; }

void core_deliver(core *c, const packet *packets, uint32_t n) {
  if (c->head == c->tail) c->head = c->shown = c->tail = 0;
  if (c->tail + n > c->room) {
    memmove(c->queue, c->queue + c->head, (c->tail - c->head) * sizeof(packet));
    c->tail -= c->head;
    c->shown -= c->head;
    c->head = 0;
    while (c->tail + n > c->room) c->room *= 2;
    c->queue = realloc(c->queue, c->room * sizeof(packet));
  }
  memcpy(c->queue + c->tail, packets, n * sizeof(packet));
  c->tail += n;
}

/* All that was sent, into room for it. */
void core_take(core *c, packet *packets) {
  memcpy(packets, c->sent, c->n_sent * sizeof(packet));
  c->n_sent = 0;
}

/* r0 to r15, then the status. */
void core_registers(core *c, uint32_t *values) {
  for (int i = 0; i < 13; i++) uc_reg_read(c->uc, UC_ARM_REG_R0 + i, &values[i]);
  uc_reg_read(c->uc, UC_ARM_REG_SP, &values[13]);
  uc_reg_read(c->uc, UC_ARM_REG_LR, &values[14]);
  uc_reg_read(c->uc, UC_ARM_REG_PC, &values[15]);
  values[16] = status_of(c);
}
