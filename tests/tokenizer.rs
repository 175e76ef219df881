//! Tokenizers of `tokenizer.json`, with ids worked out by hand: `cargo test --features tokenizers --test tokenizer`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod support;

use support::HostRandom;
use support::mutated_files::{index, mutate_text, survive};
use wgrad::Result;
use wgrad::data::Dataset;
use wgrad::data::text::{TokenPadding, Tokenizer, TokenizerOptions};

/// As BERT's: lower case without accents, pieces of words, `[CLS] A [SEP] B [SEP]`.
const WORD_PIECE: &str = r###"{
    "version": "1.0", "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}, "padding": null,
    "added_tokens": [
        {"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
        {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
        {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
    ],
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "the": 4, "play": 5, "##ing": 6, "##ed": 7, "un": 8, "##able": 9,
            ",": 10, "chess": 11}}
}"###;

/// As GPT-2's: bytes, of which frequent neighbours are joined. `Ġ` is a space, and `Ã©` the two bytes of `é`.
const BYTE_PAIRS: &str = r###"{
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [
        {"id": 10, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
    ],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
    "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
        "fuse_unk": false, "byte_fallback": false,
        "vocab": {"l": 0, "o": 1, "w": 2, "e": 3, "r": 4, "Ġ": 5, "lo": 6, "low": 7, "er": 8, "Ġlow": 9, "<|end|>": 10, "Ã": 11, "©": 12},
        "merges": ["l o", "lo w", "e r", "Ġ low"]}
}"###;

/// As T5's and Llama's SentencePiece models: the likeliest pieces, by logarithms of their probabilities. `▁` is a space.
const UNIGRAM: &str = r###"{
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}, "post_processor": null,
    "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
    "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
        "vocab": [["<unk>", 0.0], ["▁a", -1.0], ["b", -2.0], ["ab", -2.5], ["▁", -3.0], ["a", -3.0]]}
}"###;

fn tokenizer(file: &str) -> Result<Tokenizer> {
    Tokenizer::from_bytes(file, "tokenizer.json")
}

fn rows(data: &Dataset, column: &str) -> Vec<Vec<i32>> {
    let values = data.column(column).unwrap();
    let width = values.len() / data.len();
    values.as_slice::<i32>().unwrap().chunks(width).map(<[i32]>::to_vec).collect()
}

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn word_pieces() -> Result<()> {
    let tokenizer = tokenizer(WORD_PIECE)?;
    assert_eq!((tokenizer.len(), tokenizer.is_empty()), (12, false));
    let text = tokenizer.encode("The Pláying, unable")?; // longer than the file's own truncation
    assert_eq!(text.ids, [2, 4, 5, 6, 10, 8, 9, 3]);
    assert_eq!((text.attention_mask, text.type_ids), (vec![1; 8], vec![0; 8]));
    // The longest piece each time, and a word of which a part is in no piece is unknown as a whole.
    assert_eq!(tokenizer.encode("unplayable played")?.ids, [2, 1, 5, 7, 3]);
    let pair = tokenizer.encode_pair("the chess", "playing")?;
    assert_eq!((pair.ids, pair.type_ids), (vec![2, 4, 11, 3, 5, 6, 3], vec![0, 0, 0, 0, 1, 1, 1]));
    assert_eq!(tokenizer.decode(&[2, 4, 5, 6, 10, 11, 3], true)?, "the playing, chess");
    assert_eq!(tokenizer.decode(&[2, 4, 3], false)?, "[CLS] the [SEP]");
    assert_eq!((tokenizer.token(6)?, tokenizer.id("[SEP]"), tokenizer.id("go")), ("##ing".to_owned(), Some(3), None));
    Ok(())
}

#[test]
fn byte_pairs() -> Result<()> {
    let tokenizer = tokenizer(BYTE_PAIRS)?;
    assert_eq!(tokenizer.encode("low lower")?.ids, [7, 9, 8]);
    assert_eq!(tokenizer.encode("olé<|end|>")?.ids, [1, 0, 11, 12, 10]);
    assert_eq!(tokenizer.decode(&[7, 9, 8, 11, 12, 10], true)?, "low loweré");
    let texts = ["low", "low lower"];
    let options = TokenizerOptions::new();
    assert!(message(tokenizer.encode_batch_padded(&texts, &options)).contains("has no padding token"));
    assert!(message(tokenizer.clone().padding_token("<pad>")).contains("there is no token '<pad>'"));
    let padded = tokenizer.padding_token("<|end|>")?.encode_batch_padded(&texts, &options)?;
    assert_eq!(rows(&padded, "input_ids"), [[7, 10, 10], [7, 9, 8]]);
    let padding = r#""padding": {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": null, "pad_id": 10,
        "pad_type_id": 1, "pad_token": "<|end|>"}"#;
    let left = self::tokenizer(&BYTE_PAIRS.replace("\"padding\": null", padding))?;
    let padded = left.encode_batch_padded(&texts, &options)?;
    assert_eq!(rows(&padded, "input_ids"), [[10, 10, 7], [7, 9, 8]]);
    assert_eq!(rows(&padded, "attention_mask"), [[0, 0, 1], [1, 1, 1]]);
    assert_eq!(rows(&padded, "token_type_ids"), [[1, 1, 0], [0, 0, 0]]);
    Ok(())
}

