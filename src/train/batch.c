/* train/batch.c - see batch.h. Everything drawn is a function of seed and step number (streams TRAIN_ROW and
 * TRAIN_SOURCE), in whichever program it is drawn. */
#include "train/batch.h"

#include "base/streams.h"
#include "train/pixels.h"

static tw_val table(tw_graph *graph, const char *name, tw_dtype dtype, int64_t rows, int columns)
{
    return rows > 0 && columns > 0 ? tw_input(graph, name, dtype, tw_shape_of(rows, columns)) : TW_NONE;
}

static tw_val points_table(tw_graph *graph, const char *name, const tw_batch_desc *desc, int feed, int64_t rows)
{
    if (!desc->packed[feed]) return table(graph, name, desc->dtype, rows, desc->columns);
    return table(graph, name, TW_DTYPE_U32, rows, (int)tw_pixel_words(desc->columns));
}

void tw_batch_tables(tw_graph *graph, const tw_batch_desc *desc, tw_val out_feed[TW_FEEDS])
{
    out_feed[TW_FEED_DATA] = points_table(graph, "data", desc, TW_FEED_DATA, desc->rows);
    out_feed[TW_FEED_SOURCE] = points_table(graph, "source", desc, TW_FEED_SOURCE, desc->source_rows);
    out_feed[TW_FEED_CONDITION] = table(graph, "condition", desc->dtype, desc->rows, desc->conditions);
    out_feed[TW_FEED_WIDTH] = table(graph, "width", desc->dtype, desc->rows, desc->smooth);
}

/* Row numbers uniform in [0, rows): 32 random bits in double leave a bias below rows / 2^32. */
static tw_val draw_rows(tw_val key, tw_val counter, uint32_t stream, int64_t batch, int64_t rows)
{
    tw_val bits = tw_random_bits(key, counter, stream, tw_shape_of(batch));
    return tw_cast(tw_floor(tw_muls(tw_bits_to_uniform(bits, TW_DTYPE_F64), (double)rows)), TW_DTYPE_I32);
}

/* A random crop of the pictures with so many pixels around them (He et al. 2016, Deep residual learning, section 4.2,
 * with the edge repeated where they have black). */
static tw_val shift(const tw_batch_desc *desc, tw_val x, tw_val key, tw_val counter)
{
    if (desc->shift < 1) return x;
    tw_val bits = tw_random_bits(key, counter, TW_STREAM_TRAIN_SHIFT, tw_shape_of(desc->batch, 2));
    tw_val place = tw_floor(tw_muls(tw_bits_to_uniform(bits, TW_DTYPE_F64), 2.0 * desc->shift + 1));
    return tw_pixels_shift(x, desc->image, tw_cast(tw_adds(place, -desc->shift), TW_DTYPE_I32));
}

/* Points by number; pictures that belong together are moved and mirrored together. */
static tw_val take_points(const tw_batch_desc *desc, int feed, tw_val points, tw_val rows, tw_val key, tw_val counter)
{
    tw_val x = tw_take_rows(points, rows);
    if (desc->packed[feed]) x = tw_pixels_unpack(x, desc->columns, desc->dtype);
    x = shift(desc, x, key, counter);
    if (!desc->flip) return x;
    tw_val bits = tw_random_bits(key, counter, TW_STREAM_TRAIN_FLIP, tw_shape_of(desc->batch));
    tw_val uniform = tw_bits_to_uniform(bits, TW_DTYPE_F32);
    return tw_pixels_mirror(x, desc->image, tw_lt(uniform, tw_const(key.graph, TW_DTYPE_F32, 0.5)));
}

/* x plus noise of each column's width around 0 (Theis, van den Oord, Bethge 2016): what was a whole number has a
 * density, and rounded is what it was. */
static tw_val dequantise(const tw_batch_desc *desc, tw_val x, tw_val key, tw_val counter)
{
    if (!desc->noise || tw_is_none(x)) return x;
    tw_shape shape = tw_shape_of(desc->batch, desc->columns);
    tw_val bits = tw_random_bits(key, counter, TW_STREAM_TRAIN_DEQUANTISE, shape);
    tw_val uniform = tw_adds(tw_bits_to_uniform(bits, desc->dtype), -0.5);
    tw_val width = tw_const_data(x.graph, TW_DTYPE_F32, tw_shape_of(desc->columns), desc->noise);
    return tw_add(x, tw_mul(uniform, tw_broadcast_to(tw_cast(width, desc->dtype), shape)));
}

