/* exec/profile.h - where the time of a program goes: a counter an instruction, added to by every thread that runs it.
 *
 * A context made with `profile` gives each program counters; when the program goes, its table is told to the log. */
#ifndef TW_EXEC_PROFILE_H
#define TW_EXEC_PROFILE_H

#include "exec/program.h"

#include <stdatomic.h>

typedef struct tw_counter {
    _Atomic int64_t ns, calls, rows;
} tw_counter;

struct tw_profile {
    _Atomic int64_t runs, wall_ns;
    _Atomic int32_t threads; /* most that worked in one state */
    int32_t count;           /* instructions, then the three below */
    tw_counter counter[];
};

/* After the instructions: packing operands, adding up sums over rows, and copies at the end. */
enum { TW_PROFILE_PACK, TW_PROFILE_COMBINE, TW_PROFILE_FINISH, TW_PROFILE_EXTRA };

TW_NODISCARD tw_status tw_profile_create(tw_program *program);
/* Nanoseconds of the clock that never goes back. */
int64_t tw_profile_now(void);
static inline void tw_profile_add(tw_counter *counter, int64_t since, int64_t rows)
{
    atomic_fetch_add_explicit(&counter->ns, tw_profile_now() - since, memory_order_relaxed);
    atomic_fetch_add_explicit(&counter->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counter->rows, rows, memory_order_relaxed);
}
/* Tells the table of a program that has run to its context's log. */
void tw_profile_tell(const tw_program *program);

#endif
