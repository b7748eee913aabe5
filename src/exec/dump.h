/* exec/dump.h - what compilation made, to the log (level debug), for whoever asks with THALWEG_DUMP=graph,fused,plan:
 * the graph as it was lowered, the stages with their fused instructions, where every value lives and for how long. */
#ifndef TW_EXEC_DUMP_H
#define TW_EXEC_DUMP_H

#include "exec/build.h"

void tw_dump_graph(const tw_build *b);
/* fused and plan, after everything is known */
void tw_dump_plan(const tw_build *b);

#endif
