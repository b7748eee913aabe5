/* eval/molecule.h - atoms and bonds while a SMILES string is checked: read in smiles.c, judged in valence.c and
 * aromatic.c. */
#ifndef TW_EVAL_MOLECULE_H
#define TW_EVAL_MOLECULE_H

#include "base/base.h"

#include <thalweg/smiles.h>

enum { TW_BOND_UNSAID = 0, TW_BOND_AROMATIC = 5 }; /* orders; 1 to 4 are themselves */

typedef struct tw_atom {
    int element; /* atomic number, 0: any (*) */
    int hydrogens, charge;
    bool aromatic, bracket;
    bool wants;         /* one double bond, to be found among its aromatic bonds */
    int64_t at;         /* where it stands in the text */
    int32_t first_bond; /* -1: none */
} tw_atom;

typedef struct tw_bond {
    int32_t end[2];  /* atoms */
    int32_t next[2]; /* the next bond of each, -1: the last */
    int8_t order;
    bool cut; /* without it its ends fall apart: it is in no ring */
} tw_bond;

typedef struct tw_molecule {
    tw_atom *atom;
    tw_bond *bond;
    int32_t atoms, bonds;
} tw_molecule;

/* The bond behind `bond` (-1: the first) of an atom and the atom at its other end; -1: there is none. */
static inline int32_t tw_next_bond(const tw_molecule *m, int32_t atom, int32_t bond, int32_t *out_other)
{
    int32_t next = bond < 0 ? m->atom[atom].first_bond : m->bond[bond].next[m->bond[bond].end[1] == atom];
    if (next >= 0) *out_other = m->bond[next].end[m->bond[next].end[0] == atom];
    return next;
}

/* The atomic number of the element that a text begins with, the longest of one or two letters; 0: none. */
int tw_element(const char *text, size_t size, size_t *out_length);
/* Most bonds an atom may have, -1: any number; and the least valence of its element that is not below `bonds`, -1: none
 * is. */
int tw_most_bonds(const tw_atom *atom);
int tw_least_valence(const tw_atom *atom, int bonds);
/* An atom that has too many bonds, -1: none has. */
int32_t tw_valence_fault(const tw_molecule *molecule);
/* Marks the bonds that are aromatic, and the atoms that want a double bond among them. An atom that is called aromatic
 * and is in no ring, or that finds no partner, is the fault; *out_what says which. -1: none. */
TW_NODISCARD tw_status tw_aromatic_fault(tw_context *ctx, tw_molecule *molecule, int32_t *out_atom,
                                         const char **out_what);

#endif
