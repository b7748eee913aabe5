/* graph/divergence.c - the trace of a row-wise field's Jacobian: exact, or estimated from random probes.
 *
 * exact       sum_d e_d . J e_d: D tangents a row
 * Hutchinson  mean_k v_k . J v_k, E v v' = 1 (Hutchinson 1990; FFJORD: Grathwohl et al. 2019)
 * Hutch++     the part of J seen by Q = orth(J S) exactly, Hutchinson on the rest: tr(Q'JQ) + mean_k g_k . J g_k with
 *             g_k = (1 - QQ') v_k (Meyer, Musco, Musco, Woodruff 2021, algorithm 1). Unbiased for every J and every Q
 *             independent of v, by tr(PJ) = tr(PJP) of the projection P = 1 - QQ'.
 *
 * All tangents of a row are batched behind the rows (tw_vmap_rows); Hutch++ needs two sweeps one after the other. */
#include "graph/node.h"

tw_val tw_probe_vectors(tw_probe probe, tw_dtype dtype, tw_val key, tw_val counter, uint32_t stream, tw_shape shape)
{
    tw_val bits = tw_random_bits(key, counter, stream, shape);
    if (bits.id < 0) return bits;
    if (probe == TW_PROBE_GAUSSIAN) return tw_bits_to_normal(bits, dtype);
    tw_val one = tw_full(bits.graph, dtype, shape, 1.0);
    return tw_select(tw_lt(bits, tw_full_like(bits, 0x1p31)), one, tw_neg(one));
}

/* A field's derivative along a stand-in, to be swept over many tangents. */
typedef struct sweep {
    tw_val slot, derivative;
} sweep;

/* J of every row times the vectors (R,K,D) of that row. */
static tw_status along(const sweep *s, tw_val vectors, tw_val *out_products)
{
    return tw_vmap_rows(1, &s->slot, &vectors, 1, &s->derivative, out_products);
}

static tw_val sum_of_products(tw_val a, tw_val b)
{
    return tw_sum(tw_mul(a, b), 2, (const int[]){1, 2});
}

/* a b' over the last axis, a row at a time: (R,K,D) (R,L,D) -> (R,K,L). */
static tw_val inner(tw_val a, tw_val b)
{
    return tw_dot_general(a, b, 1, (const int[]){0}, (const int[]){0}, 1, (const int[]){2}, (const int[]){2});
}

/* v minus its part in the span of the orthonormal q (R,L,D). */
static tw_val without(tw_val v, tw_val q)
{
    return tw_sub(v, tw_dot_general(inner(v, q), q, 1, (const int[]){0}, (const int[]){0}, 1, (const int[]){2},
                                    (const int[]){1}));
}

/* Gram-Schmidt, every vector twice (Giraud, Langou, Rozloznik 2005: twice is enough). A vector that lies in the span of
 * those before it becomes zero, which keeps QQ' a projection. */
static tw_val orthonormal(tw_val y, int count, tw_val *scratch)
{
    /* what rounding leaves of a vector in the span, squared */
    double noise = tw_dtype_at(y) == TW_DTYPE_F64 ? 1e-24 : 1e-10, tiny = 1e-36;
    for (int j = 0; j < count; j++) {
        tw_val v = tw_slice(y, 1, j, j + 1), before = tw_sum_axis(tw_square(v), 2);
        for (int pass = 0; pass < 2 && j > 0; pass++) v = without(v, tw_concat(1, j, scratch));
        tw_val after = tw_sum_axis(tw_square(v), 2);
        tw_val keep = tw_lt(tw_adds(tw_muls(before, noise), tiny), after);
        tw_val scale = tw_select(keep, tw_rsqrt(tw_adds(after, tiny)), tw_zeros_like(after));
        scratch[j] = tw_mul(v, tw_expand_dim(scale, 2));
    }
    return tw_concat(1, count, scratch);
}

/* Q is held fixed in derivatives: with any fixed Q the estimate is unbiased, so its gradient is too. */
static tw_status hutch_plus_plus(const sweep *s, tw_val vectors, int count, tw_val *out_divergence)
{
    tw_graph *g = vectors.graph;
    tw_val *scratch = tw_alloc(g->ctx, (size_t)count, sizeof *scratch), seen = TW_NONE, products = TW_NONE;
    tw_status status = TW_OK;
    if (!scratch) return tw_fail_memory(g->ctx, (size_t)count * sizeof *scratch);
    TW_TRY(along(s, tw_slice(vectors, 1, 0, count), &seen));
    tw_val q = tw_stop_gradient(orthonormal(seen, count, scratch));
    tw_val rest = without(tw_slice(vectors, 1, count, 2 * count), q);
    TW_TRY(tw_graph_check(g));
    TW_TRY(along(s, tw_concat2(1, q, rest), &products));
    tw_val exact = sum_of_products(q, tw_slice(products, 1, 0, count));
    tw_val estimate = sum_of_products(rest, tw_slice(products, 1, count, 2 * count));
    *out_divergence = tw_add(exact, tw_muls(estimate, 1.0 / count));
done:
    tw_free(g->ctx, scratch);
    return status;
}

