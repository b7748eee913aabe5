# shellcheck shell=sh disable=SC2154,SC2094,SC2086
# Flows of tokens: whole numbers and texts as data, samples that jump, prompts, bounds.

awk 'BEGIN { srand(3); print "a,b"; for (i = 0; i < 600; i++) { a = int(4 * rand()); print a "," (a + (rand() < 0.2)) % 4 } }' >pairs.csv
small="--steps 40 --width 16 --depth 1 --batch 64 --threads 2"
works '600 rows of 2 columns' train pairs.csv --space tokens $small --out t
run info t --json
holds "as many symbols as the data has, method and network of tokens" grep -q '"method":"dfm"' out
holds "the space has its symbols" grep -q 'tokens:symbols=4' out
run sample t -n 50 -o a.csv -j 1
run sample t -n 50 -o b.csv -j 2
holds "1 and 2 threads draw the same" cmp -s a.csv b.csv
holds "samples are tokens" sh -c '! tail -n +2 a.csv | grep -qv "^[0-3],[0-3]$"'
for solver in euler tau_leaping midpoint trapezoidal first_hitting left_to_right; do
    works 'rows of 2 columns' sample t -n 5 -o c.csv --solver $solver
done
works 'rows of 2 columns' sample t -n 5 -o c.csv --tolerance 0.1 --temperature 0.7 --top-k 3 --top-p 0.9 --argmax --stratified-draws
works 'rows of 2 columns' sample t -n 5 -o c.csv --refresh 1,1,0.25 --remask 0.1
run sample t -n 5 -o - --observe a=2
holds "what was observed stays" sh -c '! tail -n +2 out | grep -qv "^2,"'
works 'of a token  *at most' score t
run score t pairs.csv --json
holds "score gives bits" above "$(json bits_per_dim)" 0.5
fails 'solver .dopri5.: there are euler' sample t --solver dopri5
fails "method 'fm' is not of space 'tokens'" train pairs.csv --space tokens --method fm --out bad
fails 'is for tokens' train pairs.csv --network ddit --out bad
fails 'masks' sample t --solver first_hitting --remask 0.1
fails 'up to three numbers' sample t --refresh x
echo 'a,b
1,7' >far.csv
fails 'b=7: expected a whole number from 0 to 3' score t far.csv

# columns with alphabets of their own
awk 'BEGIN { srand(2); print "a,b,c"; for (i = 0; i < 300; i++) print int(5 * rand()) "," int(3 * rand()) "," int(9 * rand()) }' >three.csv
works '300 rows of 3 columns' train three.csv --space 'tokens:5 + tokens:3 + tokens:9' $small --out three
works 'of a token  *at most' score three -n 20 --steps 8
run sample three -n 40 -o - --steps 8 --observe b=2
holds "each of its own, and what is known stays" sh -c '! tail -n +2 out | grep -qvE "^[0-4],2,[0-8]$"'
fails 'c=[5-8]: expected' train three.csv --space 'tokens:5 + tokens:3 + tokens:9' $small --out bad --columns c,b,a

# numbers as levels: tokens inside, numbers outside
works '2,000 rows of 2 columns' train moons --rows 2000 --levels 8,-1.5,2.5 $small --out levels
run sample levels -n 50 -o -
holds "samples are middles of levels" sh -c '! tail -n +2 out | grep -qvE "^-?[0-9]\.(25|75),-?[0-9]\.(25|75)$"'
run sample levels -n 50 -o - --observe x1=0.6
holds "what is observed is a level" sh -c '! tail -n +2 out | grep -qv "^0.75,"'
run sample levels -n 50 -o half.csv --until 0.5
holds "what is masked has no number" grep -q nan half.csv
echo 'x1,x2
0.1,-0.2' >point.csv
works 'at most' score levels point.csv
works 'of the exact density' score levels -n 50
works 'likelihood  at most' eval levels -n 20 --steps 2 --pairs 20
works '20,000 rows' train moons --rows 20000 --levels 4 --steps 1 --width 8 --depth 1 --out found
holds "the range that was found is kept" grep -q '^levels: *"\?4,-1' found/config.yaml
for wrong in 1 8,3,1 8,1 x 8,0,1,2 2.5; do refused 'levels:.*expected a whole number from 2' train moons --levels $wrong; done
fails 'makes tokens' train moons --rows 100 --levels 4 --space euclidean --out bad

