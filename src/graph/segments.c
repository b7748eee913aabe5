/* graph/segments.c - scans in segments: memory for gradients of the order of sqrt(T) instead of T.
 *
 * A scan over segments whose body is the scan of a segment's steps. Reverse mode keeps the carry before each step of a
 * scan and computes each step again on the way back: here a step is a segment, so that the carries within one are there
 * only while it is gone back through (Griewank & Walther, 2000; Chen et al., Training deep nets with sublinear memory
 * cost, 2016). Steps that fill no segment follow as a scan of their own. */
#include "graph/function.h"

#include <string.h>

static void segment_steps(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    tw_scan_desc steps = *(const tw_scan_desc *)user;
    steps.length = steps.segment;
    steps.segment = 0;
    steps.consts = in;
    steps.init = in + steps.consts_count;
    steps.xs = in + steps.consts_count + steps.carries_count;
    tw_scan(g, &steps, out, out + steps.carries_count);
}

/* Rows [begin, end) of x. */
static tw_val rows_of(tw_val x, int64_t begin, int64_t end)
{
    return x.id < 0 ? x : tw_slice(x, 0, begin, end);
}

/* (segments * steps,...) -> (segments,steps,...) */
static tw_val split(tw_val x, int64_t steps)
{
    if (x.id < 0) return x;
    tw_shape shape = tw_shape_at(x);
    int64_t segments = shape.dim[0] / steps;
    shape.dim[0] = steps;
    return tw_reshape(x, tw_stacked(shape, segments));
}

static tw_val join(tw_val x)
{
    if (x.id < 0) return x;
    tw_shape shape = tw_shape_at(x);
    shape.dim[0] *= shape.dim[1];
    for (int i = 2; i < shape.rank; i++) shape.dim[i - 1] = shape.dim[i];
    shape.dim[--shape.rank] = 0;
    return tw_reshape(x, shape);
}

void tw_scan_segments(tw_graph *g, const tw_scan_desc *desc, int64_t length, tw_val *out_carries, tw_val *out_ys)
{
    int64_t segments = length / desc->segment, rest = length % desc->segment, begin = desc->reversed ? rest : 0;
    int64_t rest_begin = desc->reversed ? 0 : length - rest;
    int xs_count = desc->xs_count, ys_count = desc->ys_count;
    tw_val *xs = tw_alloc(g->ctx, (size_t)xs_count + (size_t)ys_count, sizeof *xs), *ys = xs + xs_count;
    if (!xs) {
        tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: scan in segments");
        tw_no_values(g, desc->carries_count, out_carries);
        tw_no_values(g, ys_count, out_ys);
        return;
    }
    tw_scan_desc outer = *desc, last = *desc;
    for (int i = 0; i < xs_count; i++) xs[i] = split(rows_of(desc->xs[i], begin, begin + length - rest), desc->segment);
    outer.xs = xs;
    outer.length = segments;
    outer.segment = 0;
    outer.body = segment_steps;
    outer.user = (void *)(uintptr_t)desc;
    tw_scan(g, &outer, out_carries, out_ys);
    for (int k = 0; k < ys_count; k++) out_ys[k] = join(out_ys[k]);
    if (rest > 0) {
        for (int i = 0; i < xs_count; i++) xs[i] = rows_of(desc->xs[i], rest_begin, rest_begin + rest);
        last.xs = xs;
        last.init = out_carries;
        last.length = rest;
        last.segment = 0;
        tw_scan(g, &last, out_carries, ys);
        for (int k = 0; k < ys_count; k++)
            out_ys[k] = desc->reversed ? tw_concat2(0, ys[k], out_ys[k]) : tw_concat2(0, out_ys[k], ys[k]);
    }
    tw_free(g->ctx, xs);
}
