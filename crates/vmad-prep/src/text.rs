//! Text ↔ token ids, as the slow SentencePiece tokenizer of LISA's transformers 4.31 makes them.
//!
//! The fast tokenizer of the same files differs next to added tokens: it may put a lone `▁` before
//! `[SEG]`. The mask embedding is the state *before* `[SEG]`, so this would change the mask. Here
//! the text is therefore split at added tokens first, stripped beside the plain ones, and every
//! remaining piece goes through the BPE model alone with its own `▁` in front.

use tokenizers::Model;
use tokenizers::models::ModelWrapper;

use vmad_package::IMAGE_PLACEHOLDER;

use crate::PrepError;

/// Placeholder id in `input_ids` that the visual tokens replace.
pub const IMAGE_SENTINEL: i32 = -200;
/// Longest question, in characters.
pub const MAX_QUESTION_CHARS: usize = 4000;
/// Longest object name, in characters.
pub const MAX_OBJECT_CHARS: usize = 200;
/// Longest description of the normal scene, in characters.
pub const MAX_NORMAL_CHARS: usize = 2000;

/// Ids of the special tokens, read from the tokenizer file by their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialIds {
    /// `<s>`
    pub bos: i32,
    /// `</s>`
    pub eos: i32,
    /// `<unk>`
    pub unk: i32,
    /// `[SEG]`
    pub seg: i32,
    /// `<im_start>`
    pub im_start: i32,
    /// `<im_end>`
    pub im_end: i32,
}

/// Whether decoding writes special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Specials {
    /// Leave them out.
    #[default]
    Skip,
    /// Write their text, e.g. `It is [SEG].`
    Keep,
}

/// A token that is split off the text before anything else.
struct Added {
    text: String,
    id: i32,
    /// Whether white space beside it vanishes. True for tokens added as plain strings (`[SEG]`,
    /// `<im_start>`, `<im_end>`), false for the three of the base vocabulary.
    strips: bool,
}

/// A LLaMA-style tokenizer: BPE over `▁`-marked words, byte fallback, added tokens.
pub struct Tokenizer {
    model: ModelWrapper,
    /// Longest text first, so that the first match is the longest.
    added: Vec<Added>,
    ids: SpecialIds,
    vocab_size: usize,
}

const BASE_SPECIALS: [&str; 3] = ["<s>", "</s>", "<unk>"];
const PLAIN_SPECIALS: [&str; 3] = ["[SEG]", "<im_start>", "<im_end>"];