# texts: chunks and lines
# told, and guided
works 'timeless' train moons --rows 1000 --levels 8,-1.5,2.5 --condition class --timeless $small --out told
run sample told -n 40 -o - --condition class=1 --steps 8
cp out told.csv
run sample told -n 40 -o - --condition class=1 --steps 8 --guidance 4
holds "guided samples are others" sh -c '! cmp -s out told.csv'
run sample told -n 40 -o - --condition class=1 --steps 8 --guidance 4 --guide told
holds "away from itself nothing changes" cmp -s out told.csv
fails "cannot open 'nowhere'" sample told --condition class=1 --guidance 1 --guide nowhere
fails 'with levels 8,-1.5,2.5, not 80' train moons --resume --levels 80 --out told
fails "is for velocities: tokens have 'cfg'" sample told --condition class=1 --guidance 1 --guidance-kind cfg_zero

# texts told what other columns of their table say
awk 'BEGIN { srand(4); print "kind,text,length"
    for (i = 0; i < 900; i++) {
        high = rand() < 0.5; n = 2 + int(7 * rand()); text = ""
        for (k = 0; k < n; k++) text = text substr(high ? "xyz" : "abc", 1 + int(3 * rand()), 1)
        print (high ? "high" : "low") "," (i % 50 == 7 ? "" : text) "," n
    } }' >told.csv
works '882 rows of 8 columns' train told.csv --columns text --tokeniser characters --condition kind --steps 300 --width 32 --depth 1 --batch 64 --threads 2 --out told_texts
run sample told_texts -n 100 -o - --condition kind=high
holds "texts are of the kind they are told" sh -c '[ "$(grep -c "^[xyz]*$" out)" -ge 95 ]'
run sample told_texts -n 100 -o - --condition kind=low
holds "and of the other" sh -c '[ "$(grep -c "^[abc]*$" out)" -ge 95 ]'
works 'of a token' score told_texts
printf 'text,kind\nzzzzzzzz,low\naa,low\naaaaaaaa,low\nxx,high\n' >four.csv
works 'four.csv: 4 rows scored' score told_texts four.csv --per-row each.csv
holds "rows keep their order" awk 'NR > 1 { v[NR - 1] = $1 } END { exit !(v[1] < v[3] && v[3] < v[2] && v[3] < v[4]) }' each.csv
works 'Copies' eval told_texts -n 50
fails "no class 'mid'" sample told_texts --condition kind=mid
fails "no column 'knd': did you mean 'kind'" train told.csv --columns text --tokeniser characters --condition knd --out bad
printf 'aab\nxyz\n' >plain.txt
fails "condition 'kind' is a column of a table" train plain.txt --tokeniser characters --condition kind --out bad
fails "condition 'kind' is a column of a table" score told_texts plain.txt

for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo "the cat sat on the mat and the dog sat on the log"; done >book.txt
text="--steps 10 --width 16 --depth 1 --heads 2 --batch 16 --network ddit --threads 2"
works 'rows of 16 columns' train book.txt --chunk 16 $text --out book
run sample book -n 3 -o - --prompt 'the dog' --steps 8
holds "texts begin with the prompt" sh -c '[ "$(grep -c "^the dog" out)" -eq 3 ]'
run sample book -n 3 -o texts.jsonl --steps 8
holds "a JSON value a line" sh -c '[ "$(grep -c "^{\"text\": \".*\"}$" texts.jsonl)" -eq 3 ]'
works 'of a token' score book book.txt -n 5 --steps 4
fails "'X' is not among the 14 symbols" sample book --prompt 'Xylophone'
# as they form, and how they came about
escape=$(printf '\033')
run sample book -n 2 --show --steps 8 -o shown.txt
holds "without a terminal texts are shown when they are done" cmp -s out shown.txt
run sample book --show --steps 8 --frames 3
holds "and no file is written unasked" absent samples.txt
if TERM=xterm script -qec "$program sample book -n 2 --show --steps 8" /dev/null >live </dev/null 2>err; then
    holds "on one they form: masks, then what is left of them" sh -c "grep -q '$escape\\[2m' live && grep -q '$escape\\[J' live"
