/* eval/inception.h - the Inception-v3 network that FID takes its features from, read from a file of the user's.
 *
 * Its weights are somebody else's and large, so they do not come with the program: the file is
 * pt_inception-2015-12-05-6726825d.pth of pytorch-fid (weights of the TensorFlow graph that Heusel et al. 2017 used),
 * or the same tensors as .safetensors. Numbers of channels are those of the file's tensors. */
#ifndef TW_EVAL_INCEPTION_H
#define TW_EVAL_INCEPTION_H

#include "base/base.h"

#include <thalweg/data.h>

/* What pictures are resized to, and the least that the network's pools and steps leave a pixel of. */
enum { TW_INCEPTION_SIDE = 299, TW_INCEPTION_LEAST_SIDE = 75 };

typedef struct tw_inception tw_inception;

/* A network for pictures of these sizes, grey or in colour, resized to side x side. TW_ERR_FORMAT, TW_ERR_SHAPE: a
 * tensor is missing or of another shape; the sentence names file, tensor and what was expected. */
TW_NODISCARD tw_status tw_inception_open(tw_context *ctx, const char *path, tw_image image, int side,
                                         tw_inception **out_inception);
void tw_inception_close(tw_inception *inception);
int tw_inception_features(const tw_inception *inception); /* how many: 2048 of the file above */

/* Features (rows, tw_inception_features) of pictures (rows, H W C), numbers from 0 to 255 that are rounded to bytes.
 * on_progress (NULL: none) is told rows; non-zero stops with TW_ERR_CANCELLED. */
TW_NODISCARD tw_status tw_inception_run(tw_inception *inception, int64_t rows, const double *pictures,
                                        int (*on_progress)(void *user, int64_t done, int64_t total), void *user,
                                        double *out_features);

#endif
