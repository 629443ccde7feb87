//! Model, data and settings of a report, so that the measurement can be repeated.

use std::path::Path;

use anyhow::{Context, Result};
use vmad_data::Record;
use vmad_engine::Engine;
use vmad_eval::Provenance;
use vmad_package::{MANIFEST_FILE, Sha256};

use super::args::EvalArgs;
use super::photo::name;
use crate::files::read_at_most;
use crate::synth::read_recipe;

pub(super) fn of(args: &EvalArgs, engine: &Engine, records: &[Record]) -> Result<Provenance> {
    let data = &args.data;
    let manifest = args.package.join(MANIFEST_FILE);
    let manifest = read_at_most(&manifest, vmad_package::MAX_MANIFEST_BYTES as u64)?;
    Ok(Provenance {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: engine.manifest().meta.name.clone(),
        model_sha256: Sha256::of(&manifest).to_string(),
        data: folder_name(data)?,
        data_sha256: Sha256::of(labels(data, records).as_bytes()).to_string(),
        recipe: read_recipe(data)?.map(|recipe| recipe.to_string()),
        protocol: args.protocol.clone(),
        asked: args.ask.iter().map(|ask| name(ask).to_owned()).collect(),
        device: engine.device().to_string(),
        references: None,
    })
}

fn folder_name(folder: &Path) -> Result<String> {
    let full = std::fs::canonicalize(folder).with_context(|| folder.display().to_string())?;
    let name = full.file_name().unwrap_or(full.as_os_str());
    Ok(name.to_string_lossy().into_owned())
}

/// One line per photograph: path, category, object and kinds of defect.
fn labels(folder: &Path, records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        let path = record.path.strip_prefix(folder).unwrap_or(&record.path);
        let kinds: Vec<&str> = record.kinds.iter().map(|kind| kind.name()).collect();
        text.push_str(&format!(
            "{}\t{}\t{}\t{}\n",
            path.to_string_lossy().replace('\\', "/"),
            record.category,
            record.object,
            kinds.join(",")
        ));
    }
    text
}
