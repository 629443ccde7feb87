//! The small language of the name tables.
//!
//! In a pattern `#` captures a number and `{a,b>c}` captures one of the alternatives, as itself or
//! as what stands behind `>`. In a target `$` is the next capture and `@` the whole name.

/// One row of a table: a pattern and the name that it becomes.
pub(crate) type Rule = (&'static str, &'static str);

/// The target of the first rule whose pattern is the whole of `name`.
pub(crate) fn apply(rules: &[Rule], name: &str) -> Option<String> {
    rules.iter().find_map(|(pattern, target)| {
        let mut captures = Vec::new();
        matches(pattern, name, &mut captures).then(|| fill(target, name, &captures))
    })
}

fn matches<'a>(pattern: &'a str, name: &'a str, captures: &mut Vec<&'a str>) -> bool {
    let Some(first) = pattern.chars().next() else {
        return name.is_empty();
    };
    match first {
        '#' => {
            let n_digits = name.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = name.split_at(n_digits);
            if number.is_empty() {
                return false;
            }
            captures.push(number);
            matches(&pattern[1..], rest, captures)
        }
        '{' => {
            let Some((alternatives, after)) = pattern[1..].split_once('}') else {
                return false;
            };
            let n_captures = captures.len();
            alternatives.split(',').any(|alternative| {
                let (from, to) = alternative
                    .split_once('>')
                    .unwrap_or((alternative, alternative));
                captures.truncate(n_captures);
                captures.push(to);
                name.strip_prefix(from)
                    .is_some_and(|rest| matches(after, rest, captures))
            })
        }
        _ => name
            .strip_prefix(first)
            .is_some_and(|rest| matches(&pattern[first.len_utf8()..], rest, captures)),
    }
}

fn fill(target: &str, name: &str, captures: &[&str]) -> String {
    let mut captures = captures.iter();
    let mut filled = String::with_capacity(target.len() + name.len());
    for c in target.chars() {
        match c {
            '$' => filled.extend(captures.next().copied()),
            '@' => filled.push_str(name),
            _ => filled.push(c),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let rules: &[Rule] = &[
            ("a.#.b{1,2}.{weight,bias}", "x.$.$.$"),
            ("neck.{conv1>0,conv>1}.weight", "n.$"),
            ("same.#", "p.@"),
        ];
        for (name, expected) in [
            ("a.12.b2.bias", Some("x.12.2.bias")),
            ("a.12.b3.bias", None),
            ("a..b1.bias", None),
            ("a.1.b1.bias.more", None),
            ("neck.conv1.weight", Some("n.0")),
            ("neck.conv.weight", Some("n.1")),
            ("same.7", Some("p.same.7")),
            ("", None),
        ] {
            assert_eq!(apply(rules, name).as_deref(), expected, "{name}");
        }
    }
}
