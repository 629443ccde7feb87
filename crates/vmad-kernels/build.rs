//! Assembles every variant of every shader of `shaders/`, has naga validate it, and writes what the Rust side
//! needs to know about it (sources, workgroup size, tile) to `OUT_DIR/shaders.rs`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Expression, Literal, Module, StorageAccess};

const SHADERS: &[&str] = &[
    "attention_combine",
    "attention_decode",
    "batch_norm",
    "conv2d",
    "deformable_attention",
    "gather_q4",
    "gather_q8",
    "layer_norm",
    "linear_f32",
    "matmul_f32",
    "matmul_q4",
    "matmul_q8",
    "overlapping_cells",
    "region_attention",
    "relative_positions",
    "rms_norm",
    "rope_append",
    "sample",
];

/// Shaders that come once for each end, `shared/end_*.wgsl`; the plain one has no part in the name.
const ENDED: &[&str] = &["matvec_q4", "matvec_q8"];
const ENDS: &[&str] = &["plain", "added", "normed", "gated"];

/// Shaders that come once for each number of chunks, which has to be known when they are compiled: the
/// sums of a thread are to stay in registers.
const CHUNKED: &[&str] = &["attention", "attention_bias", "attention_relative"];
/// Columns of a chunk, and the line that says how many there are.
const CHUNK: u32 = 32;
const CHUNKS: &str = "const CHUNKS: u32 = 4u;";

/// Features of adapters, as `Features` calls them: a file `x_f16.wgsl` takes the place of `x.wgsl` where there is f16.
const FEATURES: &[&str] = &["subgroups", "packed", "f16"];

