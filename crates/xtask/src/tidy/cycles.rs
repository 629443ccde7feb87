//! Import cycles between the files of a crate.
//!
//! An edge leads from a file to the file that defines what it uses: re-exports are followed, so a
//! `mod.rs` that only declares and hands on is no part of a cycle. Code for tests does not count.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::modules::{Edge, Modules};

/// Edges that a finding lists at most.
const MAX_LISTED_EDGES: usize = 60;

/// Looks at the sources of every crate.
pub fn check(root: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut crates: BTreeMap<&str, Vec<(PathBuf, String)>> = BTreeMap::new();
    for file in files {
        let Some((krate, inside)) = crate_of(file) else {
            continue;
        };
        if inside.starts_with("src/") && inside.ends_with(".rs") {
            let text = std::fs::read_to_string(root.join(file)).with_context(|| file.clone())?;
            crates
                .entry(krate)
                .or_default()
                .push((PathBuf::from(file), text));
        }
    }
    let mut findings = Vec::new();
    for (krate, sources) in &crates {
        for entry in ["lib.rs", "main.rs"] {
            let entry = Path::new("crates").join(krate).join("src").join(entry);
            findings.extend(cycles(&entry, sources));
        }
    }
    Ok(findings)
}

/// Name of the crate that a file belongs to, and the file's path inside of it.
fn crate_of(file: &str) -> Option<(&str, &str)> {
    file.strip_prefix("crates/")?.split_once('/')
}

/// One finding for each group of files that import each other.
fn cycles(entry: &Path, sources: &[(PathBuf, String)]) -> Vec<String> {
    let edges = Modules::read(entry, sources).edges(sources.len());
    let groups = groups(&edges);
    groups
        .iter()
        .map(|group| describe(group, &edges, sources))
        .collect()
}

/// Groups of more than one file in which each reaches each other.
fn groups(edges: &[Vec<Edge>]) -> Vec<Vec<usize>> {
    let reached: Vec<Vec<bool>> = (0..edges.len())
        .map(|from| reachable(edges, from))
        .collect();
    let mut groups = Vec::new();
    let mut is_placed = vec![false; edges.len()];
    for file in 0..edges.len() {
        if is_placed[file] {
            continue;
        }
        let group: Vec<usize> = (file..edges.len())
            .filter(|&other| reached[file][other] && reached[other][file])
            .collect();
        for &member in &group {
            is_placed[member] = true;
        }
        if group.len() > 1 {
            groups.push(group);
        }
    }
    groups
}

/// For each file whether `from` leads to it, by one edge or more.
fn reachable(edges: &[Vec<Edge>], from: usize) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for edge in &edges[file] {
            if !std::mem::replace(&mut reached[edge.to], true) {
                open.push(edge.to);
            }
        }
    }
    reached
}

/// The shortest cycle of a group as a chain, then the group's edges.
fn describe(group: &[usize], edges: &[Vec<Edge>], sources: &[(PathBuf, String)]) -> String {
    let name = |file: usize| sources[file].0.display();
    let shortest = group
        .iter()
        .filter_map(|&start| shortest_cycle(edges, start))
        .min_by_key(Vec::len)
        .unwrap_or_default();
    let mut text = format!("import cycle of {} files", group.len());
    for (from, edge) in &shortest {
        text += &format!(
            "\n  {}:{} uses {} of {}",
            name(*from),
            edge.line,
            edge.path,
            name(edge.to)
        );
    }
    if group.len() > shortest.len() {
        text += "\n  and between these files in all:";
        let inside = group.iter().flat_map(|&from| {
            edges[from]
                .iter()
                .filter(|edge| group.contains(&edge.to))
                .map(move |edge| (from, edge))
        });
        for (from, edge) in inside.take(MAX_LISTED_EDGES) {
            text += &format!(
                "\n    {}:{} -> {} ({})",
                name(from),
                edge.line,
                name(edge.to),
                edge.path
            );
        }
    }
    text
}

