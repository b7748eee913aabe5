/* train/pixels.c - see pixels.h. */
#include "train/pixels.h"

tw_val tw_pixels_unpack(tw_val words, int64_t columns, tw_dtype dtype)
{
    static const uint32_t mask[4] = {0xFF, 0xFF00, 0xFF0000, 0xFF000000};
    if (tw_is_none(words)) return words;
    tw_graph *g = words.graph;
    tw_shape shape = tw_shape_at(words);
    int64_t rows = shape.dim[0], count = shape.dim[1];
    double scale[4];
    float narrow[4];
    for (int i = 0; i < 4; i++) narrow[i] = (float)(scale[i] = 1.0 / (double)(1u << (8 * i)));
    const void *scales = dtype == TW_DTYPE_F64 ? (const void *)scale : narrow;
    tw_val bytes = tw_and(tw_expand_dim(words, 2), tw_const_data(g, TW_DTYPE_U32, tw_shape_of(4), mask));
    tw_val x = tw_mul(tw_cast(bytes, dtype), tw_const_data(g, dtype, tw_shape_of(4), scales));
    x = tw_slice(tw_reshape(x, tw_shape_of(rows, 4 * count)), 1, 0, columns);
    return tw_muls(tw_adds(x, -TW_PIXEL_MIDDLE), 1 / TW_PIXEL_MIDDLE); /* the difference is exact */
}

tw_val tw_pixels_mirror(tw_val rows, tw_image image, tw_val coin)
{
    if (tw_is_none(rows)) return rows;
    tw_shape flat = tw_shape_at(rows), shape = tw_shape_of(flat.dim[0], image.height, image.width, image.channels);
    tw_val x = tw_reshape(rows, shape);
    tw_val turned = tw_broadcast_to(tw_reshape(coin, tw_shape_of(flat.dim[0], 1, 1, 1)), shape);
    return tw_reshape(tw_select(turned, tw_reverse(x, 2), x), flat);
}

/* Numbers of pixels along an axis of (B,H,W,C), moved by a column of the offsets; what lies outside is clamped. */
static tw_val moved(tw_val offset, int axis, int64_t count, int column)
{
    tw_shape along = tw_shape_of(1, 1, 1, 1);
    int64_t rows = tw_shape_at(offset).dim[0];
    along.dim[axis] = count;
    tw_val by = tw_reshape(tw_slice(offset, 1, column, column + 1), tw_shape_of(rows, 1, 1, 1));
    return tw_add(tw_iota(offset.graph, TW_DTYPE_I32, along, axis), by);
}

tw_val tw_pixels_shift(tw_val rows, tw_image image, tw_val offset)
{
    if (tw_is_none(rows) || tw_is_none(offset)) return rows;
    tw_shape flat = tw_shape_at(rows);
    tw_val x = tw_reshape(rows, tw_shape_of(flat.dim[0], image.height, image.width, image.channels));
    x = tw_take_along_axis(x, moved(offset, 1, image.height, 0), 1);
    x = tw_take_along_axis(x, moved(offset, 2, image.width, 1), 2);
    return tw_reshape(x, flat);
}
