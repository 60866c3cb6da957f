/* Sums of 64 bits, and the loops over the modes of one neuron: new states, and y of them.
 *
 *   x'  = (a x + 2^k u + 2^30) >> 31        per mode, complex
 *   y   = (sum(c_re x'_re - c_im x'_im) + d u + 2^31) >> 32
 *
 * Needs <stdint.h> only. License: MIT. */
#ifndef STATE_SPACE_MODES_H
#define STATE_SPACE_MODES_H

#include <stdint.h>

typedef struct {
    int32_t a_re;
    int32_t a_im;
    int32_t c_re;
    int32_t minus_c_im;
    int32_t x_re;
    int32_t x_im;
} state_space_complex_mode_t; /* 24 bytes */

typedef struct {
    int32_t a;
    int32_t c;
    int32_t x;
} state_space_real_mode_t; /* 12 bytes */

/* The 32 bits of v as a signed number: C leaves the plain conversion to the compiler. */
static inline int32_t state_space_signed(uint32_t v)
{
    const union {
        uint32_t bits;
        int32_t value;
    } word = {v};
    return word.value;
}

/* a + b modulo 2^32. */
static inline int32_t state_space_add(int32_t a, int32_t b)
{
    return state_space_signed((uint32_t) a + (uint32_t) b);
}

/* -a for |a| < 2^31, which the host's parameters respect; -2^31 stays. */
static inline int32_t state_space_negated(int32_t a)
{
    return state_space_signed(0u - (uint32_t) a);
}

/* A 64-bit sum as two words: as one, the compiler would insist on neighbouring registers. */
typedef struct {
    uint32_t low;
    uint32_t high;
} state_space_sum_t;

#if defined(__GNUC__) && defined(__arm__) && !defined(__thumb__) && !defined(STATE_SPACE_PORTABLE)

/* a b. */
static inline state_space_sum_t state_space_product(int32_t a, int32_t b)
{
    state_space_sum_t sum;
    __asm__("smull %0, %1, %2, %3" : "=&r"(sum.low), "=&r"(sum.high) : "r"(a), "r"(b));
    return sum;
}

/* sum + a b modulo 2^64. The compiler has this instruction, but reorders sums until it is lost. */
static inline state_space_sum_t state_space_add_product(state_space_sum_t sum, int32_t a, int32_t b)
{
    __asm__("smlal %0, %1, %2, %3" : "+&r"(sum.low), "+&r"(sum.high) : "r"(a), "r"(b));
    return sum;
}

/* (sum + 2^30) >> 31: the bit that is shifted out last is the carry, and rounds at no cost. */
static inline int32_t state_space_narrow(state_space_sum_t sum)
{
    int32_t x;
    __asm__("movs %0, %1, lsr #31\n\tadc %0, %0, %2, lsl #1"
            : "=&r"(x) : "r"(sum.low), "r"(sum.high) : "cc");
    return x;
}

#else

/* sum + a b modulo 2^64. */
static inline state_space_sum_t state_space_add_product(state_space_sum_t sum, int32_t a, int32_t b)
{
    const uint64_t whole = ((uint64_t) sum.high << 32 | sum.low) + (uint64_t) ((int64_t) a * b);
    const state_space_sum_t result = {(uint32_t) whole, (uint32_t) (whole >> 32)};
    return result;
}

/* a b. */
static inline state_space_sum_t state_space_product(int32_t a, int32_t b)
{
    const state_space_sum_t zero = {0, 0};
    return state_space_add_product(zero, a, b);
}

/* (sum + 2^30) >> 31: the bit that is shifted out last rounds. */
static inline int32_t state_space_narrow(state_space_sum_t sum)
{
    const uint32_t carry = sum.low >> 30 & 1u;
    return state_space_signed((sum.high << 1 | sum.low >> 31) + carry);
}

#endif

/* 2^k, with k in the low five bits of c. */
static inline int32_t state_space_gain(int32_t c)
{
    return state_space_signed((uint32_t) 1 << ((uint32_t) c & 31u));
}

/* The loops below need every register the processor has: inlined, they would spill. */
#if defined(__GNUC__)
#define STATE_SPACE_OUT_OF_LINE __attribute__((noinline))
#else
#define STATE_SPACE_OUT_OF_LINE
#endif

#if defined(__GNUC__) && defined(__arm__) && !defined(__thumb__) && defined(__OPTIMIZE__) \
        && !defined(STATE_SPACE_PORTABLE)

/* The loops in assembly: the same sums in the same order as below, 19 instructions a complex mode and
 * 11 a real one, where the compiler takes 28 and 16. What it does not find: one LDM for a whole mode,
 * one STM for both states, and an order in which 14 registers suffice. Without optimisation the
 * compiler keeps one of them for itself. */
