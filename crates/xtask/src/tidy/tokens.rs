//! A small lexer for Rust: what the checks of sources need of the language, and no more.

/// A token and the line that it begins on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: Kind<'a>,
    pub line: usize,
}

/// Literals, lifetimes and comments are left out: no check looks into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// An identifier or keyword; a raw identifier without its `r#`.
    Word(&'a str),
    /// `::`
    PathSep,
    /// Any other character of punctuation.
    Mark(char),
    /// A string that stands directly in an attribute, such as the path in `#[path = "a.rs"]`.
    Text(&'a str),
}

impl<'a> Token<'a> {
    /// The identifier, if this token is one.
    pub fn word(&self) -> Option<&'a str> {
        match self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub fn is_word(&self, word: &str) -> bool {
        self.word() == Some(word)
    }

    pub fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// Splits a source file into tokens. Input that does not compile gives some tokens, never a panic.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer {
        source,
        at: 0,
        line: 1,
        tokens: Vec::new(),
    };
    while lexer.step() {}
    lexer.tokens
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Moves over `n_bytes` and counts the lines in them.
    fn skip(&mut self, n_bytes: usize) -> &'a str {
        let end = (self.at + n_bytes).min(self.source.len());
        let skipped = &self.source[self.at..end];
        self.line += skipped.matches('\n').count();
        self.at = end;
        skipped
    }

    fn push(&mut self, kind: Kind<'a>, n_bytes: usize) {
        let line = self.line;
        self.skip(n_bytes);
        self.tokens.push(Token { kind, line });
    }

    /// Reads one token, comment or run of blanks. Returns `false` at the end.
    fn step(&mut self) -> bool {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return false;
        };
        if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if rest.starts_with("//") {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.skip(block_comment(rest));
        } else if let Some((n_hashes, n_prefix)) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(n_hashes));
            let body = &rest[n_prefix..];
            self.skip(n_prefix + body.find(&end).map_or(body.len(), |at| at + end.len()));
        } else if rest.starts_with('"') || rest.starts_with("b\"") || rest.starts_with("c\"") {
            let line = self.line;
            let n_prefix = rest.find('"').unwrap_or(0);
            let text = self.skip(n_prefix + string(&rest[n_prefix..]));
            let kind = Kind::Text(text.trim_matches('"'));
            self.tokens.push(Token { kind, line });
        } else if first == '\'' || rest.starts_with("b'") {
            let n_prefix = usize::from(first == 'b');
            self.skip(n_prefix + quote(&rest[n_prefix..]));
        } else if first.is_ascii_digit() {
            self.skip(number(rest));
        } else if first == '_' || first.is_alphabetic() {
            let n_prefix = if rest.starts_with("r#") { 2 } else { 0 };
            self.skip(n_prefix);
            let rest = self.rest();
            let end = rest
                .find(|c: char| c != '_' && !c.is_alphanumeric())
                .unwrap_or(rest.len());
            self.push(Kind::Word(&rest[..end]), end);
        } else if rest.starts_with("::") {
            self.push(Kind::PathSep, 2);
        } else {
            self.push(Kind::Mark(first), first.len_utf8());
        }
        true
    }
}

/// Length of the block comment that `rest` begins with; such comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Number of `#` and length up to the first `"` of a raw string, if `rest` begins with one.
fn raw_string(rest: &str) -> Option<(usize, usize)> {
    let prefix = ["r", "br", "cr"].iter().find(|prefix| {
        rest.strip_prefix(**prefix)
            .is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let after = &rest[prefix.len()..];
    let n_hashes = after.len() - after.trim_start_matches('#').len();
    Some((n_hashes, prefix.len() + n_hashes + 1))
}

/// Length of the string literal that `rest` begins with, its quotes included.
fn string(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\\' if !is_escaped => is_escaped = true,
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = false,
        }
    }
    rest.len()
}

/// Length of the character literal or lifetime that `rest` begins with.
fn quote(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    let (Some((_, first)), Some((second_at, second))) = (chars.next(), chars.next()) else {
        return rest.len();
    };
    if first == '\\' {
        // The escaped character itself may be a quote.
        let body = second_at + second.len_utf8();
        return rest[body..]
            .find('\'')
            .map_or(rest.len(), |at| body + at + 1);
    }
    if second == '\'' {
        return second_at + 1;
    }
    let name = &rest[1..];
    1 + name
        .find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(name.len())
}

/// Length of the number that `rest` begins with: `1_000u32`, `0xff`, `1.5e-3`, but only `0` of `0..n`.
fn number(rest: &str) -> usize {
    let is_digit = |c: char| c == '_' || c.is_alphanumeric();
    let whole = rest.find(|c: char| !is_digit(c)).unwrap_or(rest.len());
    let after = &rest[whole..];
    let has_fraction =
        after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_digit());
    if !has_fraction {
        return whole;
    }
    let fraction = &after[1..];
    whole
        + 1
        + fraction
            .find(|c: char| !is_digit(c))
            .unwrap_or(fraction.len())
}

