/* eval/smiles.c - reading a SMILES string, letter by letter: what stands before decides what may follow. */
#include "eval/molecule.h"

#include <string.h>

enum { RINGS = 100, NOTHING = -1, MOST = 1 << 16 };

typedef struct reader {
    const char *text;
    size_t size, at;
    tw_molecule molecule;
    int32_t previous; /* the atom that the next one is bound to */
    int32_t *branch;  /* atoms to go back to */
    int32_t branches;
    bool opened; /* the last letter was ( */
    int8_t bond; /* said since the previous atom */
    bool said;   /* a bond was */
    struct {
        int32_t atom;
        int8_t bond;
        bool open;
        int64_t at;
    } ring[RINGS];
    tw_smiles_fault fault;
} reader;

static bool fail(reader *r, size_t at, const char *what)
{
    if (!r->fault.what) r->fault = (tw_smiles_fault){what, (int64_t)at};
    return false;
}

static char letter(const reader *r, size_t ahead)
{
    return r->at + ahead < r->size ? r->text[r->at + ahead] : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits, at most `most` (0: however many): their value, -1 without any or beyond a million. */
static int take_number(reader *r, int most)
{
    int value = -1, digits = 0;
    for (; is_digit(letter(r, 0)) && (most == 0 || digits < most); digits++, r->at++)
        value = value > 100000 ? 1000001 : (value < 0 ? 0 : value) * 10 + (letter(r, 0) - '0');
    return value > 1000000 ? -1 : value;
}

/* --- bonds -------------------------------------------------------------------------------------------------------- */

static bool is_bound(const tw_molecule *m, int32_t a, int32_t b)
{
    int32_t other = NOTHING;
    for (int32_t bond = tw_next_bond(m, a, -1, &other); bond >= 0; bond = tw_next_bond(m, a, bond, &other))
        if (other == b) return true;
    return false;
}

static void bind(reader *r, int32_t a, int32_t b, int8_t order)
{
    tw_molecule *m = &r->molecule;
    m->bond[m->bonds] = (tw_bond){{a, b}, {m->atom[a].first_bond, m->atom[b].first_bond}, order, false};
    m->atom[a].first_bond = m->atom[b].first_bond = m->bonds++;
}

static bool take_bond(reader *r)
{
    static const char letters[] = "-=#$:/\\";
    static const int8_t orders[] = {1, 2, 3, 4, TW_BOND_AROMATIC, TW_BOND_UNSAID, TW_BOND_UNSAID};
    if (r->previous == NOTHING || r->said) return fail(r, r->at, "a bond without an atom before it");
    r->bond = orders[strchr(letters, letter(r, 0)) - letters];
    r->said = true;
    r->at++;
    return true;
}

static bool take_ring(reader *r)
{
    size_t from = r->at;
    if (r->previous == NOTHING || r->opened) return fail(r, from, "a ring number without an atom before it");
    bool long_form = letter(r, 0) == '%';
    if (long_form && !(is_digit(letter(r, 1)) && is_digit(letter(r, 2))))
        return fail(r, from, "% without the two digits of a ring");
    r->at += long_form;
    int number = take_number(r, long_form ? 2 : 1);
    if (!r->ring[number].open) {
        r->ring[number].atom = r->previous;
        r->ring[number].bond = r->said ? r->bond : TW_BOND_UNSAID;
        r->ring[number].at = (int64_t)from;
    } else {
        int8_t order = r->ring[number].bond;
        if (r->said && order != TW_BOND_UNSAID && r->bond != TW_BOND_UNSAID && order != r->bond)
            return fail(r, from, "a ring that closes with another bond than it opened with");
        if (r->ring[number].atom == r->previous || is_bound(&r->molecule, r->previous, r->ring[number].atom))
            return fail(r, from, "a ring that closes on its own atom or a neighbour");
        bind(r, r->ring[number].atom, r->previous, r->said && r->bond != TW_BOND_UNSAID ? r->bond : order);
    }
    r->ring[number].open = !r->ring[number].open;
    r->said = false;
    return true;
}

/* --- atoms -------------------------------------------------------------------------------------------------------- */

static bool add_atom(reader *r, tw_atom atom)
{
    tw_molecule *m = &r->molecule;
    int32_t number = m->atoms++;
    atom.first_bond = -1;
    m->atom[number] = atom;
    if (r->previous != NOTHING) bind(r, r->previous, number, r->said ? r->bond : TW_BOND_UNSAID);
    r->previous = number;
    r->said = r->opened = false;
    return true;
}

/* An element as capital letters, aromatic ones in small letters; false: there is none. */
static bool take_element(reader *r, const char *const *aromatic, tw_atom *atom)
{
    size_t length = 0;
    for (; *aromatic; aromatic++) {
        size_t name = strlen(*aromatic);
        if (name <= length || name > r->size - r->at || memcmp(*aromatic, r->text + r->at, name) != 0) continue;
        char capital[2] = {(char)((*aromatic)[0] - 'a' + 'A'), (*aromatic)[1]};
        size_t used;
        atom->element = tw_element(capital, name, &used);
        length = name;
        atom->aromatic = true;
    }
    if (!atom->aromatic) atom->element = tw_element(r->text + r->at, r->size - r->at, &length);
    r->at += length;
    return length > 0;
}

static bool take_plain_atom(reader *r)
{
    static const char *const aromatic[] = {"b", "c", "n", "o", "p", "s", NULL}, organic[] = "BCNOPSFI";
    tw_atom atom = {.at = (int64_t)r->at};
    char c = letter(r, 0), next = letter(r, 1);
    size_t length = (c == 'C' && next == 'l') || (c == 'B' && next == 'r') ? 2 : 1, used;
    if (c == '*') {
        r->at++;
    } else if (length == 2 || (c && strchr(organic, c))) {
        atom.element = tw_element(r->text + r->at, length, &used);
        r->at += length;
    } else if (!strchr("bcnops", c) || !take_element(r, aromatic, &atom)) {
        return fail(r, r->at, "a character that is no part of a molecule");
    }
    return add_atom(r, atom);
}

static void take_chirality(reader *r)
{
    if (letter(r, 0) != '@') return;
    r->at++;
    if (letter(r, 0) == '@') {
        r->at++;
        return;
    }
    static const char *const kinds[] = {"TH", "AL", "SP", "TB", "OH"};
    for (int i = 0; i < TW_COUNT(kinds); i++)
        if (letter(r, 0) == kinds[i][0] && letter(r, 1) == kinds[i][1] && is_digit(letter(r, 2))) {
            r->at += 2;
            (void)take_number(r, 2);
            return;
        }
}

static void take_charge(reader *r, tw_atom *atom)
{
    char sign = letter(r, 0);
    if (sign != '+' && sign != '-') return;
    int count = 0;
    for (; letter(r, 0) == sign; r->at++) count++;
    int number = count == 1 ? take_number(r, 2) : -1;
    atom->charge = (sign == '+' ? 1 : -1) * (number >= 0 ? number : count);
}

/* [isotope element chirality hydrogens charge :class] */
static bool take_bracket(reader *r)
{
    static const char *const aromatic[] = {"b", "c", "n", "o", "p", "s", "se", "as", "te", "si", NULL};
    tw_atom atom = {.bracket = true, .at = (int64_t)r->at};
    size_t from = r->at++;
    (void)take_number(r, 0);
    if (letter(r, 0) == '*')
        r->at++;
    else if (!take_element(r, aromatic, &atom))
        return fail(r, r->at, "a bracket without an element");
    take_chirality(r);
    if (letter(r, 0) == 'H') {
        r->at++;
        int hydrogens = take_number(r, 2);
        atom.hydrogens = hydrogens < 0 ? 1 : hydrogens;
    }
    take_charge(r, &atom);
    if (letter(r, 0) == ':') {
        r->at++;
        if (take_number(r, 0) < 0) return fail(r, r->at, "a class of atoms without its number");
    }
    if (letter(r, 0) != ']')
        return fail(r, r->at < r->size ? r->at : from, "a bracket that does not close as it should");
    r->at++;
    return add_atom(r, atom);
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static bool take_branch(reader *r)
{
    if (letter(r, 0) == '(') {
        if (r->previous == NOTHING || r->opened || r->said) return fail(r, r->at, "a branch without an atom before it");
        r->branch[r->branches++] = r->previous;
        r->opened = true;
    } else {
        if (r->branches == 0) return fail(r, r->at, "a branch that closes and never opened");
        if (r->opened || r->said || r->previous == NOTHING) return fail(r, r->at, "a branch that ends without an atom");
        r->previous = r->branch[--r->branches];
    }
    r->at++;
    return true;
}

static bool take_dot(reader *r)
{
    if (r->previous == NOTHING || r->opened || r->said)
        return fail(r, r->at, "a dot that does not stand between two molecules");
    r->previous = NOTHING;
    r->at++;
    return true;
}

static bool take_all(reader *r)
{
    bool good = true;
    while (good && r->at < r->size) {
        char c = letter(r, 0);
        if (c == '[')
            good = take_bracket(r);
        else if (c == '(' || c == ')')
            good = take_branch(r);
        else if (c == '.')
            good = take_dot(r);
        else if (is_digit(c) || c == '%')
            good = take_ring(r);
        else if (c && strchr("-=#$:/\\", c))
            good = take_bond(r);
        else
            good = take_plain_atom(r);
    }
    if (!good) return false;
    if (r->branches) return fail(r, r->size, "a branch that does not close");
    for (int i = 0; i < RINGS; i++)
        if (r->ring[i].open) return fail(r, (size_t)r->ring[i].at, "a ring that does not close");
    if (r->previous == NOTHING || r->said || r->opened) return fail(r, r->size, "an atom is missing at the end");
    return true;
}

static tw_status judge(tw_context *ctx, reader *r)
{
    int32_t atom = -1;
    const char *what = "";
    tw_status status = tw_aromatic_fault(ctx, &r->molecule, &atom, &what);
    if (status != TW_OK) return status;
    if (atom < 0) {
        atom = tw_valence_fault(&r->molecule);
        what = "an atom with too many bonds";
    }
    if (atom >= 0) fail(r, (size_t)r->molecule.atom[atom].at, what);
    return TW_OK;
}

tw_status tw_smiles_check(tw_context *ctx, const char *text, size_t size, tw_smiles_fault *out_fault)
{
    reader r = {.text = text, .size = size, .previous = NOTHING};
    tw_status status = TW_OK;
    if (size > MOST)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "a molecule of %zu letters, at most %d are read", size, MOST);
    r.molecule.atom = tw_alloc(ctx, size + 1, sizeof(tw_atom));
    r.molecule.bond = tw_alloc(ctx, size + 1, sizeof(tw_bond)); /* one an atom or ring number at most */
    r.branch = tw_alloc(ctx, size + 1, sizeof(int32_t));
    if (!r.molecule.atom || !r.molecule.bond || !r.branch)
        status = tw_fail_memory(ctx, (size + 1) * sizeof(tw_atom));
    else if (take_all(&r))
        status = judge(ctx, &r);
    if (status == TW_OK) *out_fault = r.fault;
    tw_free(ctx, r.molecule.atom);
    tw_free(ctx, r.molecule.bond);
    tw_free(ctx, r.branch);
    return status;
}