STATE_SPACE_OUT_OF_LINE static int32_t state_space_complex_modes(
        state_space_complex_mode_t *mode, uint32_t n_modes, int32_t u, int32_t d)
{
    register state_space_complex_mode_t *next __asm__("r0") = mode;
    register uint32_t count __asm__("r1") = n_modes;
    register int32_t input __asm__("r2") = u;
    state_space_sum_t sum = {(uint32_t) 1 << 31, 0};
    sum = state_space_add_product(sum, d, u);
    register uint32_t low __asm__("r3") = sum.low;
    register uint32_t high __asm__("r4") = sum.high;
    if (n_modes == 0) {
        return state_space_signed(high);
    }
    __asm__ volatile(
            "1: ldmia %[next]!, {r5-r10}\n\t"    /* a_re a_im c_re -c_im x_re x_im */
            "smull r11, r12, r5, r10\n\t"
            "smlal r11, r12, r6, r9\n\t"
            "movs  lr, r11, lsr #31\n\t"
            "adc   lr, lr, r12, lsl #1\n\t"      /* lr: the new x_im */
            "smull r11, r12, r5, r9\n\t"
            "rsb   r6, r6, #0\n\t"
            "smlal r11, r12, r6, r10\n\t"
            "and   r5, r7, #31\n\t"
            "mov   r6, #1\n\t"
            "mov   r6, r6, lsl r5\n\t"
            "smlal r11, r12, r6, %[input]\n\t"
            "movs  r9, r11, lsr #31\n\t"
            "adc   r9, r9, r12, lsl #1\n\t"      /* r9: the new x_re */
            "smlal %[low], %[high], r7, r9\n\t"
            "smlal %[low], %[high], r8, lr\n\t"
            "stmdb %[next], {r9, lr}\n\t"
            "subs  %[count], %[count], #1\n\t"
            "bne   1b"
            : [next] "+r"(next), [count] "+r"(count), [low] "+r"(low), [high] "+r"(high)
            : [input] "r"(input)
            : "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
    return state_space_signed(high);
}

STATE_SPACE_OUT_OF_LINE static int32_t state_space_real_modes(
        state_space_real_mode_t *mode, uint32_t n_modes, int32_t u, int32_t d)
{
    register state_space_real_mode_t *next __asm__("r0") = mode;
    register uint32_t count __asm__("r1") = n_modes;
    register int32_t input __asm__("r2") = u;
    state_space_sum_t sum = {(uint32_t) 1 << 31, 0};
    sum = state_space_add_product(sum, d, u);
    register uint32_t low __asm__("r3") = sum.low;
    register uint32_t high __asm__("r4") = sum.high;
    if (n_modes == 0) {
        return state_space_signed(high);
    }
    __asm__ volatile(
            "mov   r10, #1\n\t"
            "1: ldmia %[next]!, {r5-r7}\n\t"     /* a c x */
            "smull r8, r9, r5, r7\n\t"
            "and   r5, r6, #31\n\t"
            "mov   r5, r10, lsl r5\n\t"
            "smlal r8, r9, r5, %[input]\n\t"
            "movs  r7, r8, lsr #31\n\t"
            "adc   r7, r7, r9, lsl #1\n\t"       /* r7: the new x */
            "smlal %[low], %[high], r6, r7\n\t"
            "str   r7, [%[next], #-4]\n\t"
            "subs  %[count], %[count], #1\n\t"
            "bne   1b"
            : [next] "+r"(next), [count] "+r"(count), [low] "+r"(low), [high] "+r"(high)
            : [input] "r"(input)
            : "r5", "r6", "r7", "r8", "r9", "r10", "cc", "memory");
    return state_space_signed(high);
}

#else

/* The modes' update, and y. */
STATE_SPACE_OUT_OF_LINE static int32_t state_space_complex_modes(
        state_space_complex_mode_t *mode, uint32_t n_modes, int32_t u, int32_t d)
{
    state_space_sum_t sum = {(uint32_t) 1 << 31, 0};
    sum = state_space_add_product(sum, d, u);
    for (; n_modes > 0; n_modes--, mode++) {
        const int32_t a_re = mode->a_re, a_im = mode->a_im;
        const int32_t x_re = mode->x_re, x_im = mode->x_im;
        const int32_t c_re = mode->c_re;

        state_space_sum_t re = state_space_product(a_re, x_re);
        re = state_space_add_product(re, state_space_negated(a_im), x_im);
        re = state_space_add_product(re, u, state_space_gain(c_re));
        state_space_sum_t im = state_space_product(a_re, x_im);
        im = state_space_add_product(im, a_im, x_re);

        mode->x_re = state_space_narrow(re);
        mode->x_im = state_space_narrow(im);
        sum = state_space_add_product(sum, c_re, mode->x_re);
        sum = state_space_add_product(sum, mode->minus_c_im, mode->x_im);
    }
    return state_space_signed(sum.high);
}

STATE_SPACE_OUT_OF_LINE static int32_t state_space_real_modes(
        state_space_real_mode_t *mode, uint32_t n_modes, int32_t u, int32_t d)
{
    state_space_sum_t sum = {(uint32_t) 1 << 31, 0};
    sum = state_space_add_product(sum, d, u);
    for (; n_modes > 0; n_modes--, mode++) {
        const int32_t c = mode->c;
        state_space_sum_t x = state_space_product(mode->a, mode->x);
        x = state_space_add_product(x, u, state_space_gain(c));
        mode->x = state_space_narrow(x);
        sum = state_space_add_product(sum, c, mode->x);
    }
    return state_space_signed(sum.high);
}

#endif

#endif /* STATE_SPACE_MODES_H */