/// White space as Python's `str.strip` sees it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// Only its model and its added tokens are used; normaliser and pre-tokeniser are replaced by
    /// LLaMA's rule, because files for the same checkpoint differ in them.
    pub fn from_json(json: &[u8]) -> Result<Self, PrepError> {
        let file =
            tokenizers::Tokenizer::from_bytes(json).map_err(|error| PrepError::TokenizerFile {
                message: error.to_string(),
            })?;
        let id_of = |token: &'static str| {
            file.token_to_id(token)
                .and_then(|id| i32::try_from(id).ok())
                .ok_or(PrepError::MissingToken { token })
        };
        let ids = SpecialIds {
            bos: id_of("<s>")?,
            eos: id_of("</s>")?,
            unk: id_of("<unk>")?,
            seg: id_of("[SEG]")?,
            im_start: id_of("<im_start>")?,
            im_end: id_of("<im_end>")?,
        };
        let mut added = Vec::new();
        for token in BASE_SPECIALS.into_iter().chain(PLAIN_SPECIALS) {
            added.push(Added {
                text: token.to_owned(),
                id: id_of(token)?,
                strips: PLAIN_SPECIALS.contains(&token),
            });
        }
        let mut vocab_size = file.get_vocab_size(true);
        for (id, token) in file.get_added_tokens_decoder() {
            vocab_size = vocab_size.max(id as usize + 1);
            let known = added.iter().any(|known| known.text == token.content);
            if let (false, false, Ok(id)) = (known, token.content.is_empty(), i32::try_from(id)) {
                added.push(Added {
                    text: token.content,
                    id,
                    strips: true,
                });
            }
        }
        added.sort_by(|a, b| (b.text.len(), &a.text).cmp(&(a.text.len(), &b.text)));
        Ok(Self {
            model: file.get_model().clone(),
            added,
            ids,
            vocab_size,
        })
    }

    /// Ids of the special tokens.
    pub fn ids(&self) -> SpecialIds {
        self.ids
    }

    /// Number of rows that the embedding table must have.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Token ids of `text`, which may contain special tokens.
    pub fn encode(&self, text: &str, add_bos: bool) -> Result<Vec<i32>, PrepError> {
        let mut ids = Vec::new();
        if add_bos {
            ids.push(self.ids.bos);
        }
        // Whether the token before the rest strips the white space after it.
        let mut strip_start = false;
        let mut rest = text;
        loop {
            let next = self.next_added(rest);
            let (mut piece, after) = match next {
                Some((at, token)) => (&rest[..at], Some((token, &rest[at + token.text.len()..]))),
                None => (rest, None),
            };
            if strip_start {
                piece = piece.trim_start_matches(is_space);
            }
            if after.is_some_and(|(token, _)| token.strips) {
                piece = piece.trim_end_matches(is_space);
            }
            self.encode_piece(piece, &mut ids)?;
            let Some((token, behind)) = after else {
                return Ok(ids);
            };
            ids.push(token.id);
            strip_start = token.strips;
            rest = behind;
        }
    }

    /// Token ids of a prompt with one `<image>`: both sides are encoded apart and joined by
    /// [`IMAGE_SENTINEL`]; `<s>` stands at the very start only.
    pub fn encode_with_image(&self, prompt: &str) -> Result<Vec<i32>, PrepError> {
        let sides: Vec<&str> = prompt.split(IMAGE_PLACEHOLDER).collect();
        let [before, after] = sides[..] else {
            return Err(PrepError::ImageSlots {
                found: sides.len() - 1,
            });
        };
        let mut ids = self.encode(before, true)?;
        ids.push(IMAGE_SENTINEL);
        ids.extend(self.encode(after, false)?);
        Ok(ids)
    }

    /// Text of `ids`. The sentinel and ids outside the vocabulary give no text.
    pub fn decode(&self, ids: &[i32], specials: Specials) -> String {
        let mut decoder = StreamDecoder::new(specials);
        let mut text = String::new();
        for &id in ids {
            text.push_str(&decoder.push(self, id));
        }
        text.push_str(&decoder.finish());
        text
    }

    /// Sanitises text from outside: whatever would become a special token or an image slot is broken up
    /// by a space (`[SEG]` → `[ SEG]`). White space at both ends is dropped.
    pub fn sanitize_user_text(&self, text: &str) -> String {
        let mut rest = text.trim_matches(is_space);
        let mut clean = String::with_capacity(rest.len());
        loop {
            let image = rest.find(IMAGE_PLACEHOLDER);
            let added = self.next_added(rest).map(|(at, _)| at);
            let Some(at) = image.into_iter().chain(added).min() else {
                clean.push_str(rest);
                return clean;
            };
            let first = rest[at..].chars().next().map_or(0, char::len_utf8);
            clean.push_str(&rest[..at + first]);
            clean.push(' ');
            rest = &rest[at + first..];
        }
    }

    /// A free question, sanitised; refuses an empty one and one above [`MAX_QUESTION_CHARS`].
    pub fn question(&self, text: &str) -> Result<String, PrepError> {
        if text.chars().count() > MAX_QUESTION_CHARS {
            return Err(PrepError::QuestionTooLong {
                bytes: text.len(),
                limit: MAX_QUESTION_CHARS,
            });
        }
        let clean = self.sanitize_user_text(text);
        if clean.is_empty() {
            return Err(PrepError::EmptyQuestion);
        }
        Ok(clean)
    }

    /// An object's name, sanitised and on one line; `None` when it is blank.
    pub fn object_name(&self, text: &str) -> Result<Option<String>, PrepError> {
        self.field("object name", text, MAX_OBJECT_CHARS)
    }

    /// A description of the normal scene, sanitised and on one line; `None` when it is blank.
    pub fn normal_description(&self, text: &str) -> Result<Option<String>, PrepError> {
        self.field("description of what is normal", text, MAX_NORMAL_CHARS)
    }

    fn field(
        &self,
        field: &'static str,
        text: &str,
        limit: usize,
    ) -> Result<Option<String>, PrepError> {
        if text.chars().count() > limit {
            return Err(PrepError::FieldTooLong {
                field,
                bytes: text.len(),
                limit,
            });
        }
        let words: Vec<&str> = text
            .split(is_space)
            .filter(|word| !word.is_empty())
            .collect();
        let clean = self.sanitize_user_text(&words.join(" "));
        Ok(Some(clean).filter(|clean| !clean.is_empty()))
    }

    /// First added token in `text`; the longest of those that start there.
    fn next_added(&self, text: &str) -> Option<(usize, &Added)> {
        self.added
            .iter()
            .filter_map(|token| text.find(&token.text).map(|at| (at, token)))
            // `added` is sorted by length and `min_by_key` keeps the first of equals.
            .min_by_key(|&(at, _)| at)
    }

    fn encode_piece(&self, piece: &str, ids: &mut Vec<i32>) -> Result<(), PrepError> {
        if piece.is_empty() {
            return Ok(());
        }
        let marked = format!("▁{}", piece.replace(' ', "▁"));
        let refused = |error: tokenizers::Error| PrepError::Tokenize {
            message: error.to_string(),
        };
        for token in self.model.tokenize(&marked).map_err(refused)? {
            ids.push(i32::try_from(token.id).map_err(|_| PrepError::Tokenize {
                message: format!("token id {} is out of range", token.id),
            })?);
        }
        Ok(())
    }

    fn added_by_id(&self, id: i32) -> Option<&Added> {
        self.added.iter().find(|token| token.id == id)
    }
}

