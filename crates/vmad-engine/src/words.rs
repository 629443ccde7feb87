//! What a reader sees of the text that the model writes.

/// Drops the sentence that carries the mask.
///
/// Answers begin with `It is [SEG].`, which says something to the mask decoder and nothing to a
/// reader. The words before `[SEG]` are held back until it is known whether it follows them; the
/// full stop after it goes with them. A `[SEG]` in the midst of a sentence leaves no trace, and the
/// sentence keeps its full stop.
#[derive(Debug)]
pub(crate) struct MarkerFilter {
    prefix: String,
    held: String,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    /// Only words that may turn out to be the marker's have come.
    Start,
    /// The marker sentence awaits its full stop.
    Marked,
    /// The full stop has come, the white space after it has not.
    Closed,
    /// The answer itself.
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

    /// What may be shown once `text` has come.
    pub fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        self.take()
    }

    /// `[SEG]` has come.
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

    /// What is left at the end. A prefix that nothing followed says nothing.
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

/// Ends a text before the first stop string, across the borders of its pieces.
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

    /// What may be shown once `text` has come, and whether a stop string has been met.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop))
            .min();
        if let Some(at) = found {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        // The longest end of the text that a stop string may begin with stays back.
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

    /// What is left at the end.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of text; `[SEG]` stands for the token.
    fn shown(pieces: &[&str]) -> String {
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
    fn marker_sentences_are_not_shown() {
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
            assert_eq!(shown(pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn stop_strings_across_pieces() {
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
