//! Assembles every variant of every shader of `shaders/`, validates it with naga, and writes what Rust needs to know
//! about it to `OUT_DIR`:
//!
//! - `shaders.rs`: sources, workgroup sizes, tiles, a Rust struct for each WGSL parameter struct, the constants of
//!   `shaders/shared/host.wgsl`;
//! - `tiles.rs`: the tile sizes that the cost model needs without a GPU.

#[path = "build/assemble.rs"]
mod assemble;
#[path = "build/output.rs"]
mod output;
#[path = "build/reflect.rs"]
mod reflect;

use std::path::Path;
use std::{env, fs, process};

use assemble::Assembled;
use output::Output;

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

/// Shaders that exist once per fusion, `shared/fusion_*.wgsl`. The name of the one without fusion has no suffix.
const FUSED: &[&str] = &["matvec_q4", "matvec_q8"];
const FUSIONS: &[&str] = &["none", "residual", "norm", "gated"];

/// Shaders that exist once per number of chunks of a head. It is a constant so that a thread's sums stay in registers.
const CHUNKED: &[&str] = &["attention", "attention_bias", "attention_relative"];
/// Columns of a chunk.
const CHUNK: u32 = 32;
/// The line of `shared/attention.wgsl` that sets the number of chunks.
const CHUNKS: &str = "const CHUNKS: u32 = 4u;";

/// The file whose constants are written into Rust.
const HOST_CONSTANTS: &str = "shared/host.wgsl";

/// Shaders whose tile the cost model needs, and its name there.
const COST_TILES: &[(&str, &str)] = &[
    ("matmul_q4", "MATMUL_TILE"),
    ("matvec_q4", "MATVEC_ROWS"),
    ("attention_32", "ATTENTION_TILE"),
];

fn main() {
    if let Err(message) = run() {
        eprintln!("{message}");
        process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let manifest = env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?;
    let out = env::var("OUT_DIR").map_err(|e| e.to_string())?;
    let out = Path::new(&out);
    let folder = Path::new(&manifest).join("../../shaders");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");

    let mut output = Output::default();
    for name in SHADERS {
        output.add(name, &Assembled::variants(&folder, name, None)?)?;
    }
    for name in FUSED {
        for fusion in FUSIONS {
            let file = format!("shared/fusion_{fusion}.wgsl");
            let variants = Assembled::variants(&folder, name, Some(&file))?;
            match *fusion {
                "none" => output.add(name, &variants)?,
                fusion => output.add(&format!("{name}_{fusion}"), &variants)?,
            }
        }
    }
    for name in CHUNKED {
        let mut widths = Vec::new();
        for chunks in [1, 2, 4] {
            let mut variants = Assembled::variants(&folder, name, None)?;
            let line = format!("const CHUNKS: u32 = {chunks}u;");
            for assembled in &mut variants {
                if !assembled.replace(CHUNKS, &line) {
                    return Err(format!("{name}.wgsl: no line {CHUNKS}"));
                }
            }
            output.add(&format!("{name}_{}", chunks * CHUNK), &variants)?;
            widths.push(chunks * CHUNK);
        }
        output.add_widths(name, &widths);
    }
    let host = folder.join(HOST_CONSTANTS);
    let host = fs::read_to_string(&host).map_err(|e| format!("{}: {e}", host.display()))?;
    output.add_constants(&reflect::constants(HOST_CONSTANTS, &host)?);
    let write = |file: &str, text: String| {
        fs::write(out.join(file), text).map_err(|e| format!("{file}: {e}"))
    };
    write("tiles.rs", output.tiles(COST_TILES)?)?;
    write("shaders.rs", output.shaders())
}
