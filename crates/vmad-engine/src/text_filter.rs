//! Filters between the text that the model writes and the text that the caller receives.

/// Removes the sentence that carries the mask.
///
/// Answers begin with `It is [SEG].`, which addresses the mask decoder. The filter holds the words
/// before `[SEG]` back until the next token decides whether `[SEG]` follows, and removes the full
/// stop after it as well. A `[SEG]` within another sentence is removed without its full stop.
#[derive(Debug)]
pub(crate) struct MarkerFilter {
    prefix: String,
    held: String,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    /// All text so far may be the start of the marker sentence.
    Start,
    /// After `[SEG]`, before the full stop.
    Marked,
    /// After the full stop, before the next word.
    Closed,
    /// Within the answer proper; everything passes.
    Answer,
}

impl MarkerFilter {
    /// A filter for answers that begin with `prefix` and `[SEG]`.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.trim().to_owned(),
            held: String::new(),
            state: State::Start,
        }
    }

    /// Adds text and returns what passes.
    pub fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        self.take()
    }

    /// Adds a `[SEG]` and returns what passes.
    pub fn mark(&mut self) -> String {
        if self.state == State::Start && self.is_prefix() {
            self.held.clear();
            self.state = State::Marked;
            return String::new();
        }
        if self.state == State::Start {
            self.state = State::Answer;
        }
        self.take()
    }

    /// Ends the text and returns the rest. A prefix without a `[SEG]` after it is removed.
    pub fn finish(&mut self) -> String {
        if self.state == State::Start && self.is_prefix() {
            self.held.clear();
        }
        self.state = State::Answer;
        self.take()
    }

    fn is_prefix(&self) -> bool {
        let held = self.held.trim();
        held.is_empty() || held == self.prefix
    }

    fn take(&mut self) -> String {
        if self.state == State::Start {
            let held = self.held.trim_start();
            let may_be_marker = self.prefix.starts_with(held) || held.trim_end() == self.prefix;
            if may_be_marker {
                return String::new();
            }
            self.state = State::Answer;
        }
        if self.state == State::Marked {
            let rest = self.held.trim_start();
            if rest.is_empty() {
                return String::new();
            }
            self.held = rest.strip_prefix('.').unwrap_or(rest).to_owned();
            self.state = State::Closed;
        }
        if self.state == State::Closed {
            self.held = self.held.trim_start().to_owned();
            if self.held.is_empty() {
                return String::new();
            }
            self.state = State::Answer;
        }
        std::mem::take(&mut self.held)
    }
}

/// Ends a text before the first stop string, also where one spans several pushes.
#[derive(Debug)]
pub(crate) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

impl StopFilter {
    /// A filter for these strings; empty ones are ignored.
    pub fn new(stops: &[String]) -> Self {
        Self {
            stops: stops.iter().filter(|s| !s.is_empty()).cloned().collect(),
            held: String::new(),
        }
    }

    /// Adds text; returns what passes, and whether a stop string is reached.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let first_stop = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop))
            .min();
        if let Some(at) = first_stop {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        // Hold back the longest suffix that is a prefix of a stop string.
        let keep_from = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| {
                self.stops
                    .iter()
                    .any(|stop| stop.starts_with(&self.held[*at..]))
            })
            .unwrap_or(self.held.len());
        let rest = self.held.split_off(keep_from);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// Ends the text and returns the rest.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The filtered text; the piece `[SEG]` stands for the token.
    fn filtered(pieces: &[&str]) -> String {
        let mut filter = MarkerFilter::new("It is");
        let mut text = String::new();
        for piece in pieces {
            match *piece {
                "[SEG]" => text += &filter.mark(),
                piece => text += &filter.push(piece),
            }
        }
        text + &filter.finish()
    }

    #[test]
    fn marker_sentences_are_removed() {
        for (pieces, expected) in [
            (&["It is", "[SEG]", ".", " A", " dent."][..], "A dent."),
            (&["It", " is", "[SEG]", "", ". A dent."], "A dent."),
            (&["[SEG]", "A dent."], "A dent."),
            (&["It is", "[SEG]", "."], ""),
            (&["It is", " a dent."], "It is a dent."),
            (&["It", "em 4 is bent."], "Item 4 is bent."),
            (&["It is"], ""),
            (&["A dent", "[SEG]", "."], "A dent."),
            (&["It is ", "[SEG]", " ", ".", " ", "A dent."], "A dent."),
            (&[], ""),
        ] {
            assert_eq!(filtered(pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn stop_strings_end_the_text_across_pushes() {
        for (pieces, stops, expected, stopped) in [
            (&["ab", "cd"][..], &["bc"][..], "a", true),
            (&["ab", "bd"], &["bc"], "abbd", false),
            (&["a", "b", "c"], &["abc", "b"], "a", true),
            (&["grün", "er"], &["ner"], "grü", true),
            (&["ab"], &[""], "ab", false),
            (&["ab"], &["bcd"], "ab", false),
            (&["aab"], &["ab"], "a", true),
        ] {
            let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
            let mut filter = StopFilter::new(&stops);
            let mut text = String::new();
            let mut met = false;
            for piece in pieces {
                let (show, stop) = filter.push(piece);
                text += &show;
                met |= stop;
                if stop {
                    break;
                }
            }
            text += &filter.finish();
            assert_eq!(
                (text.as_str(), met),
                (expected, stopped),
                "{pieces:?} {stops:?}"
            );
        }
    }
}
