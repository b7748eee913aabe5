/* eval/aromatic.c - can the aromatic atoms be given double bonds? Rings are what no single bond holds together (Tarjan
 * 1974, A note on finding the bridges of a graph), partners are a matching of all atoms that want one (Edmonds 1965,
 * Paths, trees, and flowers). */
#include "eval/molecule.h"

#include <string.h>

enum { NITROGEN = 7 };

/* --- rings -------------------------------------------------------------------------------------------------------- */

typedef struct visit {
    int32_t atom, by, bond; /* by: the bond it was reached by; bond: the one to look at next */
} visit;

/* Sets `cut` of the bonds that are in no ring. */
static void find_cuts(tw_molecule *m, visit *stack, int32_t *seen, int32_t *low)
{
    int32_t time = 0, other = -1;
    memset(seen, 0, (size_t)m->atoms * sizeof *seen);
    for (int32_t b = 0; b < m->bonds; b++) m->bond[b].cut = true;
    for (int32_t root = 0; root < m->atoms; root++) {
        if (seen[root]) continue;
        int32_t depth = 0;
        seen[root] = low[root] = ++time;
        stack[0] = (visit){root, -1, tw_next_bond(m, root, -1, &other)};
        while (depth >= 0) {
            visit *v = &stack[depth];
            if (v->bond < 0) {
                if (depth && low[v->atom] < low[stack[depth - 1].atom]) low[stack[depth - 1].atom] = low[v->atom];
                if (v->by >= 0) m->bond[v->by].cut = low[v->atom] == seen[v->atom];
                depth--;
                continue;
            }
            int32_t bond = v->bond;
            other = m->bond[bond].end[m->bond[bond].end[0] == v->atom];
            int32_t unused;
            v->bond = tw_next_bond(m, v->atom, bond, &unused);
            if (bond == v->by) continue;
            if (seen[other]) {
                if (seen[other] < low[v->atom]) low[v->atom] = seen[other];
                if (seen[other] < seen[v->atom]) m->bond[bond].cut = false;
            } else {
                seen[other] = low[other] = ++time;
                stack[++depth] = (visit){other, bond, tw_next_bond(m, other, -1, &unused)};
            }
        }
    }
}

static bool in_ring(const tw_molecule *m, int32_t atom)
{
    int32_t other = -1;
    for (int32_t bond = tw_next_bond(m, atom, -1, &other); bond >= 0; bond = tw_next_bond(m, atom, bond, &other))
        if (!m->bond[bond].cut) return true;
    return false;
}

/* Bonds between aromatic atoms are aromatic where they are in a ring, and single elsewhere. */
static void settle_bonds(tw_molecule *m)
{
    for (int32_t b = 0; b < m->bonds; b++) {
        tw_bond *bond = &m->bond[b];
        bool both = m->atom[bond->end[0]].aromatic && m->atom[bond->end[1]].aromatic;
        if (bond->order == TW_BOND_UNSAID || bond->order == TW_BOND_AROMATIC)
            bond->order = both && !bond->cut ? TW_BOND_AROMATIC : 1;
    }
}

/* --- who wants a double bond -------------------------------------------------------------------------------------- */

/* Aromatic bonds count one and a half first, which is what its valence must hold; one more than the single bonds that
 * they are at least is a double bond. */
static bool wants_double(const tw_molecule *m, int32_t atom)
{
    const tw_atom *a = &m->atom[atom];
    int bonds = a->hydrogens, aromatic = 0, oxides = 0;
    int32_t other = -1;
    for (int32_t bond = tw_next_bond(m, atom, -1, &other); bond >= 0; bond = tw_next_bond(m, atom, bond, &other)) {
        int order = m->bond[bond].order;
        aromatic += order == TW_BOND_AROMATIC;
        bonds += order == TW_BOND_AROMATIC ? 1 : order;
        oxides += order == 2 && m->atom[other].element == 8 && m->atom[other].charge == 0;
    }
    if (aromatic == 0) return false;
    if (a->element == NITROGEN && a->charge == 0 && oxides && bonds == 4) return true; /* n(=O) is [n+]([O-]) */
    if (bonds + 1 <= tw_least_valence(a, 0)) return true;
    return tw_least_valence(a, bonds + aromatic / 2) == bonds + 1;
}

/* --- partners ----------------------------------------------------------------------------------------------------- */

typedef struct matching {
    const tw_molecule *m;
    int32_t *partner, *parent, *base, *queue; /* (atoms) each */
    bool *used, *blossom;
} matching;

/* Where the ways back from two outer atoms to the root meet. */
static int32_t common_base(const matching *t, int32_t a, int32_t b, bool *on_way)
{
    memset(on_way, 0, (size_t)t->m->atoms * sizeof *on_way);
    for (;;) {
        a = t->base[a];
        on_way[a] = true;
        if (t->partner[a] < 0) break;
        a = t->parent[t->partner[a]];
    }
    for (;;) {
        b = t->base[b];
        if (on_way[b]) return b;
        b = t->parent[t->partner[b]];
    }
}

