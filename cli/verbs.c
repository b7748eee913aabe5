/* verbs.c - the verbs: what each is for, how it is called, examples to copy. */
#include "cli.h"

#include <string.h>

const verb verb_table[] = {
    {.letter = 'T',
     .name = "train",
     .usage = "FILE|SET [OPTIONS]",
     .about = "learn a flow from a data file or a built-in set",
     .more =
         "Writes model.safetensors, loss.png, loss.csv and config.yaml into the run's folder, and "
         "checkpoint.safetensors while "
         "it trains. Ctrl-C stops at the next step and keeps a checkpoint; --resume goes on from there as if it had "
         "never stopped.",
     .examples = "thalweg train checkerboard --minutes 2\n"
                 "thalweg train housing.csv --column ocean_proximity=skip --out runs/housing\n"
                 "thalweg train --resume --out runs/housing\n"
                 "thalweg train housing.csv --set width=512 --set lr=5e-4 --seed 7\n"
                 "thalweg train --config runs/housing/config.yaml --out runs/again\n",
     .argument = {OPT_DATA, OPT_COUNT},
     .run = run_train},
    {.letter = 'S',
     .name = "sample",
     .usage = "MODEL [-n N] [-o FILE] [OPTIONS]",
     .about = "draw new rows from a trained flow",
     .more = "Row i of a seed is the same whatever the number of rows and threads.",
     .examples = "thalweg sample runs/checkerboard -n 10000 -o samples.csv --plot samples.png\n"
                 "thalweg sample runs/checkerboard -n 2000 --frames-plot flow.png --frames 8\n"
                 "thalweg sample runs/housing -n 100 -o - --given ocean_proximity=INLAND,median_income=3..4\n",
     .argument = {OPT_MODEL, OPT_COUNT},
     .run = run_sample},
    {.letter = 'C',
     .name = "score",
     .usage = "MODEL [FILE] [OPTIONS]",
     .about = "negative log-likelihood of rows under a flow",
     .more =
         "Nats a row, in the units of the data, with exact divergence, which --probes estimates, as for pictures it "
         "is; of "
         "tokens a bound, found without a solver. Without FILE the test part of the data the "
         "model was "
         "trained on is scored. Bits per dimension are given for whole numbers; of pictures they are a bound, by noise "
         "added (--dequantise).",
     .examples = "thalweg score runs/housing\n"
                 "thalweg score runs/housing held-out.csv --per-row log-density.csv\n"
                 "thalweg score runs/checkerboard checkerboard -n 5000 --json\n",
     .argument = {OPT_MODEL, OPT_DATA, OPT_COUNT},
     .run = run_score},
    {.letter = 'E',
     .name = "eval",
     .usage = "MODEL [FILE] | TABLE --samples FILE [OPTIONS]",
     .about = "compare a flow, or any synthetic table, with held-out data: likelihood, distances, pictures",
     .more =
         "Every distance between samples and held-out rows stands beside its floor: the distance between as many "
         "training "
         "rows and the same held-out rows. Pictures are judged by a classifier, tokens by the bound on their "
         "likelihood alone. Writes report.txt, report.json, clouds.png (data beside samples; grid.png of pictures), "
         "flow.png, and density.png on the sphere, the torus and meshes. Of a table in place of a model, and --samples, "
         "columns, "
         "pairs, a classifier that tells them apart, what is learnt from them, and copies are judged: report.html.",
     .examples = "thalweg eval runs/checkerboard\n"
                 "thalweg eval runs/housing --out reports/housing --repeats 5\n"
                 "thalweg eval runs/housing new-data.csv --json\n"
                 "thalweg eval test.csv --samples synthetic.csv --training train.csv --target income\n",
     .argument = {OPT_MODEL, OPT_DATA, OPT_COUNT},
     .run = run_eval},
    {.letter = 'P',
     .name = "impute",
     .usage = "MODEL FILE [-n N] [-o FILE] [OPTIONS]",
     .about = "fill in what is missing in a table by a flow trained on one like it",
     .more = "Every gap in a column that the model knows is drawn given what its row has; all else in the file stays as it "
             "is written. Draws differ as much as the row leaves open: -n N shows how much that is.",
     .examples = "thalweg impute runs/housing housing.csv -o filled.csv\n"
                 "thalweg impute runs/people patients.csv -n 20 -o draws.csv --seed 1\n",
     .argument = {OPT_MODEL, OPT_DATA, OPT_COUNT},
     .run = run_impute},
    {.letter = 'R',
     .name = "reproduce",
     .usage = "[NAME...|--all] [--quick] [OPTIONS]",
     .about = "train and measure published results again, each against a bar",
     .more = "Prints ours, the bar and the paper's number for everything a study claims; exit status 1 when any bar is "
             "missed. "
             "Without names it lists the studies there are. A study is a YAML file: copy one to make your own.",
     .examples = "thalweg reproduce\n"
                 "thalweg reproduce reflow --quick\n"
                 "thalweg reproduce --all --json\n",
     .argument = {OPT_STUDY, OPT_COUNT},
     .many = true,
     .run = run_reproduce},
    {.letter = 'M',
     .name = "import",
     .usage = "FILE --as NAME [OPTIONS]",
     .about = "take over a network that another program trained",
     .more = "Reads .safetensors files and checkpoints of PyTorch, of which nothing is run. Sizes are taken from the "
             "weights; "
             "what they do not say - heads of attention, a UNet's image size - is asked for.",
     .examples = "thalweg import mnist.pt --as torchcfm --image 28x28 --heads 1\n"
                 "thalweg import cifar.safetensors --as flow_matching --image 32x32 --heads 1 -o runs/cifar\n"
                 "thalweg import SiT-XL-2-256x256.pt --as sit --heads 16\n",
     .argument = {OPT_WEIGHTS, OPT_COUNT},
     .run = run_import},
    {.letter = 'X',
     .name = "export",
     .usage = "MODEL --as NAME [-o FILE] [OPTIONS]",
     .about = "write a network's weights as another program names them",
     .examples = "thalweg export runs/garments --as torchcfm -o garments.safetensors\n"
                 "thalweg export runs/transformer --as sit --json\n",
     .argument = {OPT_MODEL, OPT_COUNT},
     .run = run_export},
    {.letter = 'H',
     .name = "mesh",
     .usage = "FILE [-n N] [-o FILE] [OPTIONS]",
     .about = "points on a triangle mesh, to learn a flow from, and their picture",
     .more = "What is drawn is uniform by area, or proportional to the positive part of an eigenfunction of the mesh's "
             "Laplace-Beltrami operator. train --mesh FILE learns a flow on the mesh from such points.",
     .examples = "thalweg mesh spot.obj -n 50000 --eigenfunction 10 -o target.csv --plot target.png\n"
                 "thalweg train target.csv --mesh spot.obj --minutes 5\n",
     .argument = {OPT_MESH_FILE, OPT_COUNT},
     .run = run_mesh},
    {.letter = 'I',
     .name = "info",
     .usage = "[MODEL] [OPTIONS]",
     .about = "what this program or a model is made of",
     .examples = "thalweg info\n"
                 "thalweg info runs/checkerboard\n"
                 "thalweg info runs/checkerboard --json\n",
     .argument = {OPT_MODEL, OPT_COUNT},
     .run = run_info},
    {.letter = 'L',
     .name = "list",
     .usage = "[KIND] [OPTIONS]",
     .about = "names that options accept: methods, solvers, data sets, ...",
     .examples = "thalweg list\n"
                 "thalweg list solvers\n"
                 "thalweg list datasets --json\n",
     .argument = {OPT_KIND, OPT_COUNT},
     .run = run_list},
};

int verb_count(void)
{
    return TW_COUNT(verb_table);
}

const verb *verb_find(const char *name)
{
    for (int i = 0; i < verb_count(); i++)
        if (strcmp(verb_table[i].name, name) == 0) return &verb_table[i];
    return NULL;
}