fn main() {
    if let Err(message) = run() {
        eprintln!("{message}");
        process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let manifest = env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?;
    let out = env::var("OUT_DIR").map_err(|e| e.to_string())?;
    let folder = Path::new(&manifest).join("../../shaders");
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut written = Written::default();
    for name in SHADERS {
        written.add(name, &Assembled::variants(&folder, name, None)?)?;
    }
    for (name, end) in ENDED
        .iter()
        .flat_map(|name| ENDS.iter().map(move |end| (name, end)))
    {
        let file = format!("shared/end_{end}.wgsl");
        let variants = Assembled::variants(&folder, name, Some(&file))?;
        match *end {
            "plain" => written.add(name, &variants)?,
            end => written.add(&format!("{name}_{end}"), &variants)?,
        }
    }
    for (name, chunks) in CHUNKED.iter().flat_map(|name| [1, 2, 4].map(|n| (name, n))) {
        let mut variants = Assembled::variants(&folder, name, None)?;
        let line = format!("const CHUNKS: u32 = {chunks}u;");
        for assembled in &mut variants {
            if !assembled.replace(CHUNKS, &line) {
                return Err(format!("{name}.wgsl: no line {CHUNKS}"));
            }
        }
        written.add(&format!("{name}_{}", chunks * CHUNK), &variants)?;
    }
    fs::write(Path::new(&out).join("shaders.rs"), written.text()).map_err(|e| e.to_string())
}

/// A shader without comments and indentation, which a browser would have to fetch. Lines keep their numbers.
fn bare(source: &str) -> String {
    let code = |line: &str| {
        line.split("//")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    source.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// What the Rust side is told. A file's text stands there once, however many shaders include it.
#[derive(Default)]
struct Written {
    /// The constant's number of a text.
    texts: BTreeMap<String, usize>,
    shaders: String,
}

impl Written {
    /// A shader, given its variants, those that ask for most first.
    fn add(&mut self, name: &str, variants: &[Assembled]) -> Result<(), String> {
        let reflected = variants
            .iter()
            .map(|assembled| assembled.check(name))
            .collect::<Result<Vec<_>, _>>()?;
        let [first, rest @ ..] = reflected.as_slice() else {
            return Err(format!("{name}.wgsl: no variant"));
        };
        if rest.iter().any(|other| other != first) {
            return Err(format!(
                "{name}.wgsl: variants of different workgroups or tiles"
            ));
        }
        let mut sources = String::new();
        for assembled in variants {
            let features = FEATURES.iter().map(|feature| {
                let is_asked = assembled.features.contains(feature);
                format!("{feature}: {is_asked}")
            });
            let parts = assembled.parts.iter().map(|part| {
                let text = bare(&part.text);
                let next = self.texts.len();
                let number = *self.texts.entry(text).or_insert(next);
                format!("TEXT_{number}")
            });
            let _ = write!(
                sources,
                "Variant {{ features: Features {{ {} }}, parts: &[{}] }}, ",
                features.collect::<Vec<_>>().join(", "),
                parts.collect::<Vec<_>>().join(", "),
            );
        }
        let _ = writeln!(
            self.shaders,
            "pub(crate) const {}: Shader = Shader {{ name: {name:?}, workgroup: {}, tile: {}, \
             variants: &[{sources}] }};",
            name.to_uppercase(),
            first.workgroup,
            first.tile,
        );
        Ok(())
    }

    fn text(self) -> String {
        let mut all = self.shaders;
        for (text, number) in self.texts {
            let _ = writeln!(all, "const TEXT_{number}: &str = {text:?};");
        }
        all
    }
}

struct Part {
    path: PathBuf,
    text: String,
}

/// A shader followed by the files it includes.
struct Assembled {
    parts: Vec<Part>,
    /// Those whose files it is made of.
    features: Vec<&'static str>,
}

#[derive(PartialEq, Eq)]
struct Reflected {
    workgroup: u32,
    tile: u32,
}

impl Assembled {
    /// A shader with `end` appended, for each set of features that changes it, the largest first.
    fn variants(folder: &Path, name: &str, end: Option<&str>) -> Result<Vec<Self>, String> {
        let mut variants = Vec::new();
        for set in (0..1 << FEATURES.len()).rev() {
            let wanted: Vec<&'static str> = FEATURES
                .iter()
                .enumerate()
                .filter(|(i, _)| set >> i & 1 == 1)
                .map(|(_, feature)| *feature)
                .collect();
            let mut assembled = Self {
                parts: Vec::new(),
                features: Vec::new(),
            };
            assembled.append_with_includes(folder, &format!("{name}.wgsl"), &wanted)?;
            if let Some(end) = end {
                assembled.append_with_includes(folder, end, &wanted)?;
            }
            if assembled.features.len() == wanted.len() {
                variants.push(assembled);
            }
        }
        variants.sort_by_key(|assembled| Reverse(assembled.features.len()));
        Ok(variants)
    }

    fn append_with_includes(
        &mut self,
        folder: &Path,
        file: &str,
        features: &[&'static str],
    ) -> Result<(), String> {
        let own = self.append_or_twin(folder, file, features)?;
        for include in own
            .lines()
            .filter_map(|line| line.strip_prefix("//#include "))
        {
            self.append_or_twin(folder, include.trim(), features)?;
        }
        Ok(())
    }

    /// Appends what takes the place of a file under the first of the features for which there is such a thing.
    fn append_or_twin(
        &mut self,
        folder: &Path,
        file: &str,
        features: &[&'static str],
    ) -> Result<String, String> {
        let stem = file.trim_end_matches(".wgsl");
        let twin = features
            .iter()
            .map(|feature| (*feature, folder.join(format!("{stem}_{feature}.wgsl"))))
            .find(|(_, path)| path.exists());
        let Some((feature, path)) = twin else {
            return self.append(folder.join(file));
        };
        if !self.features.contains(&feature) {
            self.features.push(feature);
        }
        self.append(path)
    }

    fn append(&mut self, path: PathBuf) -> Result<String, String> {
        let mut text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        if text.contains("{{") || text.contains("}}") {
            return Err(format!(
                "{}: doubled braces are placeholders of burn's template engine",
                path.display()
            ));
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.parts.push(Part {
            path,
            text: text.clone(),
        });
        Ok(text)
    }

    /// Whether there was something to replace.
    fn replace(&mut self, line: &str, by: &str) -> bool {
        let part = self.parts.iter_mut().find(|part| part.text.contains(line));
        if let Some(part) = part {
            part.text = part.text.replace(line, by);
            return true;
        }
        false
    }

    /// The file and line that a line of the assembled text came from.
    fn origin(&self, line: u32) -> String {
        let mut first = 1;
        for part in &self.parts {
            let behind = first + part.text.lines().count() as u32;
            if line < behind {
                return format!("{}:{}", part.path.display(), line - first + 1);
            }
            first = behind;
        }
        String::new()
    }

    fn check(&self, name: &str) -> Result<Reflected, String> {
        let uses = |feature| self.features.contains(&feature);
        // On the first line, so that lines keep their numbers.
        let mut source = String::from(if uses("f16") { "enable f16; " } else { "" });
        source.extend(self.parts.iter().map(|part| part.text.as_str()));
        let module = naga::front::wgsl::parse_str(&source).map_err(|error| {
            let line = error.location(&source).map_or(1, |at| at.line_number);
            format!(
                "{}: {error}\n{}",
                self.origin(line),
                error.emit_to_string(&source)
            )
        })?;
        // unpack2x16float is in core WebGPU; naga lists it as a capability because old GL lacks it.
        let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        capabilities.set(Capabilities::SUBGROUP, uses("subgroups"));
        capabilities.set(Capabilities::SHADER_FLOAT16, uses("f16"));
        let info = Validator::new(ValidationFlags::all(), capabilities)
            .validate(&module)
            .map_err(|error| {
                let line = error.location(&source).map_or(1, |at| at.line_number);
                format!(
                    "{}: {error}\n{}",
                    self.origin(line),
                    error.emit_to_string(&source)
                )
            })?;

        let [entry] = module.entry_points.as_slice() else {
            return Err(format!("{name}.wgsl: exactly one entry point is allowed"));
        };
        if entry.name != "main" {
            return Err(format!("{name}.wgsl: the entry point must be called main"));
        }
        let reached = info.get_entry_point(0);
        for (handle, variable) in module.global_variables.iter() {
            if variable.binding.is_none() {
                continue;
            }
            let label = variable.name.as_deref().unwrap_or("?");
            // The pipeline layout is derived from use: an unused binding shifts all others.
            if reached[handle].is_empty() {
                return Err(format!("{name}.wgsl: binding {label} is never used"));
            }
            // Input and output can share a page, which a read-only binding forbids.
            if let AddressSpace::Storage { access } = variable.space
                && access != (StorageAccess::LOAD | StorageAccess::STORE)
            {
                return Err(format!("{name}.wgsl: binding {label} must be read_write"));
            }
        }
        let workgroup = entry.workgroup_size.iter().product();
        if workgroup > 256 {
            return Err(format!(
                "{name}.wgsl: {workgroup} invocations a workgroup; WebGPU guarantees 256"
            ));
        }
        let tile = constant(&module, "TILE").or_else(|| constant(&module, "ROWS"));
        Ok(Reflected {
            workgroup,
            tile: tile.unwrap_or(workgroup),
        })
    }
}

fn constant(module: &Module, name: &str) -> Option<u32> {
    let (_, constant) = module
        .constants
        .iter()
        .find(|(_, constant)| constant.name.as_deref() == Some(name))?;
    match module.global_expressions[constant.init] {
        Expression::Literal(Literal::U32(value)) => Some(value),
        _ => None,
    }
}
