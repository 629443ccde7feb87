//! `vmad package info` and `vmad package verify`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use vmad_engine::CancelToken;
use vmad_model::VmadConfig;
use vmad_model::config::{SamConfig, SamEncoder, SimilaritySource};
use vmad_package::{Manifest, Storage};

use crate::args::DeviceArg;
use crate::files::read_manifest;
use crate::session;
use crate::text::{plain, print, print_line, size};

const HELP: &str = "Examples:
  vmad package info models/tiny
  vmad package verify models/tiny";

/// Look into a model package
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PackageArgs {
    #[command(subcommand)]
    command: PackageCommand,
}

#[derive(Debug, Subcommand)]
enum PackageCommand {
    /// Print sizes, storage, licence and provenance
    Info {
        /// Folder of the model package, the one with model.json
        package: PathBuf,
    },
    /// Check everything: sizes, hashes, every tensor and its shape, tokenizer, templates
    Verify {
        /// Folder of the model package, the one with model.json
        package: PathBuf,
    },
}

pub(crate) fn run(args: PackageArgs) -> Result<()> {
    match args.command {
        PackageCommand::Info { package } => info(&package),
        PackageCommand::Verify { package } => verify(&package),
    }
}

/// Opens the package as an inspection does, which checks everything.
fn verify(package: &Path) -> Result<()> {
    let engine = session::open(package, DeviceArg::Cpu, &CancelToken::new())?;
    let manifest = engine.manifest();
    let summary = format!(
        "{}: valid. {} tensors in {} shards, {}",
        package.display(),
        manifest.tensors().len(),
        manifest.shards().len(),
        size(manifest.total_bytes())
    );
    print_line(&plain(&summary))
}

fn info(package: &Path) -> Result<()> {
    let manifest = read_manifest(package)?;
    let config: VmadConfig = serde_json::from_value(manifest.meta.config.clone())
        .with_context(|| format!("{}: config in model.json", package.display()))?;
    let mut rows = about(&manifest);
    rows.extend(parts(&config));
    rows.extend(
        manifest
            .meta
            .provenance
            .iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    let width = rows.iter().map(|(key, _)| key.chars().count()).max();
    let width = width.unwrap_or(0) + 2;
    let text: String = rows
        .iter()
        .map(|(key, value)| format!("{key:width$}{value}\n"))
        .collect();
    print(&plain(&text))
}

type Row = (String, String);

fn row(key: &str, value: impl ToString) -> Row {
    (key.to_owned(), value.to_string())
}

fn about(manifest: &Manifest) -> Vec<Row> {
    let meta = &manifest.meta;
    let n_values = |shape: &[usize]| shape.iter().map(|dim| *dim as u64).product::<u64>();
    let mut rows = vec![
        row("name", &meta.name),
        row("description", &meta.description),
        row("licence", &meta.license),
        row(
            "size",
            format!(
                "{}: {} shards and a tokenizer of {}",
                size(manifest.total_bytes()),
                manifest.shards().len(),
                size(manifest.tokenizer().bytes)
            ),
        ),
    ];
    for storage in [Storage::F32, Storage::F16, Storage::Int8, Storage::Int4] {
        let stored = manifest.tensors().iter().filter(|t| t.storage == storage);
        let n_tensors = stored.clone().count();
        let values: u64 = stored.map(|tensor| n_values(&tensor.shape)).sum();
        rows.push(row(
            &storage.to_string(),
            format!("{n_tensors} tensors, {values} values"),
        ));
    }
    let threshold = &meta.threshold;
    rows.push(row(
        "threshold",
        format!(
            "image {}, pixel {}, temperature {} ({})",
            threshold.image, threshold.pixel, threshold.temperature, threshold.source
        ),
    ));
    rows
}

fn parts(config: &VmadConfig) -> Vec<Row> {
    let VmadConfig {
        clip,
        projector,
        llm,
        sam,
        evidence,
        ..
    } = config;
    let kind = projector.kind();
    vec![
        row(
            "clip",
            format!(
                "{} px, patch {}, {} layers of width {}, taps {:?}{}",
                clip.image_size,
                clip.patch_size,
                clip.n_layers,
                clip.d_model,
                clip.taps,
                similarity_note(clip.similarity_prompt)
            ),
        ),
        row(
            "projector",
            format!("{kind}, {} visual tokens", projector.n_visual()),
        ),
        row(
            "llm",
            format!(
                "{} layers of width {}, {} heads ({} for keys), {} tokens, {} positions",
                llm.n_layers,
                llm.d_model,
                llm.n_heads,
                llm.n_kv_heads,
                llm.vocab_size,
                llm.max_positions
            ),
        ),
        sam_row(sam, evidence.is_some()),
    ]
}

fn sam_row(sam: &SamConfig, has_evidence: bool) -> Row {
    let encoder = match &sam.encoder {
        SamEncoder::Vit(vit) => format!("{} layers of width {}", vit.n_layers, vit.d_model),
        SamEncoder::TinyVit(tiny) => format!(
            "TinyViT with {:?} layers of widths {:?}",
            tiny.depths, tiny.embed_dims
        ),
    };
    let source = match sam.similarity_source {
        SimilaritySource::Pixels => "",
        SimilaritySource::Clip => " of CLIP's features",
    };
    let evidence = if has_evidence {
        ", evidence for the words"
    } else {
        ""
    };
    let similarity = similarity_note(sam.similarity_prompt);
    row(
        "sam",
        format!(
            "{} px, {encoder}{similarity}{source}{evidence}",
            sam.image_size
        ),
    )
}

fn similarity_note(is_on: bool) -> &'static str {
    if is_on { ", similarity prompt" } else { "" }
}
