# shellcheck shell=sh disable=SC2154
# Networks of other programs, there and back: the checkpoint of tests/golden/make_import.py.

pt=$here/../golden/sit.pt
works 'dit, width 8, depth 1, heads 2, patch 2' import "$pt" --as sit --heads 2 -o run
holds "a note tells which network" grep -q "of 2 networks the one at 'ema.'" err
works '4 x 4 pixels, 1 channel, 2 classes' import "$pt" --as sit --heads 2 -o run --force
holds "no note with --quiet" sh -c "! '$program' import '$pt' --as sit --heads 2 -o run --force -q 2>&1 >/dev/null | grep -q ."
works '"network":{"kind":"dit","width":8,' import "$pt" --as sit --heads 2 -o run --force --json
works '"classes":2' import "$pt" --as sit --heads 2 --values plain --prefix model.module. --schedule cosine -o plain --json
works 'network  *dit, width 8' info run
works '5 pictures of 4 x 4 pixels' sample run -n 5 --condition class=1 -o five.csv --steps 4 --solver euler
works 'as sit names them' export run --as sit -o back.safetensors
works '"weights":"back.safetensors"' export run --as sit -o back.safetensors --json
works 'dit' import back.safetensors --as sit --heads 2 -o again
run sample again -n 5 --condition class=1 -o again.csv --steps 4 --solver euler
holds "what went there and back draws the same rows" cmp -s five.csv again.csv

works 'imported, as  *sit' info run

# images of other numbers than bytes are rows: as pictures they would be cut off
works '4 x 4 pixels, 1 channel of numbers' info plain
works '20 rows of 16 columns' sample plain -n 20 -o plain.csv --steps 4 --solver euler
holds "their values stay as they are" sh -c 'tail -n +2 plain.csv | grep -q -- "-[0-9.]*[1-9]"'
refused 'for models of pictures' sample plain -o plain.png
run sample plain -n 2 -o plain.npy --steps 4 --solver euler
holds "and no bytes" sh -c 'head -c 128 plain.npy | grep -aq "f8"'
cp run/model.safetensors kept.safetensors
fails "is a model of thalweg's own" export run --as sit -o kept.safetensors
holds "a model is not replaced by weights" cmp -s run/model.safetensors kept.safetensors
refused 'expected a name that ends in .safetensors' export run --as sit -o back.pt

refused 'import needs a FILE' import
refused 'import needs --as' import "$pt"
refused "as: 'sti' is unknown; the nearest is 'sit'" import "$pt" --as sti
refused "\-\-image: '28' given, expected HEIGHTxWIDTH" import "$pt" --as sit --image 28
refused "\-\-image: '0x4' given" import "$pt" --as sit --image 0x4
refused "values: 'latent' given, expected one of pixels, plain" import "$pt" --as sit --values latent
fails "'run' holds a model already; --force replaces it" import "$pt" --as sit --heads 2 -o run
fails 'how many heads' import "$pt" --as sit -o other
fails 'expected a multiple of 4 and of 3 heads' import "$pt" --as sit --heads 3 -o other
fails "there is no tensor 'time_embed.0.weight'" import "$pt" --as torchcfm --image 4x4 --heads 1 -o other
fails 'height and width are needed' import "$here/../golden/unet.safetensors" --as torchcfm --heads 1 -o other --prefix grad.
fails 'missing.pt' import missing.pt --as sit --heads 2 -o other
printf 'hello' >text.pt
fails 'not a sound PyTorch file' import text.pt --as sit --heads 2 -o other
printf '\200\002cposix\nsystem\n.' >old.pt
fails 'a pickle, but not what torch.save writes' import old.pt --as sit --heads 2 -o other
holds "a refused file leaves no folder" [ ! -e other ]
refused 'export needs --as' export run
refused 'export needs a MODEL' export --as sit
fails "architecture 'torchcfm' has network 'unet', the flow 'dit'" export run --as torchcfm -o other.safetensors
fails "'nowhere" export nowhere --as sit
