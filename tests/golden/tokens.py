#!/usr/bin/env python3
"""Golden values of tests/data/test_gpt2.c from the reference implementation (pip install tokenizers; 0.23.3 was used).

Trains a byte-level BPE on the text below and writes
  tests/data/files/bpe.json                       its tokenizer.json, with two added tokens
  tests/data/files/bpe-vocab.json bpe-merges.txt  the same as GPT-2's two files
  tests/golden/tokens.inc                         the text, the symbols, and texts with their tokens
Run from the root of the project."""
import json
import random

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

TEXT = """A river does not hurry, and it doesn't rest. It runs along the thalweg: the line of lowest ground, where water
goes when it's left alone. We've walked there; you'll find stones, 12 of them, then 345, then 6789 (or so).

Der Fluss fließt, wie er will - über Kies, unter Brücken, an Mühlen vorbei. L'eau coule où elle peut, été comme hiver.
Река течёт к морю.  川は海へ流れる。  النهر يجري. ποταμός — ॐ नदी बहती है। 🌊🌊🏞️ x² + y² ≥ ½

    for (int i = 0; i < n; i++) { flow[i] += dt * velocity[i]; }\t/* tabs\tand   blanks */\r\n\r\n
The water was there, the water is there, the water will be there: then, there, the others, another, they'd say
"that's that", and I'm sure they're right. They'll go, we'd go, she's gone, he'll've gone.   The end...\n\n\n"""

CASES = ["", " ", "  ", "\n", "the water", " the  water", "It's there, isn't it?", "'s 't 're've'm'll'd'S'Ve",
         "12 345 6789x ½² ١٢٣", "über Mühlen", "u\u0308ber", "海へ流れる", "🌊🏞️👍🏽", "a\u00a0b\u2003c\u3000 d", " \n\n  x", "x \n\n  ",
         "tabs\t\tand\r\n\r\nlines \t", "!!! ... ;-) --- a.b.c", "_under_score_", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
         "\u0000\u0001\u007f\u0080\u00ad", "<|endoftext|>the<|endoftext|><|endoftext", "a<|end|>b<|end", "ⅣⅤ㊿", "\U0001D400\U0010FFFF\uFFFD"]


def random_text(rng):
    pools = [" \n\t  '", "stremvdlSTREMVDL", "0123456789.,;!?()", "äöüßéèêñçåøæ", "абвгдежзик", "日本語川海", "\u00a0\u2003\u3000\u0300\u0308\u200d🌊"]
    return "".join(rng.choice(rng.choice(pools)) if rng.random() < 0.7 else rng.choice(["the", " the", " water", "'ll", " 12"])
                   for _ in range(rng.randrange(1, 40)))


def c_string(data, width=100):
    """Octal escapes end after three digits, whatever follows."""
    text, line, lines = "", "", []
    for byte in data:
        line += chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        if len(line) > width:
            lines.append(f'"{line}"')
            line = ""
    return "\n     ".join(lines + [f'"{line}"'])


def main():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[], show_progress=False))
    tokenizer.model.save("tests/data/files", "bpe")
    learned = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True), AddedToken("<|end|>", special=True)])
    tokenizer.save("tests/data/files/bpe.json", pretty=False)
    rng = random.Random(7)
    cases = [TEXT] + CASES + [random_text(rng) for _ in range(60)]
    with open("tests/golden/tokens.inc", "w") as out:
        out.write("/* Made by tests/golden/tokens.py with Hugging Face tokenizers. */\n")
        out.write(f"enum {{ GOLDEN_LEARNED = {learned} }};\n")
        out.write("static const struct {\n    const char *text;\n    size_t size;\n    int count;\n"
                  "    const int32_t *tokens;\n} golden_tokens[] = {\n")
        for case in cases:
            ids = tokenizer.encode(case).ids
            assert tokenizer.decode(ids, skip_special_tokens=False) is not None
            data = case.encode()
            rows = ", ".join(map(str, ids)) or "0"
            out.write(f"    {{{c_string(data)},\n     {len(data)}, {len(ids)}, (const int32_t[]){{{rows}}}}},\n")
        out.write("};\n")
    # a merge that stands twice
    twice = json.loads(tokenizer.to_str())
    twice["model"]["vocab"] = {"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5}
    twice["model"]["merges"] = [["a", "b"], ["b", "c"], ["a", "b"]]
    twice["added_tokens"] = []
    print("abc with a merge standing twice:", Tokenizer.from_str(json.dumps(twice)).encode("abc").ids)


main()
