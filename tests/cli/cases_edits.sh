# shellcheck shell=sh disable=SC2154,SC2094,SC2086
# Flows of sequences: lines of different lengths as data and as samples, built-in texts, edits of given lines, beginnings.

awk 'BEGIN { srand(3); for (i = 0; i < 300; i++) { s = ""; for (n = int(1 + 5 * rand()); n > 0; n--) s = s substr("abc", 1 + int(3 * rand()), 1); print s } }' >words.txt
small="--steps 20 --width 16 --depth 1 --heads 2 --batch 32 --threads 2"
works '300 rows of 5 columns' train words.txt --method edit $small --out w
run info w
holds "method, space, source, path" sh -c 'grep -q "edit$" out && grep -q "sequences:symbols=3, source empty" out && grep -q "levenshtein, schedule polynomial:n=3" out && grep -q "predicts  *edits" out'
run sample w -n 60 -o a.txt -j 1 --steps 16
run sample w -n 60 -o b.txt -j 2 --steps 16
holds "1 and 2 threads draw the same" cmp -s a.txt b.txt
holds "a line a sample, of letters of the data" sh -c '[ "$(wc -l <a.txt)" -eq 60 ] && ! grep -qv "^[abc]*$" a.txt'
holds "of different lengths" sh -c '[ "$(awk "{ print length }" a.txt | sort -u | wc -l)" -gt 2 ]'
run sample w -n 20 -o - --prompt ab --steps 16
holds "lines begin with the prompt" sh -c '[ "$(grep -c "^ab" out)" -eq 20 ]'
run sample w -n 5 --show --animate w.html -o w.txt --steps 16
holds "shown when they are done" cmp -s out w.txt
if python3 -c 'import json' 2>/dev/null; then
    holds "tokens are followed over time to the samples" sh -c 'python3 - w.html w.txt <<END
import json, re, sys
page = json.loads(re.search(r"const D = (\{.*?\});\n", open(sys.argv[1]).read(), re.S).group(1))
rows = ["".join(text for text, *span in row if len(span) == 1) for row in page["rows"]]
sys.exit(rows != open(sys.argv[2]).read().split("\n")[:-1] or all(span[0] == 0 for row in page["rows"] for _, *span in row))
END'
fi
works 'rows of 5 columns' sample w -n 5 -o c.jsonl --tolerance 0.2 --temperature 0.8 --top-k 2 --top-p 0.9
run sample w -o - --from words.txt -q
holds "given lines are edited, in their order" sh -c '[ "$(wc -l <out)" -eq 300 ] && [ "$(paste -d" " words.txt out | awk "index(\$2, substr(\$1, 1, 1))" | wc -l)" -gt 290 ]'
works 'likelihood  at most .* nats a line' score w -n 10 --steps 16
run score w words.txt --json --steps 16 -j 1
one=$(json nll)
run score w words.txt --json --steps 16 -j 2
holds "1 and 2 threads score the same" [ "$one" = "$(json nll)" ]
# 20 steps tell more than any five letters, and a law of 363 sequences cannot be below its entropy, which is above 2 nats
holds "a bound between the entropy and nothing known" sh -c "awk -v x='$one' 'BEGIN { exit !(x > 2 && x < 30) }'"
works 'lengths  *0\.[0-9]* .*0\.[0-9]*' eval w --pairs 100 -n 10 --steps 16 -o ev
holds "copies are told, and there is no picture" sh -c 'grep -q "in the training data" out && ! grep -q "^pictures" out && grep -q "\"known\":" ev/report.json && [ "$(wc -l <ev/samples.txt)" -eq 30 ]'
fails "expected 'euler'" sample w -n 2 -o c.txt --solver midpoint
fails 'no argmax' sample w -n 2 -o c.txt --argmax
fails "'x' is not among the 3 symbols" sample w -n 2 -o c.txt --prompt ax
fails '7 tokens, and the model' sample w -n 2 -o c.txt --prompt abcabca
printf 'abc\nabcabcabc\n' >long.txt
fails 'long.txt:2: 9 tokens, at most 5' sample w -o c.txt --from long.txt
works "rows of 4 columns" train words.txt --method edit $small --longest 4 --split 1,0,0 --out short
fails "method 'edit' is of space 'sequences'" train moons --method edit --out bad
fails 'of one length' train words.txt --method edit --network token_mlp --out bad

# the lines of another file as the beginning, row by row; longer than the data's
sed 's/$/cc/' words.txt >more.txt
works '300 rows of 7 columns' train words.txt --method edit --source-data more.txt --coupling given --path padding $small --out e
run sample e -n 10 -o - --steps 8
holds "samples from rows held out" sh -c '[ "$(wc -l <out)" -eq 10 ]'
fails 'no likelihood: the law of the flow.s source is not known' score e -n 5
run sample e -o - --from more.txt --steps 8
holds "and from given ones" sh -c '[ "$(wc -l <out)" -eq 300 ]'
fails 'no rows to begin at are given' train words.txt --method edit --source data --out bad

# built-in texts
run list datasets
holds "texts are listed" grep -q '^brackets' out
works '200 rows of 20 columns' train brackets --rows 200 --method edit --source uniform $small --out brackets
works 'nats a line' score brackets -n 5 --steps 4
works '200 rows of .* columns' train sorted_digits --rows 200 --method edit --source-data digit_slips --coupling given $small --out mended
cat >study.yaml <<'END'
paper: nobody 2026
claim: lines are measured
flows:
  right: {data: sorted_digits, rows: 300, method: edit, source-data: digit_slips, coupling: given, steps: 5, width: 8, depth: 1, heads: 1, batch: 16}
measures:
  kept: {measure: rule_kept, flow: right, n: 50, steps: 4, bar: ">= 0"}
  lengths: {measure: length_tv, flow: right, n: 50, steps: 4, bar: "<= 1"}
  edits: {measure: edits_made, flow: right, n: 50, tolerance: 0.5, bar: ">= 1"}
END
works '3 of 3 bars held' reproduce ./study.yaml --threads 1 --quiet
no_leftovers || fail "a half-written file was left behind"