static void mark_way(matching *t, int32_t atom, int32_t base, int32_t child)
{
    while (t->base[atom] != base) {
        t->blossom[t->base[atom]] = t->blossom[t->base[t->partner[atom]]] = true;
        t->parent[atom] = child;
        child = t->partner[atom];
        atom = t->parent[t->partner[atom]];
    }
}

/* An odd ring of the search becomes one atom; its inner ones can now be reached from both sides. */
static void contract(matching *t, int32_t a, int32_t b, bool *on_way, int32_t *tail)
{
    int32_t base = common_base(t, a, b, on_way);
    memset(t->blossom, 0, (size_t)t->m->atoms * sizeof *t->blossom);
    mark_way(t, a, base, b);
    mark_way(t, b, base, a);
    for (int32_t i = 0; i < t->m->atoms; i++) {
        if (!t->blossom[t->base[i]]) continue;
        t->base[i] = base;
        if (!t->used[i]) {
            t->used[i] = true;
            t->queue[(*tail)++] = i;
        }
    }
}

/* An atom without a partner at the end of an alternating way from the root, -1: there is none. */
static int32_t find_way(matching *t, int32_t root, bool *on_way)
{
    int32_t atoms = t->m->atoms, head = 0, tail = 0, other = -1;
    memset(t->used, 0, (size_t)atoms * sizeof *t->used);
    for (int32_t i = 0; i < atoms; i++) {
        t->parent[i] = -1;
        t->base[i] = i;
    }
    t->used[root] = true;
    t->queue[tail++] = root;
    while (head < tail) {
        int32_t atom = t->queue[head++];
        for (int32_t b = tw_next_bond(t->m, atom, -1, &other); b >= 0; b = tw_next_bond(t->m, atom, b, &other)) {
            if (t->m->bond[b].order != TW_BOND_AROMATIC || !t->m->atom[other].wants) continue;
            if (t->base[atom] == t->base[other] || t->partner[atom] == other) continue;
            if (other == root || (t->partner[other] >= 0 && t->parent[t->partner[other]] >= 0)) {
                contract(t, atom, other, on_way, &tail);
            } else if (t->parent[other] < 0) {
                t->parent[other] = atom;
                if (t->partner[other] < 0) return other;
                t->used[t->partner[other]] = true;
                t->queue[tail++] = t->partner[other];
            }
        }
    }
    return -1;
}

/* A first atom that finds no partner, -1: all do. */
static int32_t match_all(matching *t, bool *on_way)
{
    const tw_molecule *m = t->m;
    for (int32_t i = 0; i < m->atoms; i++) t->partner[i] = -1;
    for (int32_t b = 0; b < m->bonds; b++) { /* most find one where they stand */
        int32_t x = m->bond[b].end[0], y = m->bond[b].end[1];
        if (m->bond[b].order != TW_BOND_AROMATIC || !m->atom[x].wants || !m->atom[y].wants) continue;
        if (t->partner[x] < 0 && t->partner[y] < 0) t->partner[x] = y, t->partner[y] = x;
    }
    for (int32_t i = 0; i < m->atoms; i++) {
        if (!m->atom[i].wants || t->partner[i] >= 0) continue;
        int32_t atom = find_way(t, i, on_way);
        if (atom < 0) return i;
        while (atom >= 0) {
            int32_t before = t->parent[atom], next = t->partner[before];
            t->partner[atom] = before;
            t->partner[before] = atom;
            atom = next;
        }
    }
    return -1;
}

tw_status tw_aromatic_fault(tw_context *ctx, tw_molecule *molecule, int32_t *out_atom, const char **out_what)
{
    tw_molecule *m = molecule;
    size_t n = (size_t)m->atoms + 1;
    int32_t *numbers = tw_alloc(ctx, n, 6 * sizeof(int32_t));
    visit *stack = tw_alloc(ctx, n, sizeof *stack);
    bool *flags = tw_alloc(ctx, n, 3 * sizeof(bool));
    *out_atom = -1;
    if (!numbers || !stack || !flags) {
        tw_free(ctx, numbers);
        tw_free(ctx, stack);
        tw_free(ctx, flags);
        return tw_fail_memory(ctx, n * sizeof(visit));
    }
    find_cuts(m, stack, numbers, numbers + n);
    for (int32_t i = 0; i < m->atoms && *out_atom < 0; i++)
        if (m->atom[i].aromatic && !in_ring(m, i)) *out_atom = i;
    *out_what = "an aromatic atom in no ring";
    settle_bonds(m);
    for (int32_t i = 0; i < m->atoms; i++) m->atom[i].wants = m->atom[i].aromatic && wants_double(m, i);
    if (*out_atom < 0) {
        matching t = {.m = m,
                      .partner = numbers + 2 * n,
                      .parent = numbers + 3 * n,
                      .base = numbers + 4 * n,
                      .queue = numbers + 5 * n,
                      .used = flags,
                      .blossom = flags + n};
        *out_atom = match_all(&t, flags + 2 * n);
        if (*out_atom >= 0) *out_what = "an aromatic atom that no double bond is left for";
    }
    tw_free(ctx, numbers);
    tw_free(ctx, stack);
    tw_free(ctx, flags);
    return TW_OK;
}
