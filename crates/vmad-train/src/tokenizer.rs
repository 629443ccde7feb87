//! Learns a LLaMA-style tokenizer from text.
//!
//! Byte-pair encoding over words that begin with `▁`, with single digits, and with a token for
//! every byte, so that any text can be written. The library's own trainer is not used: it counts
//! in hash order on several threads, and the same corpus must give the same bytes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

use serde_json::{Value, json};

/// Why no tokenizer could be learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// The vocabulary has no room for what every tokenizer needs.
    #[error(
        "a vocabulary of {requested} tokens is too small: special tokens, bytes and the {n_characters} \
         characters of the corpus take {needed}"
    )]
    VocabularyTooSmall {
        /// The requested size.
        requested: usize,
        /// Smallest size for this corpus.
        needed: usize,
        /// Number of different characters in the corpus.
        n_characters: usize,
    },
    /// The file could not be written as JSON.
    #[error("writing the tokenizer file failed: {message}")]
    Write {
        /// The writer's message.
        message: String,
    },
}

/// First ids, in this order.
const BASE: [&str; 3] = ["<unk>", "<s>", "</s>"];
/// Last ids, in this order.
const ADDED: [&str; 3] = ["[SEG]", "<im_start>", "<im_end>"];
/// Longest token; longer ones are whole phrases of the corpus.
const MAX_TOKEN_CHARS: usize = 16;

type Pair = (u32, u32);

/// Trains on `corpus`, one text per item, and returns the bytes of `tokenizer.json`.
///
/// The vocabulary has at most `vocab_size` tokens: `<unk>` 0, `<s>` 1, `</s>` 2, the 256 bytes, the
/// characters, the merges, then `[SEG]`, `<im_start>`, `<im_end>`. It has fewer when the corpus has
/// nothing more to merge. Equal corpora give equal bytes, whatever the order of their texts.
pub fn train_tokenizer(
    corpus: impl Iterator<Item = String>,
    vocab_size: usize,
) -> Result<Vec<u8>, TokenizerError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for text in corpus {
        for word in words(&text) {
            *counts.entry(word).or_default() += 1;
        }
    }
    let characters: BTreeSet<char> = counts
        .keys()
        .flat_map(|word| word.chars())
        .chain(['▁'])
        .collect();

    let mut vocab: Vec<String> = BASE.map(str::to_owned).to_vec();
    vocab.extend((0..=255u8).map(|byte| format!("<0x{byte:02X}>")));
    vocab.extend(characters.iter().map(char::to_string));
    let needed = vocab.len() + ADDED.len();
    if vocab_size < needed {
        return Err(TokenizerError::VocabularyTooSmall {
            requested: vocab_size,
            needed,
            n_characters: characters.len(),
        });
    }
    let merges = Merger::new(&counts, &vocab).run(&mut vocab, vocab_size - ADDED.len());
    serde_json::to_vec(&document(&vocab, &merges)).map_err(|error| TokenizerError::Write {
        message: error.to_string(),
    })
}

/// Units within which tokens may grow: words with the space before them, runs of punctuation,
/// single digits, white space other than the space.
fn words(text: &str) -> Vec<String> {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Letter,
        Digit,
        Space,
        Other,
    }
    let kind = |c: char| match c {
        c if c.is_alphabetic() || c == '\'' => Kind::Letter,
        c if c.is_numeric() => Kind::Digit,
        c if c == '▁' || c.is_whitespace() => Kind::Space,
        _ => Kind::Other,
    };
    let mut words: Vec<String> = Vec::new();
    let mut last = None;
    for c in std::iter::once(' ').chain(text.chars()) {
        let now = kind(c);
        let continues = match last {
            // A space begins the word or the punctuation after it.
            Some(Kind::Space) => now == Kind::Letter || now == Kind::Other,
            Some(last) => last == now && now != Kind::Digit,
            None => false,
        };
        let c = if c == ' ' { '▁' } else { c };
        match words.last_mut() {
            Some(word) if continues => word.push(c),
            _ => words.push(c.to_string()),
        }
        last = Some(if now == Kind::Space && c != '▁' {
            // A line break is a word of its own.
            Kind::Digit
        } else {
            now
        });
    }
    words
}