fi
refused 'both want standard output' sample book --show --json
works 'animation -> page.html' sample book -n 2 -o page.txt --animate page.html --steps 8 --frames 5
holds "a page that needs nothing beside it" sh -c 'grep -q "</html>" page.html && ! grep -q "http\|src=" page.html'
cat >ends.py <<'END'
import json, re, sys
page = json.loads(re.search(r"const D = (\{.*?\});\n", open(sys.argv[1]).read(), re.S).group(1))
rows = ["".join(text for text, *span in row if len(span) == 1) for row in page["rows"]]
alive = [[sum(a <= f and (not b or f < b[0]) for _, a, *b in row) for f in range(len(page["times"]))] for row in page["rows"]]
print("\n--------\n".join(rows))
sys.exit(len(sys.argv) > 2 and any(n != int(sys.argv[2]) for row in alive for n in row))
END
if python3 -c 'import json' 2>/dev/null; then
    holds "the page ends with the samples, a token at every place and time" sh -c 'python3 ends.py page.html 16 | cmp -s - page.txt'
fi
# tokenisers made of the text within limits, read from files of GPT-2's kind, and texts in a column of a table
mlp="--network token_mlp --steps 3 --width 16 --depth 1 --batch 16 --threads 2"
cp book.txt rare.txt && echo 'the okapi sat' >>rare.txt
fails "rare.txt:21: 'okapi' is not among the" train rare.txt --tokeniser words --min-count 2 --chunk 4 $mlp --out rare
works 'rows of 4 columns' train rare.txt --tokeniser words --min-count 2 --unknown token --chunk 4 $mlp --out rare
works 'of a token' score rare rare.txt -n 2 --steps 2
works 'rows of 8 columns' train book.txt --tokeniser bpe --symbols 260 --chunk 8 $mlp --out pairs
files=$here/../data/files
works 'rows of 8 columns' train book.txt --vocabulary "$files/bpe.json" --chunk 8 $mlp --out foreign
works 'rows of 8 columns' train book.txt --vocabulary "$files/bpe-vocab.json" --chunk 8 $mlp --out foreign --force
fails 'has its symbols' train book.txt --vocabulary x.json --symbols 12 --out bad
fails "cannot open 'x.json'" train book.txt --vocabulary x.json --out bad
awk 'BEGIN { srand(1); print "id;text"; for (i = 0; i < 60; i++) print i ";\"C" (rand() < 0.5 ? "C" : "N") "O\"" }' >strings.csv
works '60 rows of 3 columns' train strings.csv --tokeniser smiles --columns text $mlp --out strings
works '60 rows scored' score strings strings.csv --steps 2
run sample strings -n 5 -o - --steps 4
holds "strings of its symbols" sh -c '! grep -qvE "^[CNO]*$" out'
fails 'is a table: --columns NAME says which' train strings.csv --tokeniser smiles $mlp --out bad
fails "no column 'txt' among its 2" train strings.csv --tokeniser smiles --columns txt $mlp --out bad

# symbols with places: of a table, or what another network has learned of them
printf 'x\n1\n2\n3\n' >three.csv
echo 'another text of 16 and more' >other.txt
printf 'symbol,x,y\n' >places.csv
seq 14 | awk '{ print "s," NR % 4 "," int(NR / 4) }' >>places.csv # letters, blank and the ends of lines
works 'holds text: left out\|rows of 16' train book.txt --chunk 16 $text --path metric --embedding places.csv --out placed
works 'of a token' score placed book.txt -n 3 --steps 4
works 'rows of 16 columns' train book.txt --chunk 16 $text --path metric --embedding book --out learned
fails 'has other symbols than this text' train other.txt --chunk 16 $text --path metric --embedding book --out bad
fails "cannot open 'nowhere.csv'" train book.txt --chunk 16 $text --path metric --embedding nowhere.csv --out bad
fails 'has learned none' train moons --rows 500 --levels 8,-1.5,2.5 $small --path metric --embedding levels --out bad
fails "is for path 'metric'" train book.txt --chunk 16 $text --embedding book --out bad
fails 'an embedding of 3 symbols' train moons --rows 500 --levels 8,-1.5,2.5 $small --path metric --embedding three.csv --out bad
# in order, to compare with: no bound, and n-grams beside it
works 'causal' train book.txt --chunk 16 --method ar --steps 10 --width 16 --depth 1 --batch 16 --heads 2 --threads 2 --out order
run sample order -n 3 --show --prompt 'the dog' --animate order.html
holds "shown and drawn" sh -c '[ "$(grep -c "^the dog" out)" -eq 3 ] && [ -s order.html ]'
run sample order -n 3 -o - --prompt 'the dog'
holds "texts go on from the prompt" sh -c '[ "$(grep -c "^the dog" out)" -eq 3 ]'
works 'negative log-likelihood  [0-9]' score order -n 5
works 'told by counting  .* bits a token' eval order -n 5 --pairs 5
holds "no bound" sh -c '! grep -q "at most [0-9]" out'
holds "samples to read and no pictures" sh -c '[ "$(grep -c "^-----" order/samples.txt)" -eq 4 ] && ! grep -q "^pictures" out && [ ! -e order/clouds.png ]'
fails "has 'left_to_right' only" sample order -n 3 -o - --solver euler
fails "source 'mask', path 'mixture' and loss" train book.txt --chunk 16 --method ar --source uniform --out bad
fails "causal" train book.txt --chunk 16 --method ar --network token_mlp --out bad

