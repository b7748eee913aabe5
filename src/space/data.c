/* space/data.c - a source that is another data set: its rows are handed to the training and to sampling, so that there
 * is nothing to draw here, and no density. */
#include "space/space.h"

const tw_source_rules tw_source_data = {.draw = NULL, .tokens = true};
