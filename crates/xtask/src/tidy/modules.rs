//! The modules of a crate: which file each is in, what it defines and what it imports.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::tokens::{self, Kind, Token};

/// Index of a module in [`Modules`].
pub type Id = usize;

/// The modules of one crate, the root first. Modules for tests are left out.
pub struct Modules {
    pub all: Vec<Module>,
}

/// A module: a file, or a part of one between braces.
#[derive(Default)]
pub struct Module {
    /// Index of its file in the list that [`Modules::read`] got.
    pub file: usize,
    parent: Option<Id>,
    children: BTreeMap<String, Id>,
    definitions: HashSet<String>,
    imports: Vec<Import>,
    /// Paths in code outside of `use`, and single words.
    pub paths: Vec<UsedPath>,
}

/// One name that a `use` brings in.
#[derive(Debug)]
struct Import {
    path: Vec<String>,
    /// What it is called here; `None` for `*`.
    name: Option<String>,
    is_public: bool,
    line: usize,
}

/// A path as it stands in code.
#[derive(Debug)]
pub struct UsedPath {
    pub segments: Vec<String>,
    pub line: usize,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Module(Id),
    /// An item, defined in this module.
    Item(Id),
}

/// A use of an item that another file defines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Index of the file that defines the item.
    pub to: usize,
    pub line: usize,
    /// The path as written.
    pub path: String,
}

impl Modules {
    /// Reads the modules below `root`. `files` are all sources of the crate by path.
    pub fn read(root: &Path, files: &[(PathBuf, String)]) -> Self {
        let by_path: HashMap<&Path, usize> = files
            .iter()
            .enumerate()
            .map(|(index, (path, _))| (path.as_path(), index))
            .collect();
        let mut modules = Self { all: Vec::new() };
        if let Some(&file) = by_path.get(root) {
            let folder = root.parent().unwrap_or(Path::new("")).to_owned();
            Reader {
                files,
                by_path,
                modules: &mut modules,
            }
            .file(file, &folder, None);
        }
        modules
    }

    /// For each file, the items of other files that it uses.
    pub fn edges(&self, n_files: usize) -> Vec<Vec<Edge>> {
        let mut edges = vec![Vec::new(); n_files];
        for (id, module) in self.all.iter().enumerate() {
            let words: HashSet<&str> = module
                .paths
                .iter()
                .filter_map(|path| path.segments.first())
                .map(String::as_str)
                .collect();
            let mut add = |target, line, path: String| {
                if let Some(Target::Item(owner)) = target
                    && self.all[owner].file != module.file
                {
                    let to = self.all[owner].file;
                    edges[module.file].push(Edge { to, line, path });
                }
            };
            for import in &module.imports {
                let path = import.path.join("::");
                match &import.name {
                    // What is handed on unused is no use.
                    Some(name) if import.is_public && !words.contains(name.as_str()) => {}
                    Some(_) => add(self.resolve(id, &import.path, 0), import.line, path),
                    None => {
                        let source = self.resolve(id, &import.path, 0);
                        add(source, import.line, format!("{path}::*"));
                        let Some(Target::Module(source)) = source else {
                            continue;
                        };
                        for word in words.iter().filter(|word| !self.is_own(id, word)) {
                            let target = self.member(source, word, true, 0);
                            add(target, import.line, format!("{path}::{word}"));
                        }
                    }
                }
            }
            for path in module.paths.iter().filter(|path| path.segments.len() > 1) {
                add(
                    self.resolve(id, &path.segments, 0),
                    path.line,
                    path.segments.join("::"),
                );
            }
        }
        for edges in &mut edges {
            edges.sort();
            edges.dedup_by_key(|edge| edge.to);
        }
        edges
    }

    /// Follows a path from a module. `None`: it leads out of the crate, or cannot be followed.
    fn resolve(&self, from: Id, path: &[String], depth: usize) -> Option<Target> {
        let (first, mut rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(from),
            "super" => Target::Module(self.all[from].parent?),
            name => self.member(from, name, rest.is_empty(), depth)?,
        };
        while let (Target::Module(module), Some((next, others))) = (target, rest.split_first()) {
            rest = others;
            target = match next.as_str() {
                "self" => target,
                "super" => Target::Module(self.all[module].parent?),
                name => self.member(module, name, rest.is_empty(), depth)?,
            };
        }
        Some(target)
    }