/// Turns ids into text as they arrive.
///
/// Characters that are spelled in byte tokens are held back until they are complete. The `▁` that
/// every piece of text begins with is not shown; after a special token it becomes a space again
/// only before a word, so that `It is [SEG].` comes back as it was.
#[derive(Debug, Clone)]
pub struct StreamDecoder {
    specials: Specials,
    /// Bytes of a character that is not complete yet.
    pending: Vec<u8>,
    /// Whether any text but special tokens has come.
    began: bool,
    /// Whether the last token was special.
    after_special: bool,
    /// A lone `▁` after a special token; whether it becomes a space depends on the next character.
    held_space: bool,
    /// Whether the text shown so far ends in white space, or is empty.
    ends_in_space: bool,
}

impl StreamDecoder {
    /// A decoder at the start of a text.
    pub fn new(specials: Specials) -> Self {
        Self {
            specials,
            pending: Vec::new(),
            began: false,
            after_special: false,
            held_space: false,
            ends_in_space: true,
        }
    }

    /// The text that `id` completes; often a word, sometimes nothing.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: i32) -> String {
        if let Some(token) = tokenizer.added_by_id(id) {
            let broken = self.take_pending();
            let mut text = self.show(broken);
            if self.specials == Specials::Keep {
                if token.strips && !self.ends_in_space {
                    text.push(' ');
                }
                text.push_str(&token.text);
                self.ends_in_space = false;
            }
            self.after_special = true;
            self.held_space = false;
            return text;
        }
        let token = u32::try_from(id)
            .ok()
            .and_then(|id| tokenizer.model.id_to_token(id))
            .unwrap_or_default();
        let text = match byte_token(&token) {
            Some(byte) => {
                self.pending.push(byte);
                self.take_complete()
            }
            None => self.take_pending() + &token.replace('▁', " "),
        };
        self.show(text)
    }

    /// Resolves the space at the start of `text`.
    fn show(&mut self, mut text: String) -> String {
        if text.is_empty() {
            return text;
        }
        if std::mem::take(&mut self.held_space) {
            text.insert(0, ' ');
        }
        if let Some(unmarked) = text.strip_prefix(' ') {
            let shows_space = if self.after_special {
                let Some(next) = unmarked.chars().next() else {
                    self.held_space = true;
                    return String::new();
                };
                next.is_alphanumeric() && !self.ends_in_space
            } else {
                self.began
            };
            if !shows_space {
                text.remove(0);
            }
        }
        self.began = true;
        self.after_special = false;
        if let Some(last) = text.chars().next_back() {
            self.ends_in_space = last.is_whitespace();
        }
        text
    }

    /// What is left at the end: U+FFFD for each byte of a character that never became complete.
    pub fn finish(&mut self) -> String {
        let broken = self.take_pending();
        self.show(broken)
    }

    fn take_pending(&mut self) -> String {
        let complete = self.take_complete();
        let broken = std::mem::take(&mut self.pending).len();
        complete + &"\u{fffd}".repeat(broken)
    }

    /// Takes complete characters off the front of `pending`, U+FFFD for each impossible byte.
    fn take_complete(&mut self) -> String {
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let valid: Vec<u8> = self.pending.drain(..error.valid_up_to()).collect();
                    text.push_str(&String::from_utf8_lossy(&valid));
                    if error.error_len().is_none() {
                        return text;
                    }
                    self.pending.drain(..1);
                    text.push('\u{fffd}');
                }
            }
        }
    }
}

/// The byte that `<0x0A>` stands for.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2)
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}