#[test]
fn unigrams() -> Result<()> {
    let tokenizer = tokenizer(UNIGRAM)?;
    assert_eq!(tokenizer.encode("ab b")?.ids, [1, 2, 4, 2]); // ▁a b: -3, and ▁ ab: -5.5
    assert_eq!(tokenizer.encode("bab")?.ids, [4, 2, 3]); // ▁ b ab: -7.5, and ▁ b a b: -10
    assert_eq!(tokenizer.decode(&[1, 2, 4, 2], true)?, "ab b");
    Ok(())
}

#[test]
fn batches_are_padded_and_cut() -> Result<()> {
    let tokenizer = tokenizer(WORD_PIECE)?;
    let texts = ["the chess, the", "playing", ""];
    let batch = tokenizer.encode_batch_padded(&texts, &TokenizerOptions::new())?;
    assert_eq!(rows(&batch, "input_ids"), [[2, 4, 11, 10, 4, 3], [2, 5, 6, 3, 0, 0], [2, 3, 0, 0, 0, 0]]);
    assert_eq!(rows(&batch, "attention_mask"), [[1; 6], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]]);
    assert_eq!(rows(&batch, "token_type_ids"), [[0; 6]; 3]);
    let cut = tokenizer.encode_batch_padded(&texts, &TokenizerOptions::new().max_length(3))?;
    assert_eq!(rows(&cut, "input_ids"), [[2, 4, 3], [2, 5, 3], [2, 3, 0]]);
    let wide = TokenizerOptions::new().max_length(7).pad(TokenPadding::MaxLength);
    assert_eq!(rows(&tokenizer.encode_batch_padded(&texts[1..2], &wide)?, "input_ids"), [[2, 5, 6, 3, 0, 0, 0]]);
    // Three of five tokens stay: of the longer text two, of the other one.
    let pairs = [("the chess the", "playing"), ("playing", "the chess the")];
    let cut = tokenizer.encode_pairs_padded(&pairs, &TokenizerOptions::new().max_length(6))?;
    assert_eq!(rows(&cut, "input_ids"), [[2, 4, 11, 3, 5, 3], [2, 5, 3, 4, 11, 3]]);
    assert_eq!(rows(&cut, "token_type_ids"), [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]);
    let same = TokenizerOptions::new().pad(TokenPadding::Refuse);
    assert_eq!(rows(&tokenizer.encode_batch_padded(&["the", "chess"], &same)?, "input_ids"), [[2, 4, 3], [2, 11, 3]]);

    let error = |options: TokenizerOptions| message(tokenizer.encode_batch_padded(&texts, &options));
    assert_eq!(error(same), "text 1 has 4 tokens and another one 6, and padding is refused");
    assert_eq!(
        error(TokenizerOptions::new().max_length(4).truncate(false)),
        "text 0: it has 6 tokens, the most are 4, and it may not be cut"
    );
    assert_eq!(
        error(TokenizerOptions::new().max_length(2)),
        "2 tokens leave no room for a text beside the special ones, which are 2"
    );
    assert!(error(TokenizerOptions::new().pad(TokenPadding::MaxLength)).contains("need TokenizerOptions::max_length"));
    let none = tokenizer.encode_batch_padded::<&str>(&[], &TokenizerOptions::new());
    assert_eq!(message(none), "there are no texts to make rows of tokens of");
    Ok(())
}

#[test]
fn mistakes_are_named() -> Result<()> {
    let error = |file: &str| message(tokenizer(file));
    assert!(message(Tokenizer::read("/nowhere/tokenizer.json")).starts_with("cannot read /nowhere/tokenizer.json"));
    assert!(error("[PAD]\n[UNK]\nthe\n").starts_with("tokenizer.json: no JSON: "));
    for other in [r#"{"model_type": "bert", "hidden_size": 768}"#, r#"{"the": 0}"#, "[1]", r#"{"model": "t5"}"#] {
        assert!(error(other).contains("no tokenizer.json: it has no object 'model'"), "{other}");
    }
    assert!(
        error(&WORD_PIECE.replace("\"WordPiece\", \"unk", "\"Pieces\", \"unk")).contains("no tokenizer that is known")
    );
    assert!(error(&BYTE_PAIRS.replace("\"Ġ low\"", "\"x y\"")).contains("no tokenizer that is known"));
    let tokenizer = tokenizer(WORD_PIECE)?;
    let expected = |id: i32| format!("{id} is no token's id: the tokenizer has 12 tokens, counted from 0");
    for id in [12, -1, i32::MIN] {
        assert_eq!(message(tokenizer.decode(&[4, id], true)), expected(id));
        assert_eq!(message(tokenizer.token(id)), expected(id));
    }
    Ok(())
}

#[test]
fn mutated_tokenizers() {
    let files = [WORD_PIECE, BYTE_PAIRS, UNIGRAM].map(|file| file.as_bytes().to_vec());
    let make = |random: &mut HostRandom| {
        let mut bytes = files[index(random, files.len())].clone();
        let other = index(random, files.len());
        mutate_text(&mut bytes, &files[other], random);
        bytes
    };
    survive("tokenizers", 1000, make, |bytes, _| {
        let tokenizer = Tokenizer::from_bytes(bytes, "tokenizer.json")?;
        let ids = tokenizer.encode("The playing, low lower ab é")?.ids;
        tokenizer.decode(&ids, true)?;
        tokenizer.encode_pairs_padded(&[("the chess", "low")], &TokenizerOptions::new().max_length(4)).map(|_| ())
    });
}