/// The edges of a shortest way from `start` back to itself.
fn shortest_cycle(edges: &[Vec<Edge>], start: usize) -> Option<Vec<(usize, &Edge)>> {
    let mut reached_by: Vec<Option<(usize, &Edge)>> = vec![None; edges.len()];
    let mut open = VecDeque::from([start]);
    while let Some(file) = open.pop_front() {
        for edge in &edges[file] {
            if reached_by[edge.to].is_none() {
                reached_by[edge.to] = Some((file, edge));
                open.push_back(edge.to);
            }
        }
    }
    let mut chain = Vec::new();
    let mut at = start;
    loop {
        let (from, edge) = reached_by[at]?;
        chain.push((from, edge));
        at = from;
        if at == start {
            break;
        }
    }
    chain.reverse();
    Some(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edges between the files of a crate, as `a>b`, and the number of cycles.
    fn read(files: &[(&str, &str)]) -> (Vec<String>, usize) {
        let sources: Vec<_> = files
            .iter()
            .map(|(name, text)| (PathBuf::from("src").join(name), (*text).to_owned()))
            .collect();
        let entry = Path::new("src/lib.rs");
        let edges = Modules::read(entry, &sources).edges(sources.len());
        let stem = |file: usize| files[file].0.trim_end_matches(".rs").to_owned();
        let mut names: Vec<String> = (0..files.len())
            .flat_map(|from| edges[from].iter().map(move |edge| (from, edge.to)))
            .map(|(from, to)| format!("{}>{}", stem(from), stem(to)))
            .collect();
        names.sort();
        (names, cycles(entry, &sources).len())
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&str], n_cycles: usize) {
        let (edges, found) = read(files);
        assert_eq!(edges, expected);
        assert_eq!(found, n_cycles);
    }

    #[test]
    fn a_chain_is_no_cycle() {
        check(
            &[
                ("lib.rs", "mod a; mod b; mod c; pub use a::A;"),
                ("a.rs", "use crate::b::B; pub struct A(B);"),
                ("b.rs", "pub struct B(super::c::C);"),
                ("c.rs", "pub struct C;"),
            ],
            &["a>b", "b>c"],
            0,
        );
    }

    #[test]
    fn two_files_that_use_each_other() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;\npub struct A(B);"),
            ("b.rs", "pub struct B;\nfn f() { crate::a::A::new(); }"),
        ];
        check(&files, &["a>b", "b>a"], 1);
        let sources = files.map(|(name, text)| (PathBuf::from("src").join(name), text.to_owned()));
        let [finding] = &cycles(Path::new("src/lib.rs"), &sources)[..] else {
            panic!("one cycle is expected");
        };
        assert!(
            finding.contains("src/a.rs:1 uses crate::b::B of src/b.rs"),
            "{finding}"
        );
        assert!(
            finding.contains("src/b.rs:2 uses crate::a::A::new of src/a.rs"),
            "{finding}"
        );
    }

    #[test]
    fn re_exports_lead_to_the_definition() {
        check(
            &[
                ("lib.rs", "mod a; mod m;"),
                (
                    "a.rs",
                    "use crate::m::{self, One}; fn f() { m::two(); m::inner::three(); }",
                ),
                (
                    "m/mod.rs",
                    "mod one; pub mod inner; mod two; pub use one::*; pub(crate) use two::two;",
                ),
                ("m/one.rs", "use super::two; pub struct One;"),
                ("m/inner.rs", "pub fn three() {}"),
                ("m/two.rs", "pub fn two() {}"),
            ],
            &["a>m/inner", "a>m/one", "a>m/two", "m/one>m/two"],
            0,
        );
    }

    #[test]
    fn a_parent_with_code_of_its_own_counts() {
        check(
            &[
                ("lib.rs", "mod m;"),
                ("m.rs", "mod part; use part::Part; pub struct Whole(Part);"),
                ("m/part.rs", "use super::Whole; pub struct Part;"),
            ],
            &["m/part>m", "m>m/part"],
            1,
        );
        // Handing on an item is no use of it.
        check(
            &[
                ("lib.rs", "mod m;"),
                ("m.rs", "mod part; pub use part::Part; pub struct Whole;"),
                ("m/part.rs", "use super::*; pub struct Part(Whole);"),
            ],
            &["m/part>m"],
            0,
        );
    }

    #[test]
    fn tests_do_not_count() {
        check(
            &[
                ("lib.rs", "mod a; mod b; #[cfg(test)] mod tests;"),
                (
                    "a.rs",
                    "use crate::b::B; pub struct A(B); #[cfg(test)] mod tests { use super::*; }",
                ),
                (
                    "b.rs",
                    "pub struct B; #[cfg(test)] mod tests { use crate::a::A; } #[test] fn f() { crate::a::A; }",
                ),
                ("tests.rs", "use crate::a::A;"),
            ],
            &["a>b"],
            0,
        );
    }

    #[test]
    fn modules_between_braces_belong_to_their_file() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                (
                    "a.rs",
                    "pub struct A; mod inner { use super::A; use super::super::b::B; }",
                ),
                ("b.rs", "pub struct B;"),
            ],
            &["a>b"],
            0,
        );
    }
}
