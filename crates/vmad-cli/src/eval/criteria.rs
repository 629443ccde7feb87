//! The same photograph under several criteria.

use std::path::Path;

use anyhow::{Context, Result, bail};
use vmad_data::{DefectKind, Record, plural};
use vmad_engine::{CancelToken, Engine, Photo, Query};
use vmad_eval::{CriteriaReport, Verdicts};

use super::rows::CriterionRow;
use crate::dataset::OpenDataset;
use crate::interrupt::Stop;
use crate::{progress, session};

/// Inspects every photograph whose defects are all of known kinds under three criteria: its kinds
/// forbidden, its kinds allowed, and another kind allowed.
pub(super) fn judge(
    engine: &mut Engine,
    data: &Path,
    dataset: &mut OpenDataset,
    stop: &Stop,
) -> Result<(CriteriaReport, Vec<CriterionRow>)> {
    let OpenDataset { records, loader } = dataset;
    let is_known = |record: &&Record| {
        let is_named = record.kinds.len() == record.defect_types.len();
        record.is_defective && !record.kinds.is_empty() && is_named
    };
    let records: Vec<&Record> = records.iter().filter(is_known).collect();
    if records.is_empty() {
        bail!("there is no photograph whose defects are all of known kinds");
    }
    let bar = progress::count(records.len() as u64, "photographs under criteria");
    let (mut report, mut rows) = (CriteriaReport::default(), Vec::new());
    for record in &records {
        if stop.is_requested() {
            bail!(
                "stopped after the criteria for {} of {} photographs",
                bar.position(),
                records.len()
            );
        }
        let name = record.path.strip_prefix(data).unwrap_or(&record.path);
        let about = || record.path.display().to_string();
        bar.inc(1);
        let Some(photo) = loader.load(record)? else {
            continue;
        };
        let mut is_rejected = |normal: String| -> Result<bool> {
            let query = Query {
                object: Some(record.object.clone()),
                normal: Some(normal.clone()),
                ..Query::default()
            };
            let photo = Photo::Rgb(photo.image.clone());
            let events = engine.inspect(photo, query, &CancelToken::new());
            let (_, verdict) = session::finish(events).with_context(about)?;
            rows.push(CriterionRow {
                image: name.to_string_lossy().into_owned(),
                criterion: normal,
                score: verdict.score,
                rejected: verdict.anomalous,
            });
            Ok(verdict.anomalous)
        };
        report.count(Verdicts {
            forbidden: is_rejected(forbidding(&record.kinds))?,
            allowed: is_rejected(allowing(&record.kinds))?,
            other_allowed: is_rejected(allowing(&[other(&record.kinds)]))?,
        });
    }
    bar.finish_and_clear();
    Ok((report, rows))
}

/// `There must be no stains. There must be no cracks.`
fn forbidding(kinds: &[DefectKind]) -> String {
    let sentences = kinds
        .iter()
        .map(|kind| format!("There must be no {}.", plural(*kind)));
    sentences.collect::<Vec<_>>().join(" ")
}

/// `Stains are allowed. Cracks are allowed.`
fn allowing(kinds: &[DefectKind]) -> String {
    let sentences = kinds.iter().map(|kind| {
        let many = plural(*kind);
        format!("{}{} are allowed.", many[..1].to_uppercase(), &many[1..])
    });
    sentences.collect::<Vec<_>>().join(" ")
}

/// The next kind in order that the photograph does not show, so that all kinds are used.
fn other(kinds: &[DefectKind]) -> DefectKind {
    let all = DefectKind::ALL;
    let first = kinds.first().map_or(0, |kind| kind.id());
    let others = (1..all.len()).map(|step| all[(first + step) % all.len()]);
    let mut others = others.filter(|kind| !kinds.contains(kind));
    others.next().unwrap_or(all[first])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_name_every_kind() {
        let kinds = [DefectKind::Stain, DefectKind::Crack];
        assert_eq!(
            forbidding(&kinds),
            "There must be no stains. There must be no cracks."
        );
        assert_eq!(allowing(&kinds), "Stains are allowed. Cracks are allowed.");
        for kind in DefectKind::ALL {
            assert!(!kinds.contains(&other(&kinds)));
            assert_ne!(other(&[kind]), kind);
        }
    }
}
