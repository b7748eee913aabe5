/* graph/attr.c - attributes as named fields. One table serves the printer and the parser, so they cannot disagree. */
#include "graph/attr.h"

const tw_field tw_fields[] = {
    {TW_OP_iota, "axis", TW_FIELD_AXIS, false},
    {TW_OP_random_bits, "stream", TW_FIELD_NUMBER, false},
    {TW_OP_transpose, "axes", TW_FIELD_PERMUTATION, true},
    {TW_OP_slice, "begin", TW_FIELD_BEGIN, true},
    {TW_OP_slice, "stride", TW_FIELD_STRIDE, true},
    {TW_OP_pad, "low", TW_FIELD_BEGIN, true},
    {TW_OP_pad, "high", TW_FIELD_END, true},
    {TW_OP_pad, "interior", TW_FIELD_STRIDE, true},
    {TW_OP_pad, "value", TW_FIELD_VALUE, false},
    {TW_OP_reverse, "axis", TW_FIELD_AXIS, false},
    {TW_OP_concat, "axis", TW_FIELD_AXIS, false},
    {TW_OP_sum, "axes", TW_FIELD_MASK, true},
    {TW_OP_reduce_max, "axes", TW_FIELD_MASK, true},
    {TW_OP_argmax, "axis", TW_FIELD_AXIS, false},
    {TW_OP_cumsum, "axis", TW_FIELD_AXIS, false},
    {TW_OP_take_along_axis, "axis", TW_FIELD_AXIS, false},
    {TW_OP_scatter_add_along_axis, "axis", TW_FIELD_AXIS, false},
    {TW_OP_argsort, "axis", TW_FIELD_AXIS, false},
    {TW_OP_argsort, "falling", TW_FIELD_NUMBER, false},
    {TW_OP_fft, "axes", TW_FIELD_MASK, true},
    {TW_OP_fft, "inverse", TW_FIELD_NUMBER, false},
    {TW_OP_fft, "factor", TW_FIELD_VALUE, false},
    {TW_OP_rfft, "axis", TW_FIELD_AXIS, false},
    {TW_OP_rfft, "factor", TW_FIELD_VALUE, false},
    {TW_OP_irfft, "axis", TW_FIELD_AXIS, false},
    {TW_OP_irfft, "factor", TW_FIELD_VALUE, false},
    {TW_OP_triangular_solve, "form", TW_FIELD_NUMBER, false},
    {TW_OP_softmax, "axis", TW_FIELD_AXIS, false},
    {TW_OP_softmax_tangent, "axis", TW_FIELD_AXIS, false},
    {TW_OP_log_softmax, "axis", TW_FIELD_AXIS, false},
    {TW_OP_log_softmax_tangent, "axis", TW_FIELD_AXIS, false},
    {TW_OP_log_softmax_cotangent, "axis", TW_FIELD_AXIS, false},
    {TW_OP_logsumexp, "axis", TW_FIELD_AXIS, false},
    {TW_OP_cross_entropy, "ignored", TW_FIELD_VALUE, false},
    {TW_OP_cross_entropy_gradient, "ignored", TW_FIELD_VALUE, false},
    {TW_OP_normalise, "axis", TW_FIELD_AXIS, false},
    {TW_OP_normalise, "groups", TW_FIELD_NUMBER, false},
    {TW_OP_normalise, "centred", TW_FIELD_OPTION, false},
    {TW_OP_normalise, "epsilon", TW_FIELD_VALUE, false},
    {TW_OP_normalise_tangent, "axis", TW_FIELD_AXIS, false},
    {TW_OP_normalise_tangent, "groups", TW_FIELD_NUMBER, false},
    {TW_OP_normalise_tangent, "mode", TW_FIELD_OPTION, false},
    {TW_OP_normalise_tangent, "epsilon", TW_FIELD_VALUE, false},
    {TW_OP_normalise_scale, "axis", TW_FIELD_AXIS, false},
    {TW_OP_normalise_scale, "groups", TW_FIELD_NUMBER, false},
    {TW_OP_normalise_scale, "centred", TW_FIELD_OPTION, false},
    {TW_OP_normalise_scale, "epsilon", TW_FIELD_VALUE, false},
    {TW_OP_rotary, "axis", TW_FIELD_AXIS, false},
    {TW_OP_rotary, "interleaved", TW_FIELD_OPTION, false},
    {TW_OP_dot_general, "batch_a", TW_FIELD_BATCH_A, true},
    {TW_OP_dot_general, "batch_b", TW_FIELD_BATCH_B, true},
    {TW_OP_dot_general, "contract_a", TW_FIELD_CONTRACT_A, true},
    {TW_OP_dot_general, "contract_b", TW_FIELD_CONTRACT_B, true},
    {TW_OP_conv, "stride", TW_FIELD_SPACE_STRIDE, true},
    {TW_OP_conv, "low", TW_FIELD_SPACE_LOW, true},
    {TW_OP_conv, "high", TW_FIELD_SPACE_HIGH, true},
    {TW_OP_conv, "dilation", TW_FIELD_SPACE_DILATION, true},
    {TW_OP_conv, "groups", TW_FIELD_NUMBER, false},
    {TW_OP_conv_input, "stride", TW_FIELD_SPACE_STRIDE, true},
    {TW_OP_conv_input, "low", TW_FIELD_SPACE_LOW, true},
    {TW_OP_conv_input, "high", TW_FIELD_SPACE_HIGH, true},
    {TW_OP_conv_input, "dilation", TW_FIELD_SPACE_DILATION, true},
    {TW_OP_conv_input, "groups", TW_FIELD_NUMBER, false},
    {TW_OP_conv_weights, "stride", TW_FIELD_SPACE_STRIDE, true},
    {TW_OP_conv_weights, "low", TW_FIELD_SPACE_LOW, true},
    {TW_OP_conv_weights, "high", TW_FIELD_SPACE_HIGH, true},
    {TW_OP_conv_weights, "dilation", TW_FIELD_SPACE_DILATION, true},
    {TW_OP_conv_weights, "groups", TW_FIELD_NUMBER, false},
    {TW_OP_part, "number", TW_FIELD_NUMBER, false},
    {TW_OP_call, "function", TW_FIELD_FUNCTION_A, false},
    {TW_OP_call, "recompute", TW_FIELD_RECOMPUTE, false},
    {TW_OP_cond, "yes", TW_FIELD_FUNCTION_A, false},
    {TW_OP_cond, "no", TW_FIELD_FUNCTION_B, false},
    {TW_OP_scan, "body", TW_FIELD_FUNCTION_A, false},
    {TW_OP_scan, "consts", TW_FIELD_CONSTS, false},
    {TW_OP_scan, "carries", TW_FIELD_CARRIES, false},
    {TW_OP_scan, "length", TW_FIELD_LENGTH, false},
    {TW_OP_scan, "reversed", TW_FIELD_REVERSED, false},
    {TW_OP_while, "condition", TW_FIELD_FUNCTION_A, false},
    {TW_OP_while, "body", TW_FIELD_FUNCTION_B, false},
    {TW_OP_while, "consts", TW_FIELD_CONSTS, false},
    {TW_OP_while, "carries", TW_FIELD_CARRIES, false},
    {TW_OP_custom_call, "function", TW_FIELD_FUNCTION_A, false},
    {TW_OP_attention_gradient, "scale", TW_FIELD_VALUE, false},
    {TW_OP_attention_gradient, "causal", TW_FIELD_NUMBER, false},
    {TW_OP_attention_tangent, "scale", TW_FIELD_VALUE, false},
    {TW_OP_attention_tangent, "causal", TW_FIELD_NUMBER, false},
    {TW_OP_attention, "scale", TW_FIELD_VALUE, false},
    {TW_OP_attention, "causal", TW_FIELD_NUMBER, false},
};
const int tw_fields_count = TW_COUNT(tw_fields);

