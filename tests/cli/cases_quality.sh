# shellcheck shell=sh disable=SC2154,SC2094,SC2086
# The quality report of tables: files of anybody, floors, one page, bad input.

# 400 rows: a number, another that follows it, a category with gaps, yes or no by the number; the same law for any START
people() { # START
    awk -v start="$1" 'BEGIN {
        print "age,income,town,member"
        for (i = start; i < start + 400; i++) {
            u = (i * 7919 % 1009) / 1009; v = (i * 104729 % 997) / 997; w = (i * 1299709 % 991) / 991
            age = int(18 + 60 * u)
            town = w < 0.1 ? "" : w < 0.5 ? "Ulm" : w < 0.8 ? "Bonn & Co" : "Jena"
            printf "%d,%.2f,%s,%s\n", age, 900 + 40 * age + 500 * v, town, (age + 30 * v > 60 ? "yes" : "no")
        }
    }'
}
people 1 >train.csv
people 500 >test.csv
people 2000 >like.csv
awk -F, 'BEGIN { OFS = "," } NR > 1 { $1 = $1 + 100; $4 = NR % 2 ? "yes" : "no" } 1' like.csv >unlike.csv

run eval test.csv --samples like.csv --training train.csv --out like --json
holds "eval of a table prints one object" one_object
for key in marginal marginal_floor association detection detection_logistic utility_auc utility_auc_floor utility_accuracy closest closer; do
    holds "eval --json of a table has $key" above "$(json $key)" 0
done
for file in report.txt report.json report.html marginals.png associations.png; do
    holds "eval of a table writes $file" [ -s like/$file ]
done
holds "the page carries its pictures" [ "$(grep -c 'src="data:image/png;base64,iVBOR' like/report.html)" = 2 ]
holds "the page needs nothing beside it" [ -z "$(grep -e 'href=' -e 'src="[^d]' like/report.html)" ]
cp out first
run eval test.csv --samples like.csv --training train.csv --out like --json -j 3
holds "the report is the same for any threads" [ "$(sed 's/"seconds".*//' first)" = "$(sed 's/"seconds".*//' out)" ]

run eval test.csv --samples unlike.csv --training train.csv --out unlike --json
holds "the worst column is named" grep -q 'Worst column  age' unlike/report.txt
holds "rows that are shifted are told apart" above "$(json detection)" 0.95
holds "the last column is predicted" [ "$(grep -c '"target":"member"' out)" = 1 ]
holds "noise teaches nothing" above "$(json utility_auc_floor)" 0.8
works 'one half of test.csv against the other' eval test.csv --samples train.csv --out halves --target income
holds "a number is predicted by its R^2" grep -q 'predicting income: R^2' halves/report.txt
run eval test.csv --samples like.csv --training train.csv --column age=category --out levels
holds "a column is read as it is told" grep -q 'age  *categories' levels/report.txt
run eval test.csv --samples train.csv --training train.csv --out copies --json
holds "copies are counted" above "$(json copies)" 0.99

# a model of a table is judged the same way, by rows drawn from it or by those of a file
run train train.csv --steps 20 --width 16 --depth 1 --batch 64 --threads 2 --out people
works 'people against test part of train.csv' eval people --steps 4
holds "its page lies beside it" [ -s people/report.html ]
holds "it tells how columns were read" grep -q '^ *member  *yesno' people/report.txt
works 'like.csv against test.csv' eval people test.csv --samples like.csv --out others

# bad input
fails "no column 'incom'; the nearest is 'income'" eval test.csv --samples like.csv --target incom --out bad
fails 'nowhere.csv' eval test.csv --samples nowhere.csv --out bad
fails 'nowhere.csv' eval test.csv --samples like.csv --training nowhere.csv --out bad
head -n 4 like.csv >few.csv
fails '3 synthetic rows: expected at least 5' eval test.csv --samples few.csv --out bad
cut -d, -f1-3 like.csv >narrow.csv
fails 'member' eval test.csv --samples narrow.csv --out bad
refused '\-\-solver is for a trained flow' eval test.csv --samples like.csv --solver euler
fails "column: 'a': expected NAME=KIND" eval test.csv --samples like.csv --column a --out bad
refused '\-\-column is for eval FILE --samples FILE' eval people --column age=integer
refused '\-\-training is for eval FILE --samples FILE' eval people --training train.csv
holds "nothing is written after bad input" absent bad
holds "no half-written files" no_leftovers
