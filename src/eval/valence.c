/* eval/valence.c - how many bonds an atom may have. An ion has the valences of the neutral atom with as many electrons
 * (an ammonium nitrogen those of carbon); the phosphorus and sulfur families keep their own when negative. */
#include "eval/molecule.h"

#include <string.h>

static const struct {
    const char *symbol, *valences;
} elements[] = {
#define TW_ELEMENT(symbol, valences) {#symbol, valences},
#include "eval/elements.def"
#undef TW_ELEMENT
};

enum { NITROGEN = 7, OXYGEN = 8 };

int tw_element(const char *text, size_t size, size_t *out_length)
{
    int found = 0;
    *out_length = 0;
    for (int i = 0; i < TW_COUNT(elements); i++) {
        size_t length = strlen(elements[i].symbol);
        if (length > size || length <= *out_length || memcmp(text, elements[i].symbol, length) != 0) continue;
        found = i + 1;
        *out_length = length;
    }
    return found;
}

/* The valences that count for an atom; what its own negative charge adds to its bonds goes to *out_more. */
static const char *valences_of(const tw_atom *atom, int *out_more)
{
    int number = atom->element - atom->charge;
    bool third_row = (atom->element == 15 || atom->element == 16) && number > 16;
    bool fourth_row = (atom->element == 33 || atom->element == 34) && number > 34;
    *out_more = 0;
    if (atom->element == 0 || number < 1 || number > TW_COUNT(elements)) return "";
    if (elements[atom->element - 1].valences[0] == 0) return "";
    if (!third_row && !fourth_row) return elements[number - 1].valences;
    *out_more = -atom->charge;
    return elements[atom->element - 1].valences;
}

int tw_most_bonds(const tw_atom *atom)
{
    int more;
    const char *list = valences_of(atom, &more);
    if (!*list) return -1;
    int most = list[strlen(list) - 1] - '0' - more;
    return most > 0 ? most : 0;
}

int tw_least_valence(const tw_atom *atom, int bonds)
{
    int more;
    for (const char *list = valences_of(atom, &more); *list; list++)
        if (*list - '0' - more >= bonds) return *list - '0' - more;
    return -1;
}

/* Whether all neighbours of an atom are oxygen: the acids of the halogens, drawn without charges. */
static bool among_oxygen(const tw_molecule *m, int32_t atom)
{
    int32_t other = -1;
    for (int32_t bond = tw_next_bond(m, atom, -1, &other); bond >= 0; bond = tw_next_bond(m, atom, bond, &other))
        if (m->atom[other].element != OXYGEN) return false;
    return m->atom[atom].first_bond >= 0;
}

/* Whether a nitrogen has a double bond to a terminal oxygen or a triple one to nitrogen: with five bonds it stands for
 * a charged one with four (nitro groups, oxides, azides). */
static bool stands_for_charged(const tw_molecule *m, int32_t atom)
{
    int32_t other = -1;
    for (int32_t bond = tw_next_bond(m, atom, -1, &other); bond >= 0; bond = tw_next_bond(m, atom, bond, &other)) {
        const tw_atom *a = &m->atom[other];
        int order = m->bond[bond].order;
        if (a->charge == 0 && ((a->element == OXYGEN && order == 2) || (a->element == NITROGEN && order == 3)))
            return true;
    }
    return false;
}

int32_t tw_valence_fault(const tw_molecule *molecule)
{
    const tw_molecule *m = molecule;
    for (int32_t i = 0; i < m->atoms; i++) {
        const tw_atom *a = &m->atom[i];
        int most = tw_most_bonds(a), bonds = a->hydrogens + a->wants, aromatic = 0;
        int32_t other = -1;
        for (int32_t bond = tw_next_bond(m, i, -1, &other); bond >= 0; bond = tw_next_bond(m, i, bond, &other)) {
            bonds += m->bond[bond].order == TW_BOND_AROMATIC ? 1 : m->bond[bond].order;
            aromatic += m->bond[bond].order == TW_BOND_AROMATIC;
        }
        if (most < 0) continue;
        if (aromatic > 3) return i; /* more rings than lie in a plane */
        if (bonds <= most) continue;
        bool neutral = a->charge == 0;
        if (neutral && a->element == NITROGEN && bonds == 5 && stands_for_charged(m, i)) continue;
        bool halogen = a->element == 17 || a->element == 35 || a->element == 53;
        if (neutral && halogen && (bonds == 3 || bonds == 5 || bonds == 7) && among_oxygen(m, i)) continue;
        return i;
    }
    return -1;
}