works 'rows of 49 columns' train book.txt $text --out lines
run sample lines -n 2 -o - --steps 4
holds "padding is nothing" sh -c '! grep -q padding out'
refused 'is for models of texts' sample t -o t.jsonl
fails 'is for models of texts' sample t --prompt 1

# what means nothing for tokens is refused, and what is for tokens alone by flows of numbers
echo 'a,b
1,0' >one.csv
refused 'matrix is not for flows of tokens' sample t -n 4000 --observe y1=1 --matrix one.csv -o c.csv
refused 'noise is not for flows of tokens' sample t --observe a=1 --noise 0.1
refused 'inverse is not for flows of tokens' sample t --observe a=1 --inverse dps
refused 'reward is not for flows of tokens' sample t --reward a=1
refused 'reverse is not for flows of tokens' sample t --from one.csv --reverse
refused 'interpolate is not for flows of tokens' sample t --from one.csv --interpolate 2
for option in '--solver euler' '--until 0.5' '--probes 2' '--probe-kind gaussian' '--dequantise 2'; do
    refused "${option%% *} is not for flows of tokens" score t $option
done
refused 'show is for models of texts' sample t --show
works 'animation -> t.html' sample t -n 3 -o c.csv --animate t.html --steps 4
refused 'not of levels' sample levels -n 3 -o c.csv --animate l.html
train_tiny moons
refused 'pages are of tokens' sample moons -n 3 --animate m.html
for option in '--temperature 0.5' '--top-k 2' '--top-p 0.5' --argmax '--tolerance 0.1' '--refresh 1' '--remask 0.1' --stratified-draws \
    '--prompt x' --show; do
    refused "${option%% *} is for flows of tokens" sample moons $option
done
refused 'tolerance has no meaning with --steps' sample t --tolerance 0.1 --steps 5
works 'rows of 2 columns' sample t -n 5 -o c.csv --observe a=2 --solver euler --steps 4
works 'rows of 2 columns' sample t -n 5 -o c.csv --observe a=2 --from pairs.csv
fails 'nothing is missing' sample t -n 5 --observe a=2,b=1

# eval: a bound, and no distances between the numbers of symbols
works 'likelihood  at most.*nats a row' eval t -n 50 --steps 4 --pairs 50
holds "a bound of each token" grep -q 'of a token  *at most .*perplexity' out
holds "no distances, no columns" sh -c '! grep -q "Distances\|Columns\|bits per dimension" out'
works 'those of a file' eval book book.txt -n 5 --steps 2 --pairs 10 --samples book.txt

# pieces of many bytes are written whole
awk 'BEGIN { for (k = 0; k < 200; k++) w = w (k == 0 ? "b" : k == 199 ? "e" : "m"); for (i = 0; i < 200; i++) printf "%s ", w }' >long.txt
works 'rows of 8 columns' train long.txt --tokeniser words --chunk 8 $text --out long
run sample long -n 8 -o long-samples.txt --steps 8
holds "words of 200 bytes are whole" sh -c 'b=$(tr -dc b <long-samples.txt | wc -c); [ "$b" -ge 8 ] && [ "$b" -eq "$(tr -dc e <long-samples.txt | wc -c)" ]'
no_leftovers || fail "a half-written file was left behind"