static void get_bytes(tw_field_value *v, const int8_t *from, int count)
{
    v->count = count;
    for (int i = 0; i < count; i++) v->list[i] = from[i];
}

static void get_words(tw_field_value *v, const int64_t *from, int count)
{
    v->count = count;
    for (int i = 0; i < count; i++) v->list[i] = from[i];
}

tw_field_value tw_field_get(const tw_attr *a, tw_field_kind kind, int rank)
{
    tw_field_value v = {.present = true};
    switch (kind) {
    case TW_FIELD_AXIS:
        v.number = a->axis[0];
        break;
    case TW_FIELD_PERMUTATION:
        get_bytes(&v, a->axis, rank);
        break;
    case TW_FIELD_MASK:
        for (int i = 0; i < TW_MAX_RANK; i++)
            if (a->axis_mask & 1u << i) v.list[v.count++] = i;
        break;
    case TW_FIELD_BEGIN:
        get_words(&v, a->begin, rank);
        break;
    case TW_FIELD_END:
        get_words(&v, a->end, rank);
        break;
    case TW_FIELD_STRIDE:
        get_words(&v, a->stride, rank);
        break;
    case TW_FIELD_NUMBER:
        v.number = a->number;
        break;
    case TW_FIELD_OPTION:
        v.number = a->option;
        break;
    case TW_FIELD_VALUE:
        v.number = a->value;
        break;
    case TW_FIELD_BATCH_A:
        get_bytes(&v, a->axis, a->batch_count);
        break;
    case TW_FIELD_BATCH_B:
        get_bytes(&v, a->axis_b, a->batch_count);
        break;
    case TW_FIELD_CONTRACT_A:
        get_bytes(&v, a->axis + a->batch_count, a->contract_count);
        break;
    case TW_FIELD_CONTRACT_B:
        get_bytes(&v, a->axis_b + a->batch_count, a->contract_count);
        break;
    case TW_FIELD_SPACE_STRIDE:
        get_words(&v, a->stride, rank - 2);
        break;
    case TW_FIELD_SPACE_LOW:
        get_words(&v, a->begin, rank - 2);
        break;
    case TW_FIELD_SPACE_HIGH:
        get_words(&v, a->end, rank - 2);
        break;
    case TW_FIELD_SPACE_DILATION:
        get_words(&v, a->dilation, rank - 2);
        break;
    case TW_FIELD_FUNCTION_A:
    case TW_FIELD_FUNCTION_B:
        v.number = a->function[kind - TW_FIELD_FUNCTION_A];
        break;
    case TW_FIELD_CONSTS:
        v.number = a->consts;
        break;
    case TW_FIELD_CARRIES:
        v.number = a->carries;
        break;
    case TW_FIELD_LENGTH:
        v.number = (double)a->length;
        break;
    case TW_FIELD_REVERSED:
        v.number = a->reversed;
        break;
    case TW_FIELD_RECOMPUTE:
        v.number = a->recompute;
        break;
    case TW_FIELD_KINDS:
        break;
    }
    return v;
}

