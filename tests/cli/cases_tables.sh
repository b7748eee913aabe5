# Tables of mixed columns: what is said of them, overruled, drawn in their own format, given and filled in.
small='--steps 30 --batch 64 --width 16 --depth 1 --threads 1'
awk 'BEGIN {
    srand(4); print "id;name;age;sex;city;joined;note"
    for (i = 1; i <= 300; i++)
        printf "%d;p%d;%s;%s;%s;20%02d-0%d-1%d;x\n", i, i, rand() < 0.1 ? "NA" : 18 + int(60 * rand()),
            rand() < 0.5 ? "F" : "M", rand() < 0.6 ? "\"Rome; old\"" : "Oslo", 10 + int(10 * rand()), 1 + int(9 * rand()), int(10 * rand())
}' >people.csv
works '300 rows of 7 columns, which are 2 numbers and 3 tokens' train people.csv $small --out p
holds "what was found is told" grep -q '^  age  *integer  *[0-9.]* %  18 to 7[0-9]$' out
holds "rows are not learned by number" grep -q '^  id  *skip .*numbers the rows$' out
holds "nor by name" grep -q '^  name  *skip .*a text of its own$' out
holds "dates" grep -q '^  joined  *date ' out
works 'steps' train people.csv $small --out k --column age=category --column sex=skip
holds "kinds are overruled" grep -q '^  age  *category ' out
holds "one by one" grep -q '^  sex  *skip ' out
fails "people.csv:2: column 'name': 'p1' is not a number" train people.csv $small --out no --column name=number
fails "no column 'agee': did you mean 'age'" train people.csv $small --out no --column agee=number
fails "no kind 'intger': did you mean 'integer'" train people.csv $small --out no --column age=intger
run sample p -n 20 -o -
holds "the file's own columns" [ "$(head -n 1 out)" = 'age;sex;city;joined;note' ]
holds "and cells" [ "$(grep -cE '^([0-9]+|NA);[FM];("Rome; old"|Oslo);20[0-9][0-9]-[0-9][0-9]-[0-9][0-9];x$' out)" -eq 20 ]
run sample p -n 20 -o - --given sex=F,age=30..60
holds "what is given" [ "$(grep -cE '^([345][0-9]|60);F;' out)" -eq 20 ]
fails "column 'sex' has no level 'f': did you mean 'F'" sample p --given sex=f -o no.csv
fails "no column 'agee': did you mean 'age'" sample p --given agee=3 -o no.csv
fails "age=x: expected a number, or a range" sample p --given age=x -o no.csv
fails "only 0 lie in the ranges" sample p -n 1 --steps 2 --given age=500.. -o no.csv
refused '--plot is not for models of tables' sample p --plot x.png
works 'gaps in 300 rows' impute p people.csv -o filled.csv
holds "no age is missing any more" [ "$(grep -c ';NA;' filled.csv)" -eq 0 ]
grep -v ';NA;' people.csv >known.csv
holds "what is known stands as it stood" [ "$(grep -Fxc -f known.csv filled.csv)" -ge "$(grep -c . known.csv)" ]
run impute p people.csv -n 2 -o -
holds "several draws are told apart" [ "$(grep -c '^2;' out)" -eq 300 ]
works 'integer' info p
run info p --json
holds "info --json is one object" one_object
train_tiny ref
refused 'for models of tables' impute ref people.csv

# levels alone: tokens with an alphabet each, scored by a bound
awk 'BEGIN { srand(2); split("red green blue", c, " "); split("S M L XL", s, " "); print "colour,size,made"
    for (i = 0; i < 400; i++) { k = 1 + int(3 * rand()); print c[k] "," s[rand() < 0.7 ? k : 4] "," int(9 * rand()) } }' >levels.csv
works '0 numbers and 3 tokens' train levels.csv --steps 30 --width 16 --depth 1 --batch 64 --threads 2 --out levels
works 'tokens:3\*1 + tokens:4\*1 + tokens:9\*1' info levels
works 'at most .* nats a row' score levels -n 20 --steps 16
works 'levels.csv: 400 rows scored' score levels levels.csv --steps 2
run sample levels -n 20 -o -
holds "levels of the file" sh -c '! tail -n +2 out | grep -qvE "^(red|green|blue),(S|M|L|XL),[0-8]$"'
echo 'colour,size,made
mauve,S,1' >mauve.csv
fails 'mauve' score levels mauve.csv

# parts of a whole: found, drawn with their sum and digits, filled in by what the others leave
awk 'BEGIN { srand(3); print "site,sand,silt,clay"
    for (i = 0; i < 200; i++) { a = int(1001 * rand()); b = int((1001 - a) * rand())
        printf "%s,%.1f,%.1f,%.1f\n", rand() < 0.5 ? "hill" : "dale", a / 10, b / 10, (1000 - a - b) / 10 } }' >soil.csv
works 'clay *share' train soil.csv --steps 30 --width 16 --depth 1 --batch 64 --threads 2 --out soil
works 'simplex\*3 + tokens:2\*1' info soil
run sample soil -n 50 --steps 10 -o -
holds "they add up" sh -c '[ "$(tail -n +2 out | awk -F, "\$2 + \$3 + \$4 > 99.99 && \$2 + \$3 + \$4 < 100.01" | wc -l)" -eq 50 ]'
run sample soil -n 3 --steps 10 -o - --given sand=20,silt=30,clay=50
holds "a point that is given is held" [ "$(grep -c ',20.0,30.0,50.0$' out)" -eq 3 ]
fails "'sand' makes one point with 'silt': give both, or a range such as sand=LOW..HIGH" sample soil -n 3 --given sand=20 -o -
printf 'site,sand,silt,clay\nhill,40.0,,\ndale,30.0,60.0,\n' >holes.csv
run impute soil holes.csv --steps 10 -o -
holds "what is left is shared out" sh -c 'grep -q "^dale,30.0,60.0,10.0$" out && grep "^hill,40.0," out | awk -F, "{ exit !(\$3 + \$4 > 59.99 && \$3 + \$4 < 60.01) }"'
works 'sand *number' train soil.csv --column sand=number --steps 2 --width 8 --depth 1 --out plain

# factors with paces and weights of their own
works 'validation' train soil.csv --factor-schedules 'condot + polynomial:2' --factor-weights learned --steps 3 --width 8 --depth 1 --out paced
works 'of each factor   schedule condot + polynomial:2; weight learned' info paced
fails 'and space .* has 2 factors' train soil.csv --factor-schedules condot --steps 3 --out bad
fails "weight '0' of a factor" train soil.csv --factor-weights '1 + 0' --steps 3 --out bad
fails "for method 'gm', not for 'fm'" train moons --factor-weights learned --steps 3 --out bad