    /// What a name means in a module, imports followed to where the item is defined. A module and an
    /// item may have the same name: a path that goes on means the module, one that ends the item.
    fn member(&self, module: Id, name: &str, is_last: bool, depth: usize) -> Option<Target> {
        /// A chain of imports longer than this is a ring of `use`.
        const MAX_DEPTH: usize = 16;
        if depth > MAX_DEPTH {
            return None;
        }
        let it = &self.all[module];
        let child = it.children.get(name).map(|&child| Target::Module(child));
        if child.is_some() && !is_last {
            return child;
        }
        if it.definitions.contains(name) {
            return Some(Target::Item(module));
        }
        let named = it
            .imports
            .iter()
            .find(|import| import.name.as_deref() == Some(name));
        if let Some(import) = named {
            // `use x;` names a crate, not itself.
            let is_crate = matches!(&import.path[..], [only] if only == name);
            let target = (!is_crate).then(|| self.resolve(module, &import.path, depth + 1));
            return target.flatten().or(child);
        }
        child.or_else(|| {
            let globs = it.imports.iter().filter(|import| import.name.is_none());
            let mut sources =
                globs.filter_map(
                    |import| match self.resolve(module, &import.path, depth + 1)? {
                        Target::Module(source) if source != module => Some(source),
                        _ => None,
                    },
                );
            sources.find_map(|source| self.member(source, name, is_last, depth + 1))
        })
    }

    /// Whether a name means something in a module without its imports of `*`.
    fn is_own(&self, module: Id, name: &str) -> bool {
        let it = &self.all[module];
        let is_import = |import: &Import| import.name.as_deref() == Some(name);
        it.children.contains_key(name)
            || it.definitions.contains(name)
            || it.imports.iter().any(is_import)
    }
}

struct Reader<'a> {
    files: &'a [(PathBuf, String)],
    by_path: HashMap<&'a Path, usize>,
    modules: &'a mut Modules,
}