/* Axes at `to`, each in [0, TW_MAX_RANK). */
static bool put_axes(const tw_field_value *v, int8_t *to)
{
    for (int i = 0; i < v->count; i++) {
        if (v->list[i] < 0 || v->list[i] >= TW_MAX_RANK) return false;
        to[i] = (int8_t)v->list[i];
    }
    return true;
}

static bool put_words(const tw_field_value *v, int rank, int64_t *to)
{
    if (v->count != rank) return false;
    for (int i = 0; i < rank; i++) to[i] = v->list[i];
    return true;
}

/* One number for each axis between the first and the last. */
static bool put_space(const tw_field_value *v, int rank, int64_t *to)
{
    return rank >= 3 && rank <= 2 + TW_MAX_SPATIAL && put_words(v, rank - 2, to);
}

static bool put_mask(const tw_field_value *v, uint32_t *mask)
{
    for (int i = 0; i < v->count; i++) {
        if (v->list[i] < 0 || v->list[i] >= TW_MAX_RANK) return false;
        *mask |= 1u << v->list[i];
    }
    return true;
}

static bool put_number(const tw_field_value *v, double limit, double *out_number)
{
    *out_number = v->number;
    return v->number >= 0 && v->number < limit && v->number == (double)(int64_t)v->number;
}

