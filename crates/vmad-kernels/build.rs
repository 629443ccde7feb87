//! Assembles every shader of `shaders/`, has naga validate it, and writes what the Rust side needs
//! to know about it (source, workgroup size, tile) to `OUT_DIR/shaders.rs`.

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
    "gate",
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

    let mut generated = String::new();
    for name in SHADERS {
        let assembled = Assembled::read(&folder, name)?;
        generated += &assembled.shader(name)?;
    }
    for (name, end) in ENDED
        .iter()
        .flat_map(|name| ENDS.iter().map(move |end| (name, end)))
    {
        let mut assembled = Assembled::read(&folder, name)?;
        assembled.append_with_includes(&folder, &format!("shared/end_{end}.wgsl"))?;
        let name = match *end {
            "plain" => (*name).to_owned(),
            end => format!("{name}_{end}"),
        };
        generated += &assembled.shader(&name)?;
    }
    for (name, chunks) in CHUNKED.iter().flat_map(|name| [1, 2, 4].map(|n| (name, n))) {
        let mut assembled = Assembled::read(&folder, name)?;
        if !assembled.source.contains(CHUNKS) {
            return Err(format!("{name}.wgsl: no line {CHUNKS}"));
        }
        let line = format!("const CHUNKS: u32 = {chunks}u;");
        assembled.source = assembled.source.replace(CHUNKS, &line);
        generated += &assembled.shader(&format!("{name}_{}", chunks * CHUNK))?;
    }
    fs::write(Path::new(&out).join("shaders.rs"), generated).map_err(|e| e.to_string())
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

/// A shader followed by the files it includes, and where each of them begins.
struct Assembled {
    source: String,
    /// File and the number of its first line in `source`, counted from 1.
    parts: Vec<(PathBuf, u32)>,
}

struct Reflected {
    workgroup: u32,
    tile: u32,
}

impl Assembled {
    fn read(folder: &Path, name: &str) -> Result<Self, String> {
        let mut assembled = Self {
            source: String::new(),
            parts: Vec::new(),
        };
        assembled.append_with_includes(folder, &format!("{name}.wgsl"))?;
        Ok(assembled)
    }

    fn append_with_includes(&mut self, folder: &Path, file: &str) -> Result<(), String> {
        let own = self.append(folder.join(file))?;
        for include in own
            .lines()
            .filter_map(|line| line.strip_prefix("//#include "))
        {
            self.append(folder.join(include.trim()))?;
        }
        Ok(())
    }

    fn append(&mut self, path: PathBuf) -> Result<String, String> {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        if text.contains("{{") || text.contains("}}") {
            return Err(format!(
                "{}: doubled braces are placeholders of burn's template engine",
                path.display()
            ));
        }
        let first_line = self.source.lines().count() as u32 + 1;
        self.source.push_str(&text);
        if !text.ends_with('\n') {
            self.source.push('\n');
        }
        self.parts.push((path, first_line));
        Ok(text)
    }

    /// The validated shader as a constant of the Rust side.
    fn shader(&self, name: &str) -> Result<String, String> {
        let shader = self.check(name)?;
        let mut constant = String::new();
        let _ = writeln!(
            constant,
            "pub(crate) const {}: Shader = Shader {{ name: {name:?}, workgroup: {}, tile: {}, \
             source: {:?} }};",
            name.to_uppercase(),
            shader.workgroup,
            shader.tile,
            bare(&self.source)
        );
        Ok(constant)
    }

    /// The file and line that a line of the assembled text came from.
    fn origin(&self, line: u32) -> String {
        self.parts
            .iter()
            .rev()
            .find(|(_, first)| *first <= line)
            .map_or_else(String::new, |(path, first)| {
                format!("{}:{}", path.display(), line - first + 1)
            })
    }

    fn check(&self, name: &str) -> Result<Reflected, String> {
        let module = naga::front::wgsl::parse_str(&self.source).map_err(|error| {
            let line = error.location(&self.source).map_or(1, |at| at.line_number);
            format!(
                "{}: {error}\n{}",
                self.origin(line),
                error.emit_to_string(&self.source)
            )
        })?;
        // unpack2x16float is in core WebGPU; naga lists it as a capability because old GL lacks it.
        let capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        let info = Validator::new(ValidationFlags::all(), capabilities)
            .validate(&module)
            .map_err(|error| {
                let line = error.location(&self.source).map_or(1, |at| at.line_number);
                format!(
                    "{}: {error}\n{}",
                    self.origin(line),
                    error.emit_to_string(&self.source)
                )
            })?;

        let [entry] = module.entry_points.as_slice() else {
            return Err(format!("{name}.wgsl: exactly one entry point is allowed"));
        };
        if entry.name != "main" {
            return Err(format!("{name}.wgsl: the entry point must be called main"));
        }
        let uses = info.get_entry_point(0);
        for (handle, variable) in module.global_variables.iter() {
            if variable.binding.is_none() {
                continue;
            }
            let label = variable.name.as_deref().unwrap_or("?");
            // The pipeline layout is derived from use: an unused binding shifts all others.
            if uses[handle].is_empty() {
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