/// The words of the corpus as tokens, and how often each pair of neighbours occurs.
struct Merger {
    words: Vec<(Vec<u32>, u64)>,
    pairs: HashMap<Pair, u64>,
    /// Words in which a pair occurs, or once occurred.
    places: HashMap<Pair, BTreeSet<usize>>,
    /// Candidates by count, then by lowest ids; counts may be out of date.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Merger {
    fn new(counts: &BTreeMap<String, u64>, vocab: &[String]) -> Self {
        let ids: HashMap<&str, u32> = (0u32..)
            .zip(vocab)
            .map(|(id, token)| (token.as_str(), id))
            .collect();
        let words = counts
            .iter()
            .map(|(word, &count)| {
                let mut buffer = [0u8; 4];
                let tokens = word
                    .chars()
                    .filter_map(|c| ids.get(&*c.encode_utf8(&mut buffer)).copied())
                    .collect();
                (tokens, count)
            })
            .collect();
        let mut merger = Self {
            words,
            pairs: HashMap::new(),
            places: HashMap::new(),
            queue: BinaryHeap::new(),
        };
        for place in 0..merger.words.len() {
            let (tokens, count) = &merger.words[place];
            for pair in neighbours(tokens) {
                *merger.pairs.entry(pair).or_default() += count;
                merger.places.entry(pair).or_default().insert(place);
            }
        }
        let candidates = merger.pairs.iter().map(|(&pair, &n)| (n, Reverse(pair)));
        merger.queue = candidates.collect();
        merger
    }

    /// Merges the commonest pair until `vocab` has `size` tokens or no pair occurs twice.
    fn run(mut self, vocab: &mut Vec<String>, size: usize) -> Vec<Pair> {
        let mut merges = Vec::new();
        let mut known: HashSet<String> = vocab.iter().cloned().collect();
        while vocab.len() < size {
            let Some((count, Reverse(pair))) = self.queue.pop() else {
                break;
            };
            let current = self.pairs.get(&pair).copied().unwrap_or(0);
            if current != count {
                // A pair whose count has grown was queued again by `merge`.
                if current < count && current > 1 {
                    self.queue.push((current, Reverse(pair)));
                }
                continue;
            }
            if count < 2 {
                break;
            }
            let token = format!("{}{}", vocab[pair.0 as usize], vocab[pair.1 as usize]);
            // A second way to spell a known token would need a second id for it.
            if token.chars().count() > MAX_TOKEN_CHARS || !known.insert(token.clone()) {
                self.pairs.remove(&pair);
                continue;
            }
            let id = vocab.len() as u32;
            vocab.push(token);
            merges.push(pair);
            self.merge(pair, id);
        }
        merges
    }

    fn merge(&mut self, pair: Pair, id: u32) {
        let mut grown: BTreeSet<Pair> = BTreeSet::new();
        for place in self.places.remove(&pair).unwrap_or_default() {
            let Some((tokens, count)) = self.words.get_mut(place) else {
                continue;
            };
            for old in neighbours(tokens) {
                if let Some(total) = self.pairs.get_mut(&old) {
                    *total = total.saturating_sub(*count);
                }
            }
            *tokens = merged(tokens, pair, id);
            for new in neighbours(tokens) {
                let involves_new = new.0 == id || new.1 == id;
                match self.pairs.get_mut(&new) {
                    Some(total) => *total += *count,
                    None if involves_new => {
                        self.pairs.insert(new, *count);
                    }
                    // Refused before: too long, or spelled in another way.
                    None => continue,
                }
                if involves_new {
                    self.places.entry(new).or_default().insert(place);
                    grown.insert(new);
                }
            }
        }
        self.pairs.remove(&pair);
        for new in grown {
            let count = self.pairs.get(&new).copied().unwrap_or(0);
            self.queue.push((count, Reverse(new)));
        }
    }
}

fn neighbours(tokens: &[u32]) -> impl Iterator<Item = Pair> {
    tokens.iter().copied().zip(tokens.iter().copied().skip(1))
}

