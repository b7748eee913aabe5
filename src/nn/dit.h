/* nn/dit.h - what others need to know of the transformer of patches (nn/dit.c). */
#ifndef TW_NN_DIT_H
#define TW_NN_DIT_H

/* Sines and cosines of the column, then of the row, of height x width patches: out (height*width, features), features a
 * multiple of 4 (He et al. 2022, Masked autoencoders; Vaswani et al. 2017). */
void tw_dit_positions(int height, int width, int features, double *out);

#endif
