/* thalweg/smiles.h - is a text a molecule? A measure of what flows over SMILES draw. */
#ifndef THALWEG_SMILES_H
#define THALWEG_SMILES_H

#include <thalweg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_smiles_fault {
    const char *what; /* NULL: none, the text is a molecule */
    int64_t at;       /* byte of the text, from 0 */
} tw_smiles_fault;

/* Checks a SMILES string (Weininger 1988; grammar of OpenSMILES 1.0): atoms, brackets, bonds, branches that close,
 * rings that close once and not on a neighbour; that no atom has more bonds than its element and charge allow; and that
 * aromatic atoms stand in rings and can be given double bonds. Nitrogen drawn with five bonds, one of them to an oxygen
 * or nitrogen, counts as charged, as do acids of the halogens. Stereochemistry is read and not checked; * is any atom,
 * but no aromatic one; empty text is no molecule. Fails when memory does, and at more
 * than 65536 letters (TW_ERR_UNSUPPORTED). */
TW_NODISCARD TW_API tw_status tw_smiles_check(tw_context *ctx, const char *text, size_t size,
                                              tw_smiles_fault *out_fault);

#ifdef __cplusplus
}
#endif
#endif