/* The batch axes must be counted before the contracted ones find their place. */
static bool put_dot(const tw_field_value *values, tw_attr *a)
{
    const tw_field_value *batch_a = &values[TW_FIELD_BATCH_A], *batch_b = &values[TW_FIELD_BATCH_B];
    const tw_field_value *contract_a = &values[TW_FIELD_CONTRACT_A], *contract_b = &values[TW_FIELD_CONTRACT_B];
    if (batch_a->count != batch_b->count || contract_a->count != contract_b->count) return false;
    if (batch_a->count + contract_a->count > TW_MAX_RANK) return false;
    a->batch_count = (int8_t)batch_a->count;
    a->contract_count = (int8_t)contract_a->count;
    return put_axes(batch_a, a->axis) && put_axes(batch_b, a->axis_b) &&
           put_axes(contract_a, a->axis + a->batch_count) && put_axes(contract_b, a->axis_b + a->batch_count);
}

static bool put_field(const tw_field_value *v, tw_field_kind kind, int rank, tw_attr *a)
{
    double number = 0.0;
    bool fits = true;
    switch (kind) {
    case TW_FIELD_AXIS:
        fits = put_number(v, TW_MAX_RANK, &number);
        a->axis[0] = (int8_t)(fits ? number : 0.0);
        return fits;
    case TW_FIELD_PERMUTATION:
        return v->count == rank && put_axes(v, a->axis);
    case TW_FIELD_MASK:
        return put_mask(v, &a->axis_mask);
    case TW_FIELD_BEGIN:
        return put_words(v, rank, a->begin);
    case TW_FIELD_END:
        return put_words(v, rank, a->end);
    case TW_FIELD_STRIDE:
        return put_words(v, rank, a->stride);
    case TW_FIELD_NUMBER:
        fits = put_number(v, 0x1p32, &number);
        a->number = (uint32_t)(fits ? number : 0.0);
        return fits;
    case TW_FIELD_OPTION:
        fits = put_number(v, 0x1p32, &number);
        a->option = (uint32_t)(fits ? number : 0.0);
        return fits;
    case TW_FIELD_VALUE:
        a->value = v->number;
        return true;
    case TW_FIELD_SPACE_STRIDE:
        return put_space(v, rank, a->stride);
    case TW_FIELD_SPACE_LOW:
        return put_space(v, rank, a->begin);
    case TW_FIELD_SPACE_HIGH:
        return put_space(v, rank, a->end);
    case TW_FIELD_SPACE_DILATION:
        return put_space(v, rank, a->dilation);
    case TW_FIELD_FUNCTION_A:
    case TW_FIELD_FUNCTION_B:
        fits = put_number(v, 0x1p31, &number);
        a->function[kind - TW_FIELD_FUNCTION_A] = (int32_t)(fits ? number : 0.0);
        return fits;
    case TW_FIELD_CONSTS:
        fits = put_number(v, 0x1p30, &number);
        a->consts = (int32_t)(fits ? number : 0.0);
        return fits;
    case TW_FIELD_CARRIES:
        fits = put_number(v, 0x1p30, &number);
        a->carries = (int32_t)(fits ? number : 0.0);
        return fits;
    case TW_FIELD_LENGTH:
        fits = put_number(v, 0x1p52, &number);
        a->length = (int64_t)(fits ? number : 0.0);
        return fits;
    case TW_FIELD_REVERSED:
        a->reversed = v->number != 0.0;
        return put_number(v, 2, &number);
    case TW_FIELD_RECOMPUTE:
        a->recompute = v->number != 0.0;
        return put_number(v, 2, &number);
    default: /* put_dot */
        return true;
    }
}

bool tw_attr_from_fields(const tw_field_value *values, tw_op op, int rank, tw_attr *out_attr)
{
    tw_attr attr = {0};
    for (int i = 0; i < tw_fields_count; i++)
        if (tw_fields[i].op == op && !put_field(&values[tw_fields[i].kind], tw_fields[i].kind, rank, &attr))
            return false;
    if (op == TW_OP_dot_general && !put_dot(values, &attr)) return false;
    *out_attr = attr;
    return true;
}