/* Pieces of rows that follow each other, which begin at any number of the table. */
static tw_val take_runs(const tw_batch_desc *desc, tw_val points, tw_val key, tw_val counter)
{
    const int64_t all = desc->rows * desc->columns, batch = desc->batch, columns = desc->columns;
    tw_val begin = draw_rows(key, counter, TW_STREAM_TRAIN_ROW, batch, all - columns + 1);
    tw_val behind = tw_iota(points.graph, TW_DTYPE_I32, tw_shape_of(1, columns), 1);
    tw_val place = tw_add(tw_expand_dim(begin, 1), behind);
    tw_val taken = tw_take_rows(tw_reshape(points, tw_shape_of(all)), tw_reshape(place, tw_shape_of(batch * columns)));
    return tw_reshape(taken, tw_shape_of(batch, columns));
}

/* Where normal velocities of the rows' widths lead from them. */
static tw_val spread(const tw_space *space, const tw_batch_desc *desc, tw_val x, tw_val widths, tw_val key,
                     tw_val counter)
{
    if (tw_is_none(x)) return x;
    tw_shape shape = tw_shape_of(desc->batch, desc->columns);
    tw_val z = tw_bits_to_normal(tw_random_bits(key, counter, TW_STREAM_TRAIN_SMOOTH, shape), desc->dtype);
    return tw_space_spread(space, x, tw_mul(z, widths));
}

/* Data that are points as the table has them, and so few that a density can be the mean over all of them in every
 * step. */
static bool are_few(const tw_batch_desc *desc)
{
    enum { FEW = 8192 };
    bool as_they_are = !desc->packed[TW_FEED_DATA] && !desc->runs_on && !desc->noise && !desc->flip && desc->shift == 0;
    return as_they_are && desc->rows <= FEW;
}

tw_batch tw_batch_draw(const tw_space *space, const tw_piece *source, const tw_batch_desc *desc,
                       const tw_val feed[TW_FEEDS], tw_val key, tw_val counter)
{
    tw_batch batch = {.x0 = TW_NONE};
    tw_val rows = draw_rows(key, counter, TW_STREAM_TRAIN_ROW, desc->batch, desc->rows);
    batch.x1 = desc->runs_on ? take_runs(desc, feed[TW_FEED_DATA], key, counter)
                             : take_points(desc, TW_FEED_DATA, feed[TW_FEED_DATA], rows, key, counter);
    batch.x1 = dequantise(desc, batch.x1, key, counter);
    tw_val widths = desc->smooth ? tw_take_rows(feed[TW_FEED_WIDTH], rows) : TW_NONE;
    if (desc->kernels)
        batch.width = widths;
    else if (desc->smooth)
        batch.x1 = spread(space, desc, batch.x1, widths, key, counter);
    if (desc->kernels && are_few(desc)) {
        batch.data = feed[TW_FEED_DATA];
        batch.all_widths = feed[TW_FEED_WIDTH];
    }
    if (desc->conditions > 0) batch.condition = tw_take_rows(feed[TW_FEED_CONDITION], rows);
    if (desc->source_rows == 0) {
        batch.x0 = tw_space_draw(space, source, key, counter, TW_STREAM_TRAIN_SOURCE, desc->batch, desc->dtype);
    } else {
        tw_val own = draw_rows(key, counter, TW_STREAM_TRAIN_SOURCE, desc->batch, desc->source_rows);
        batch.x0 = take_points(desc, TW_FEED_SOURCE, feed[TW_FEED_SOURCE], desc->given ? rows : own, key, counter);
    }
    return batch;
}

tw_batch tw_batch_inputs(tw_graph *graph, const tw_batch_desc *desc, tw_val out_feed[TW_FEEDS])
{
    out_feed[TW_FEED_DATA] = table(graph, "x1", desc->dtype, desc->batch, desc->columns);
    out_feed[TW_FEED_SOURCE] = table(graph, "x0", desc->dtype, desc->batch, desc->columns);
    out_feed[TW_FEED_CONDITION] = table(graph, "condition", desc->dtype, desc->batch, desc->conditions);
    out_feed[TW_FEED_WIDTH] = TW_NONE;
    return (tw_batch){
        .x0 = out_feed[TW_FEED_SOURCE], .x1 = out_feed[TW_FEED_DATA], .condition = out_feed[TW_FEED_CONDITION]};
}