impl Reader<'_> {
    /// Reads a file as a module whose children lie in `folder`.
    fn file(&mut self, file: usize, folder: &Path, parent: Option<Id>) -> Id {
        let all = tokens::tokens(&self.files[file].1);
        let kept = tokens::without_tests(&all);
        self.module(file, folder, parent, &kept)
    }

    fn module(
        &mut self,
        file: usize,
        folder: &Path,
        parent: Option<Id>,
        tokens: &[Token<'_>],
    ) -> Id {
        let id = self.modules.all.len();
        self.modules.all.push(Module {
            file,
            parent,
            ..Module::default()
        });
        let mut index = 0;
        // Items count as definitions only where no brace of another item is open.
        let mut depth = 0_usize;
        let mut file_override = None;
        while let Some(token) = tokens.get(index) {
            index = match token.kind {
                Kind::Word("mod") if depth == 0 => {
                    self.child(id, folder, tokens, index, file_override.take())
                }
                Kind::Word("use") => self.imports(id, tokens, index),
                Kind::Word("path") if tokens.get(index + 1).is_some_and(|t| t.is_mark('=')) => {
                    if let Some(Token {
                        kind: Kind::Text(text),
                        ..
                    }) = tokens.get(index + 2)
                    {
                        file_override = Some(*text);
                    }
                    index + 2
                }
                Kind::Word(_) => self.word(id, tokens, index, depth == 0),
                Kind::Mark('{') => {
                    depth += 1;
                    index + 1
                }
                Kind::Mark('}') => {
                    depth = depth.saturating_sub(1);
                    index + 1
                }
                _ => index + 1,
            };
        }
        id
    }

    /// Reads `mod name;` or `mod name { … }` and returns the index after it.
    fn child(
        &mut self,
        parent: Id,
        folder: &Path,
        tokens: &[Token<'_>],
        index: usize,
        file_override: Option<&str>,
    ) -> usize {
        let Some(name) = tokens.get(index + 1).and_then(Token::word) else {
            return index + 1;
        };
        let below = folder.join(name);
        let (child, end) = if tokens
            .get(index + 2)
            .is_some_and(|token| token.is_mark('{'))
        {
            let end = tokens::after_group(tokens, index + 2);
            let inside = &tokens[index + 3..end.max(index + 4) - 1];
            let file = self.modules.all[parent].file;
            (Some(self.module(file, &below, Some(parent), inside)), end)
        } else {
            let candidates = match file_override {
                Some(path) => vec![folder.join(path)],
                None => vec![below.with_extension("rs"), below.join("mod.rs")],
            };
            let found = candidates
                .iter()
                .find_map(|path| self.by_path.get(path.as_path()));
            let child = found
                .copied()
                .map(|file| self.file(file, &below, Some(parent)));
            (child, index + 3)
        };
        if let Some(child) = child {
            self.modules.all[parent]
                .children
                .insert(name.to_owned(), child);
        }
        end
    }

    /// Reads a `use` and returns the index of its end.
    fn imports(&mut self, id: Id, tokens: &[Token<'_>], index: usize) -> usize {
        let is_public = tokens[..index].last().is_some_and(|before| {
            before.is_word("pub") || before.is_mark(')') // `pub(crate)`
        });
        let end = tokens[index..]
            .iter()
            .position(|token| token.is_mark(';'))
            .map_or(tokens.len(), |offset| index + offset);
        let line = tokens[index].line;
        let mut tree = UseTree {
            tokens: &tokens[index + 1..end],
            at: 0,
            names: Vec::new(),
        };
        tree.read(&[]);
        let names = tree.names.into_iter();
        self.modules.all[id]
            .imports
            .extend(names.map(|(path, name)| Import {
                path,
                name,
                is_public,
                line,
            }));
        end
    }

    /// Notes a definition or the path that begins at `index`, and returns the index after it.
    fn word(&mut self, id: Id, tokens: &[Token<'_>], index: usize, is_top: bool) -> usize {
        const DEFINING: &[&str] = &[
            "fn", "struct", "enum", "union", "trait", "type", "const", "static",
        ];
        let module = &mut self.modules.all[id];
        let Some(word) = tokens[index].word() else {
            return index + 1;
        };
        if DEFINING.contains(&word) && is_top {
            let name = tokens[index + 1..]
                .iter()
                .find(|token| !token.is_word("mut"));
            if let Some(name) = name.and_then(Token::word) {
                module.definitions.insert(name.to_owned());
            }
            return index + 1;
        }
        if word == "macro_rules" {
            if let Some(name) = tokens.get(index + 2).and_then(Token::word) {
                module.definitions.insert(name.to_owned());
            }
            return index + 3;
        }
        let is_member = index > 0
            && (tokens[index - 1].is_mark('.') || tokens[index - 1].kind == Kind::PathSep);
        let mut segments = vec![word.to_owned()];
        let mut end = index + 1;
        while let [
            Token {
                kind: Kind::PathSep,
                ..
            },
            next,
            ..,
        ] = &tokens[end.min(tokens.len())..]
            && let Some(next) = next.word()
        {
            segments.push(next.to_owned());
            end += 2;
        }
        if !is_member {
            module.paths.push(UsedPath {
                segments,
                line: tokens[index].line,
            });
        }
        end
    }
}

/// A parser for what stands between `use` and `;`.
struct UseTree<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    names: Vec<(Vec<String>, Option<String>)>,
}

impl UseTree<'_> {
    /// Reads one branch, up to a comma or the brace that closes it.
    fn read(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let mut name = None;
        while let Some(token) = self.tokens.get(self.at) {
            match token.kind {
                Kind::Word("as") => {
                    name = self.tokens.get(self.at + 1).and_then(Token::word);
                    self.at += 2;
                }
                Kind::Word(word) => {
                    path.push(word.to_owned());
                    self.at += 1;
                }
                Kind::Mark('*') => {
                    self.at += 1;
                    self.names.push((path, None));
                    return;
                }
                Kind::Mark('{') => {
                    self.at += 1;
                    self.branches(&path);
                    return;
                }
                Kind::PathSep => self.at += 1,
                _ => break,
            }
        }
        // `use a::{self}` is `use a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = name
            .or(path.last().map(String::as_str))
            .map(ToOwned::to_owned);
        if let Some(name) = name {
            self.names.push((path, Some(name)));
        }
    }

    fn branches(&mut self, prefix: &[String]) {
        while let Some(token) = self.tokens.get(self.at) {
            if token.is_mark('}') {
                self.at += 1;
                return;
            }
            if token.is_mark(',') {
                self.at += 1;
                continue;
            }
            let before = self.at;
            self.read(prefix);
            self.at = self.at.max(before + 1);
        }
    }
}