fn merged(tokens: &[u32], pair: Pair, id: u32) -> Vec<u32> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some((&first, others)) = rest.split_first() {
        if first == pair.0 && others.first() == Some(&pair.1) {
            out.push(id);
            rest = &others[1..];
        } else {
            out.push(first);
            rest = others;
        }
    }
    out
}

/// The file as LLaMA's `tokenizer.json` has it.
fn document(vocab: &[String], merges: &[Pair]) -> Value {
    let added = |id: usize, content: &str, special: bool| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": special
        })
    };
    let added_tokens: Vec<Value> = BASE
        .iter()
        .enumerate()
        .map(|(id, token)| added(id, token, true))
        .chain(
            (vocab.len()..)
                .zip(ADDED)
                .map(|(id, t)| added(id, t, false)),
        )
        .collect();
    let ids: serde_json::Map<String, Value> = vocab
        .iter()
        .enumerate()
        .map(|(id, token)| (token.clone(), json!(id)))
        .collect();
    let pairs: Vec<[&str; 2]> = merges
        .iter()
        .map(|&(left, right)| [left, right].map(|id| vocab[id as usize].as_str()))
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }
        ] },
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" },
            { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 }
        ] },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>",
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": ids, "merges": pairs
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmad_prep::{Specials, Tokenizer};

    type Failure = Box<dyn std::error::Error>;

    fn corpus() -> Vec<String> {
        let objects = ["capsule", "metal nut", "toy brick", "wood board"];
        let defects = ["scratch", "dent", "crack", "stain of 12 mm"];
        let mut texts = Vec::new();
        for object in objects {
            for defect in defects {
                texts.push(format!(
                    "The {object} has a {defect}; it isn't normal.\nReplace it."
                ));
            }
        }
        texts
    }

    #[test]
    fn trained_file_loads_and_round_trips() -> Result<(), Failure> {
        let file = train_tokenizer(corpus().into_iter(), 360)?;
        let tokenizer = Tokenizer::from_json(&file)?;
        let ids = tokenizer.ids();
        assert_eq!((ids.unk, ids.bos, ids.eos), (0, 1, 2));
        let last = tokenizer.vocab_size() as i32 - 1;
        assert_eq!(
            (ids.seg, ids.im_start, ids.im_end),
            (last - 2, last - 1, last)
        );
        assert_eq!(tokenizer.vocab_size(), 360);
        for text in [
            "The capsule has a scratch.",
            "unseen: Größe 🔩 77 %",
            "two  spaces\n\nand breaks ",
        ] {
            let ids = tokenizer.encode(text, false)?;
            assert_eq!(tokenizer.decode(&ids, Specials::Keep), text);
        }
        let learned = tokenizer.encode("The capsule has a scratch.", false)?;
        assert!(learned.len() < 12, "{learned:?}");
        Ok(())
    }

    #[test]
    fn same_corpus_same_bytes() -> Result<(), Failure> {
        let forwards = train_tokenizer(corpus().into_iter(), 420)?;
        let backwards = train_tokenizer(corpus().into_iter().rev(), 420)?;
        assert!(
            forwards == backwards,
            "the order of the texts changed the file"
        );
        Ok(())
    }

    #[test]
    fn small_corpora_and_vocabularies() -> Result<(), Failure> {
        assert_eq!(
            train_tokenizer(["ab".to_owned()].into_iter(), 264),
            Err(TokenizerError::VocabularyTooSmall {
                requested: 264,
                needed: 265,
                n_characters: 3
            })
        );
        let file = train_tokenizer(std::iter::empty(), 5000)?;
        assert_eq!(Tokenizer::from_json(&file)?.vocab_size(), 263);
        Ok(())
    }

    #[test]
    fn words_keep_their_space_and_digits_stand_alone() {
        for (text, expected) in [
            (
                "It is 35 mm.",
                vec!["▁It", "▁is", "▁", "3", "5", "▁mm", "."],
            ),
            ("a  b", vec!["▁a", "▁", "▁b"]),
            ("x\ny", vec!["▁x", "\n", "y"]),
            ("(no)", vec!["▁(", "no", ")"]),
            ("", vec!["▁"]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }
}