/// Index after the group of brackets that opens at `open`, or the end.
pub fn after_group(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Index after the item that begins at `start`: after its `;` or its braces, of a field or variant
/// after its comma. Attributes at the beginning belong to the item.
fn after_item(tokens: &[Token<'_>], start: usize) -> usize {
    const KEYWORDS: &[&str] = &[
        "async",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "let",
        "macro_rules",
        "mod",
        "static",
        "struct",
        "trait",
        "type",
        "union",
        "unsafe",
        "use",
    ];
    let mut index = start;
    let mut is_keyword_item = false;
    while let Some(token) = tokens.get(index) {
        match token.kind {
            Kind::Mark(';') => return index + 1,
            Kind::Mark(',') if !is_keyword_item => return index + 1,
            Kind::Mark('{') => return after_group(tokens, index),
            // The end of what holds the item, as for the last field of a struct.
            Kind::Mark('}' | ')' | ']') => return index,
            Kind::Mark('(' | '[') => index = after_group(tokens, index),
            Kind::Word(word) => {
                is_keyword_item |= KEYWORDS.contains(&word);
                index += 1;
            }
            _ => index += 1,
        }
    }
    tokens.len()
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function<'a> {
    pub name: &'a str,
    /// Line of the word `fn`.
    pub first_line: usize,
    /// Line of the brace that closes the body.
    pub last_line: usize,
}

/// All functions with a body, also those in other functions.
pub fn functions<'a>(tokens: &[Token<'a>]) -> Vec<Function<'a>> {
    let mut functions = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        let [keyword, name] = pair else { continue };
        let (true, Some(name)) = (keyword.is_word("fn"), name.word()) else {
            continue;
        };
        let mut at = index + 2;
        let body = loop {
            match tokens.get(at).map(|token| token.kind) {
                Some(Kind::Mark('{')) => break Some(at),
                Some(Kind::Mark(';')) | None => break None,
                Some(Kind::Mark('(' | '[')) => at = after_group(tokens, at),
                Some(_) => at += 1,
            }
        };
        let last = body.and_then(|body| tokens.get(after_group(tokens, body) - 1));
        if let Some(last) = last {
            functions.push(Function {
                name,
                first_line: keyword.line,
                last_line: last.line,
            });
        }
    }
    functions
}

/// The tokens without items that are only there for tests: `#[test]` and `#[cfg(test)]`.
pub fn without_tests<'a>(all: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::with_capacity(all.len());
    let mut index = 0;
    while index < all.len() {
        let is_attribute =
            all[index].is_mark('#') && all.get(index + 1).is_some_and(|t| t.is_mark('['));
        if !is_attribute {
            kept.push(all[index].clone());
            index += 1;
            continue;
        }
        let end = after_group(all, index + 1);
        if is_test_attribute(&all[index + 2..end]) {
            index = after_item(all, end);
        } else {
            kept.extend_from_slice(&all[index..end]);
            index = end;
        }
    }
    kept
}

/// Whether the inside of `#[…]` restricts an item to tests.
fn is_test_attribute(inside: &[Token<'_>]) -> bool {
    let has = |word| inside.iter().any(|token| token.is_word(word));
    let is_cfg = inside.first().is_some_and(|token| token.is_word("cfg"));
    let is_single = inside.len() <= 2; // `test` and the closing bracket
    has("test") && (is_single || is_cfg && !has("not"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<&str> {
        tokens(source).iter().filter_map(Token::word).collect()
    }

    #[test]
    fn literals_and_comments_hide_their_words() {
        for (source, expected) in [
            ("a // b\nc", vec!["a", "c"]),
            ("a /* b /* c */ d */ e", vec!["a", "e"]),
            ("f(\"b \\\" c\", d)", vec!["f", "d"]),
            ("f(r#\"b \" c\"#, d)", vec!["f", "d"]),
            ("f(b\"x\", br\"y\", c\"z\", d)", vec!["f", "d"]),
            ("'\\'' 'x' b'y' a", vec!["a"]),
            ("fn f<'a>(x: &'a str)", vec!["fn", "f", "x", "str"]),
            ("r#type 0..n 1.5e3 x.0", vec!["type", "n", "x"]),
            ("1_000u32.max(a)", vec!["max", "a"]),
            ("Größe", vec!["Größe"]),
        ] {
            assert_eq!(words(source), expected, "{source}");
        }
    }

    #[test]
    fn lines_are_counted_everywhere() {
        let source = "a\n/* x\n */ \"p\nq\" // r\nb";
        let lines: Vec<_> = tokens(source)
            .iter()
            .filter(|token| token.word().is_some())
            .map(|token| token.line)
            .collect();
        assert_eq!(lines, [1, 5]);
    }

    #[test]
    fn test_items_go() {
        for (source, expected) in [
            (
                "fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {}",
                vec!["fn", "a", "fn", "c"],
            ),
            ("#[cfg(test)] mod tests; fn c() {}", vec!["fn", "c"]),
            (
                "#[test] #[ignore] fn b() { x(); } fn c() {}",
                vec!["fn", "c"],
            ),
            ("#[cfg(all(test, unix))] use b; use c;", vec!["use", "c"]),
            (
                "#[cfg(not(test))] use b;",
                vec!["cfg", "not", "test", "use", "b"],
            ),
            (
                "#[cfg(test)] impl<A, B> S<A, B> { fn b() {} } fn c() {}",
                vec!["fn", "c"],
            ),
            (
                "struct S { #[cfg(test)] a: A, b: B }",
                vec!["struct", "S", "b", "B"],
            ),
            (
                "#[derive(Debug)] struct S;",
                vec!["derive", "Debug", "struct", "S"],
            ),
        ] {
            let all = tokens(source);
            let kept = without_tests(&all);
            let kept: Vec<_> = kept.iter().filter_map(Token::word).collect();
            assert_eq!(kept, expected, "{source}");
        }
    }

    #[test]
    fn functions_have_a_first_and_a_last_line() {
        let source = "fn a<T: F<[u8; 2]>>(\n x: T,\n) {\n fn b() {}\n}\ntrait C { fn c(&self); }";
        let found: Vec<_> = functions(&tokens(source))
            .iter()
            .map(|f| (f.name, f.first_line, f.last_line))
            .collect();
        assert_eq!(found, [("a", 1, 5), ("b", 4, 4)]);
    }
}
