"""Writes tokenizers.json: small tokenizers and what the Hugging Face tokenizers package makes of hard strings.

Run by hand with `python3 core/text/testdata/make_golden.py` where `pip install tokenizers==0.23.3` has been done.
"""
import json, pathlib
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

TEXT = [
    "The quick brown foxes were jumping over lazier dogs, weren't they?",
    "She said: “It’s 3.14, or 22/7 — roughly!” and he'd have agreed, but I'll wait.",
    "naïve café, Ångström, résumé, façade, Ελληνικά, русский, türkçe, Straße",
    "tokenizers cut words into pieces; pieces join into words; wording, worded, reworded",
    "日本語 中文 한국어 ไทย हिन्दी العربية עברית",
    "numbers 0 1 2 3 10 100 1000 2024 1999 x2 h2o",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z . , ; : ! ? ' \" ( ) [ ] - _ / & % $ # @ + = < > * ~ ^ | \\ `",
]
HARD = [
    "", " ", "   ", "hello", " hello", "hello ", "  two  blanks  ", "tabs\tand\nlines\r\n", "\r", "\n\n a", "a \n", "a\u00a0b", "a\u2003b\u3000c", "a\u0085b\u000bc\u000cd",
    "Words worded REWORDED wording.", "don't we'll I'm they've he'd it's you're", "DON'T WE'LL", "''s 'sx x's's", "it’s", "rock 'n' roll", "'", "'re", "’s",
    "naïve NAÏVE nai\u0308ve", "caf\u00e9 cafe\u0301", "e\u0301\u0323\u0302", "Ångström Å \u212b", "İstanbul Iğdır ılık I i", "Straße STRASSE ẞ", "ΑΣ ας Σ", "ǅ Ǆ ŉ ﬁ ﬀ ½ ² Ⅷ ™",
    "日本語のテスト", "中a文b字1", "한국어 \u1112\u1161\u11ab", "ไทย ภาษา", "हिन्दी", "العربيّة", "עִבְרִית", "\U00020000\U0002b740\U0002b820", "々〆〇",
    "zero\u200bwidth\u200cnon\u200djoiner\u2060word\ufeffmark", "soft\u00adhyphen", "\u202eright\u202c", "\x00nul\x01one\x7fdel", "\ufffdreplacement", "\ue000private",
    "😀🥰🫠", "👩‍👩‍👧 👍🏽 🇩🇪", "x😀y", "3.14 1,000 1e-5 ٣٤ १२ ⅔", "a1b2 x2y", "$9.99+100%=#1@home", "<tag a='b'>", "~^`|\\", "“quotes”—dashes…", "!!!???...", "___ _a_ a_b",
    "[CLS] a [SEP]", "[MASK]ed un[MASK]", "[mask] [Mask]", "[UNK][PAD]", "<s>a</s>", "<mask> x <mask>x", "x  <mask>  y", "<|endoftext|>", "a<|endoftext|>b",
    "NewTok newtok NEWTOK xnewtok newtoks", "right   stripping", "  one  word  oneword one", "w" * 99, "w" * 100, "w" * 101, "word" * 40, "-" * 70, "é" * 120,
    "a" + "\u0301" * 25, "unassigned\u0378", "𝔘𝔫𝔦 𝟙𝟚", "x\u1abfy\u05bfz\u2e50\u2e3a\u0890", "‿⁀﹍", "x\u20ddy", "\u0e33", "Ωmega Ω", "a\u2028b\u2029c", "(a)[b]{c}", "e.g. i.e., etc.",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def wordpiece(normalizer=None, pre=None, added=(), **options):
    train = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    train.normalizer, train.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    train.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=420, min_frequency=1, special_tokens=SPECIAL, show_progress=False))
    vocab = train.get_vocab()
    if "continuing_subword_prefix" in options:
        vocab = {t.replace("##", options["continuing_subword_prefix"], 1) if t.startswith("##") else t: i for t, i in vocab.items()}
    tok = Tokenizer(models.WordPiece(vocab, **{"unk_token": "[UNK]", "max_input_chars_per_word": 100, **options}))
    tok.normalizer, tok.pre_tokenizer = normalizer, pre or pre_tokenizers.BertPreTokenizer()
    tok.add_special_tokens(SPECIAL)
    tok.add_tokens(list(added))
    return tok


def bpe(normalizer=None, prefix_space=False, special=ROBERTA, added=(), alphabet=None, **options):
    train = Tokenizer(models.BPE())
    train.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    alphabet = pre_tokenizers.ByteLevel.alphabet() if alphabet is None else alphabet
    train.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=480, special_tokens=special, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(train.to_str())["model"]
    tok = Tokenizer(models.BPE(model["vocab"], [tuple(m) for m in model["merges"]], **options))
    tok.normalizer, tok.pre_tokenizer = normalizer, pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tok.add_special_tokens(special)
    tok.add_tokens(list(added))
    return tok


N, P, A = normalizers, pre_tokenizers, AddedToken
TOKENIZERS = {
    "wordpiece uncased": wordpiece(N.BertNormalizer()),
    "wordpiece cased": wordpiece(N.BertNormalizer(lowercase=False)),
    "wordpiece keeps accents": wordpiece(N.BertNormalizer(strip_accents=False)),
    "wordpiece strips accents, cased": wordpiece(N.BertNormalizer(strip_accents=True, lowercase=False)),
    "wordpiece neither cleans nor spaces": wordpiece(N.BertNormalizer(clean_text=False, handle_chinese_chars=False)),
    "wordpiece without normalizer": wordpiece(None),
    "wordpiece with a sequence": wordpiece(N.Sequence([N.NFKD(), N.Lowercase(), N.NFC()])),
    "wordpiece NFKC": wordpiece(N.NFKC(), P.Whitespace()),
    "wordpiece split at blanks": wordpiece(N.NFD(), P.WhitespaceSplit()),
    "wordpiece own prefix and length": wordpiece(N.BertNormalizer(), continuing_subword_prefix="~", max_input_chars_per_word=10),
    "wordpiece added tokens": wordpiece(N.BertNormalizer(), added=[
        A("NewTok"), A("right", rstrip=True), A("one", single_word=True), A("oneword", normalized=False), A("Ångström", lstrip=True, normalized=True)]),
    "bpe": bpe(),
    "bpe prefix space": bpe(prefix_space=True),
    "bpe gpt": bpe(special=["<|endoftext|>"]),
    "bpe mask swallows blanks": bpe(added=[A("<mask>", lstrip=True, normalized=False, special=True), A("NewTok", single_word=True), A("newtoks")]),
    "bpe NFC": bpe(N.NFC()),
    "bpe few bytes": bpe(alphabet=list("abcdef")),
    "bpe few bytes, unknown token": bpe(alphabet=list("abcdef"), unk_token="<unk>"),
}

out = [{"name": name, "tokenizer": json.loads(t.to_str()), "texts": HARD + TEXT, "ids": [t.encode(s, add_special_tokens=False).ids for s in HARD + TEXT]}
       for name, t in TOKENIZERS.items()]
texts = out[0]["texts"]
for o in out:
    del o["texts"]
path = pathlib.Path(__file__).with_name("tokenizers.json")
lines = ",\n".join(json.dumps(o, separators=(",", ":")) for o in out)
path.write_text('{"texts":' + json.dumps(texts) + ',\n"tokenizers":[\n' + lines + "\n]}\n")
