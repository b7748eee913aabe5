/* graph/dropout.c - dropout (Srivastava et al., 2014) with a mask that is a function of key and counter: the same for
 * any number of threads, and by hash-consing the same in every derivative. */
#include "graph/node.h"

#include <math.h>

tw_val tw_dropout(tw_val x, double probability, tw_val key, tw_val counter, uint32_t stream)
{
    if (x.id < 0 || probability == 0.0) return x;
    if (!(probability > 0.0 && probability < 1.0))
        return tw_graph_fail(x.graph, TW_ERR_INVALID, "dropout: a probability of %g is not in [0,1)", probability);
    tw_val bits = tw_random_bits(key, counter, stream, tw_shape_at(x));
    tw_val keep = tw_lt(bits, tw_full_like(bits, floor((1.0 - probability) * 0x1p32)));
    return tw_select(keep, tw_muls(x, 1.0 / (1.0 - probability)), tw_zeros_like(x));
}
