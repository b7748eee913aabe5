/* SMILES: 2000 molecules and texts that nearly are some, against RDKit (tests/golden/smiles.py); what each fault is
 * called and where it is. */
#include <thalweg/smiles.h>

#include "base/base.h"
#include "golden/smiles.inc"
#include "support/context.h"
#include "support/limited_memory.h"

#include <stdlib.h>
#include <string.h>

static tw_smiles_fault fault_of(tw_context *ctx, const char *text)
{
    tw_smiles_fault fault = {"unset", -1};
    assert_int_equal(tw_smiles_check(ctx, text, strlen(text), &fault), TW_OK);
    return fault;
}

/* RDKit takes c#c in a ring, bare hydrides as atoms and charges beyond reason, and refuses colons between other atoms:
 * five of the 2000, and no more. */
static void as_rdkit(void **state)
{
    int differences = 0;
    for (int i = 0; i < TW_COUNT(golden_smiles); i++) {
        bool good = fault_of(*state, golden_smiles[i] + 1).what == NULL;
        if (good == (golden_smiles[i][0] == '+')) continue;
        if (++differences > 5) fail_msg("%s", golden_smiles[i]);
    }
}

static void faults(void **state)
{
    static const struct {
        const char *text, *what;
        int at;
    } cases[] = {
        {"", "an atom is missing at the end", 0},
        {"CCX", "a character that is no part of a molecule", 2},
        {"C=", "an atom is missing at the end", 2},
        {"=C", "a bond without an atom before it", 0},
        {"C-=C", "a bond without an atom before it", 2},
        {"C(C", "a branch that does not close", 3},
        {"CC)C", "a branch that closes and never opened", 2},
        {"C()C", "a branch that ends without an atom", 2},
        {"(C)C", "a branch without an atom before it", 0},
        {"C((C))C", "a branch without an atom before it", 2},
        {"C(C.)C", "a branch that ends without an atom", 4},
        {".C", "a dot that does not stand between two molecules", 0},
        {"C.", "an atom is missing at the end", 2},
        {"C1CC", "a ring that does not close", 1},
        {"C11", "a ring that closes on its own atom or a neighbour", 2},
        {"C1C1", "a ring that closes on its own atom or a neighbour", 3},
        {"C-1CCC=1", "a ring that closes with another bond than it opened with", 7},
        {"C%1CC%1", "% without the two digits of a ring", 1},
        {"1CC1", "a ring number without an atom before it", 0},
        {"C[Xx]", "a bracket without an element", 2},
        {"C[CH3", "a bracket that does not close as it should", 1},
        {"[CH3x]", "a bracket that does not close as it should", 4},
        {"[CH3:]", "a class of atoms without its number", 5},
        {"CC(C)(C)(C)C", "an atom with too many bonds", 1},
        {"O=C=O=C", "an atom with too many bonds", 4},
        {"C[S-7]", "an atom with too many bonds", 1},
        {"C[P-6]", "an atom with too many bonds", 1},
        {"[NH4]", "an atom with too many bonds", 0},
        {"cc", "an aromatic atom in no ring", 0},
        {"Cn", "an aromatic atom in no ring", 1},
        {"c1cccc1", "an aromatic atom that no double bond is left for", 0},
        {"n1cccc1", "an aromatic atom that no double bond is left for", 0},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_smiles_fault fault = fault_of(*state, cases[i].text);
        if (!fault.what) fail_msg("'%s' is taken for a molecule", cases[i].text);
        assert_string_equal(fault.what, cases[i].what);
        if (strstr(cases[i].what, "left for") == NULL) assert_int_equal(fault.at, cases[i].at);
    }
}

/* Odd rings side by side (azulene, pentalene with charges, fullerene-like corners) need the matching in full. */
static void rings_of_all_sizes(void **state)
{
    static const char *const good[] = {"c1cc2cccccc2c1",
                                       "c1cc2cccc3ccc(c1)c23",
                                       "c1ccc2c(c1)Cc1ccccc12",
                                       "c1ccc2c3ccccc3ccc2c1",
                                       "[cH-]1cccc1",
                                       "[cH+]1cccccc1",
                                       "c1ccc(-c2ccccc2)cc1",
                                       "c1ccccc1c1ccccc1",
                                       "C%99CC%99",
                                       "c1cc2ccc3cccc4ccc(c1)c2c34",
                                       "c1-c-c-c-c-c1",
                                       "C/C=C\\C",
                                       "[13CH3:2][C@@H]([NH3+])C([O-])=O"};
    static const char *const bad[] = {"c1cc2ccccc2c1", "c1ccc2c(c1)ccc2", "c1ccccc1=C", "[c-]1cccc1", "c1cc[nH]cc1"};
    for (int i = 0; i < TW_COUNT(good); i++)
        if (fault_of(*state, good[i]).what) fail_msg("'%s': %s", good[i], fault_of(*state, good[i]).what);
    for (int i = 0; i < TW_COUNT(bad); i++)
        if (!fault_of(*state, bad[i]).what) fail_msg("'%s' is taken for a molecule", bad[i]);
}

/* Any bytes, and long ones: a chain, a deep branch, a ladder of rings. */
static void any_bytes(void **state)
{
    enum { N = 20000 };
    static char text[3 * N + 10];
    tw_smiles_fault fault;
    for (int c = 0; c < 256; c++) {
        char two[2] = {'C', (char)c};
        assert_int_equal(tw_smiles_check(*state, two, 2, &fault), TW_OK);
        assert_true((fault.what == NULL) == (c && strchr("BCNOPSFIl*", c)));
    }
    for (int i = 0; i < N; i++) memcpy(text + 2 * i, "C(", 2);
    memset(text + 2 * N, 'C', 1);
    memset(text + 2 * N + 1, ')', N);
    assert_int_equal(tw_smiles_check(*state, text, 3 * N + 1, &fault), TW_OK);
    assert_null(fault.what);
    assert_int_equal(tw_smiles_check(*state, text, 3 * N, &fault), TW_OK);
    assert_string_equal(fault.what, "a branch that does not close");
    enum { MOST = 1 << 16 };
    char *chain = memset(malloc(MOST + 1), 'C', MOST + 1);
    assert_int_equal(tw_smiles_check(*state, chain, MOST, &fault), TW_OK);
    assert_null(fault.what);
    assert_int_equal(tw_smiles_check(*state, chain, MOST + 1, &fault), TW_ERR_UNSUPPORTED);
    free(chain);
}

static tw_status check_in_little_memory(tw_context *ctx, void *user)
{
    tw_smiles_fault fault;
    return tw_smiles_check(ctx, user, strlen(user), &fault);
}

static void little_memory(void **state)
{
    (void)state;
    run_with_limited_memory(check_in_little_memory, (void *)"c1ccccc1C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_rdkit),  cmocka_unit_test(faults),        cmocka_unit_test(rings_of_all_sizes),
        cmocka_unit_test(any_bytes), cmocka_unit_test(little_memory),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