/* Probe vectors (R,count,D): the caller's, or drawn. */
static tw_status probes_of(tw_val x, const tw_divergence_desc *desc, int64_t count, tw_val *out_vectors)
{
    tw_graph *g = x.graph;
    tw_shape shape = tw_shape_of(tw_dim(x, 0), count, tw_dim(x, 1));
    tw_val given = desc->vectors;
    if (!given.graph) {
        *out_vectors = tw_probe_vectors(desc->probe, tw_dtype_at(x), desc->key, desc->counter, desc->stream, shape);
        return tw_graph_check(g);
    }
    if (given.graph != g || given.id < 0 || !tw_shape_equal(tw_shape_at(given), shape) ||
        tw_dtype_at(given) != tw_dtype_at(x))
        return tw_fail(g->ctx, TW_ERR_SHAPE, "divergence: the vectors are not %s%s of the field's graph",
                       tw_dtype_name(tw_dtype_at(x)), tw_shape_show(shape).text);
    *out_vectors = given;
    return TW_OK;
}

static tw_status check_field(tw_val x, tw_val field, const tw_divergence_desc *desc, tw_graph **out_graph)
{
    tw_status status = tw_graph_of("divergence", 2, (tw_val[]){x, field}, out_graph);
    if (status != TW_OK) return status;
    tw_context *ctx = (*out_graph)->ctx;
    tw_shape from = tw_shape_at(x), to = tw_shape_at(field);
    if (from.rank != 2 || !tw_shape_equal(from, to) || !tw_dtype_is_real(tw_dtype_at(x)) ||
        tw_dtype_at(x) != tw_dtype_at(field))
        return tw_fail(ctx, TW_ERR_SHAPE, "divergence: %s%s of %s%s is not a field (R,D) -> (R,D) of real numbers",
                       tw_dtype_name(tw_dtype_at(field)), tw_shape_show(to).text, tw_dtype_name(tw_dtype_at(x)),
                       tw_shape_show(from).text);
    if (!desc || desc->trace == TW_TRACE_EXACT) return TW_OK;
    if (desc->probes < 1 || (desc->trace == TW_TRACE_HUTCHPP && desc->probes % 3 != 0))
        return tw_fail(ctx, TW_ERR_INVALID, "divergence: %d probes; %s", desc->probes,
                       desc->trace == TW_TRACE_HUTCHPP ? "Hutch++ takes 3, 6, 9, ..." : "at least one is needed");
    if (!desc->vectors.graph && (desc->key.graph != x.graph || desc->counter.graph != x.graph))
        return tw_fail(ctx, TW_ERR_INVALID, "divergence: probes need vectors, or a key and a counter");
    return TW_OK;
}

tw_status tw_divergence(tw_val x, tw_val field, const tw_divergence_desc *desc, tw_val *out_divergence)
{
    tw_graph *g = NULL;
    tw_status status = check_field(x, field, desc, &g);
    if (status != TW_OK) return status;
    tw_trace trace = desc ? desc->trace : TW_TRACE_EXACT;
    int count = trace == TW_TRACE_HUTCHPP ? desc->probes / 3 : desc ? desc->probes : 0;
    if (trace == TW_TRACE_HUTCHPP && count >= tw_dim(x, 1)) trace = TW_TRACE_EXACT;
    tw_val vectors = TW_NONE, products = TW_NONE, divergence = TW_NONE;
    sweep s = {.slot = tw_input(g, "slot", tw_dtype_at(x), tw_shape_at(x)), .derivative = TW_NONE};
    TW_TRY(tw_graph_check(g));
    TW_TRY(tw_jvp(1, &x, &s.slot, 1, &field, &s.derivative));
    if (tw_is_none(s.derivative)) {
        divergence = tw_full(g, tw_dtype_at(x), tw_shape_of(tw_dim(x, 0)), 0.0);
    } else if (trace == TW_TRACE_HUTCHPP) {
        TW_TRY(probes_of(x, desc, 2 * count, &vectors));
        TW_TRY(hutch_plus_plus(&s, vectors, count, &divergence));
    } else {
        vectors = tw_unit_vectors(x);
        if (trace == TW_TRACE_HUTCHINSON) TW_TRY(probes_of(x, desc, count, &vectors));
        TW_TRY(along(&s, vectors, &products));
        divergence = sum_of_products(products, vectors);
        if (trace == TW_TRACE_HUTCHINSON) divergence = tw_muls(divergence, 1.0 / count);
    }
    TW_TRY(tw_graph_check(g));
    *out_divergence = divergence;
done:
    return status;
}
