# shellcheck shell=sh disable=SC2154,SC2086
# Surfaces: what a mesh is like, points drawn on it, flows that learn them.

# an octahedron, its faces cut into four, a sphere's points not needed
awk 'BEGIN {
    n = split("1 0 0 -1 0 0 0 1 0 0 -1 0 0 0 1 0 0 -1", c, " ")
    f = split("1 3 5 3 2 5 2 4 5 4 1 5 3 1 6 2 3 6 4 2 6 1 4 6", t, " ")
    v = n / 3
    for (i = 1; i <= f; i += 3) {
        for (k = 0; k < 3; k++) {
            a = t[i + k]; b = t[i + (k + 1) % 3]; key = a < b ? a " " b : b " " a
            if (!(key in m)) { m[key] = ++v; for (j = 1; j <= 3; j++) c[3 * (v - 1) + j] = (c[3 * (a - 1) + j] + c[3 * (b - 1) + j]) / 2 }
            e[k] = m[key]
        }
        line[++lines] = t[i] " " e[0] " " e[2]; line[++lines] = e[0] " " t[i + 1] " " e[1]
        line[++lines] = e[2] " " e[1] " " t[i + 2]; line[++lines] = e[0] " " e[1] " " e[2]
    }
    for (i = 1; i <= v; i++) print "v", c[3 * i - 2], c[3 * i - 1], c[3 * i]
    for (i = 1; i <= lines; i++) print "f", line[i]
}' >gem.obj
works '18 vertices, 32 faces, 0 edges of its boundary, 1 part, Euler characteristic 2' mesh gem.obj
run mesh gem.obj --json
holds "its area is that of eight triangles" sh -c "awk -v x='$(json area)' 'BEGIN { exit !(x > 6.9282 && x < 6.9283) }'"
run mesh gem.obj -n 200 -o a.csv --seed 5
run mesh gem.obj -n 200 -o b.csv --seed 5
holds "the same points for a seed" cmp -s a.csv b.csv
holds "points are on it" sh -c 'awk -F, "NR > 1 { x = (\$1 < 0 ? -\$1 : \$1) + (\$2 < 0 ? -\$2 : \$2) + (\$3 < 0 ? -\$3 : \$3); if (x < 0.999999 || x > 1.000001) exit 1 }" a.csv'
printf 'v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 7\n' >bad.obj
fails 'bad.obj' mesh bad.obj
fails 'nothing.obj' mesh nothing.obj
refused 'mesh needs a FILE' mesh

run mesh gem.obj --eigenfunction 2 -n 10 -o c.csv
if [ "$status" -eq 0 ]; then # else built without ARPACK
    small="--steps 20 --width 16 --depth 1 --batch 64 --threads 2"
    works '3,000 rows of 3 columns' train gem.obj --eigenfunction 2 --rows 3000 $small --out g
    run info g
    holds "the space is the mesh" sh -c 'grep -q "mesh" out && grep -q "biharmonic" out'
    works 'of the exact density' eval g --solver rk4 --steps 10 -n 50 --pairs 50
    run eval g --json --solver rk4 --steps 10 -n 300 --pairs 50
    # less than log of the area, which is 1.936: half of it is empty
    holds "how dense they are is known" sh -c "awk -v x='$(json nll_exact)' 'BEGIN { exit !(x > 0.5 && x < 1.5) }'"
    run sample g -n 50 -o s.csv --solver rk4 --steps 10
    holds "samples are on it" sh -c 'awk -F, "NR > 1 { x = (\$1 < 0 ? -\$1 : \$1) + (\$2 < 0 ? -\$2 : \$2) + (\$3 < 0 ? -\$3 : \$3); if (x < 0.9999 || x > 1.0001) exit 1 }" s.csv'
    works '200 rows of 3 columns' train a.csv --mesh gem.obj $small --out h
    fails "--eigenfunction is of points drawn on a mesh: 'a.csv' is none" train a.csv --mesh gem.obj --eigenfunction 2 $small --out i
fi
holds "no half-written files" no_leftovers
