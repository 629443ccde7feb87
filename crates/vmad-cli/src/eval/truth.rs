//! The ground truth of a photograph, in the vocabulary of answers.

use anyhow::Result;
use vmad_data::{DefectKind, Location, Record, Severity, SizeWord};
use vmad_eval::{Lexicon, Truth};
use vmad_prep::GrayImage;

/// The ground truth of a record: places and sizes from the masks, severity from kind and size as in
/// the generator. `mask` is the photograph's mask, if it has one.
pub(crate) fn truth(record: &Record, mask: Option<&GrayImage>) -> Result<Truth> {
    let mut places: Vec<Location> = Vec::new();
    let mut size: Option<SizeWord> = None;
    let mut severity: Option<Severity> = None;
    let regions = match mask {
        Some(mask) => record.regions(mask)?,
        None => Vec::new(),
    };
    for (kind, mask) in &regions {
        for place in Location::all_of(mask) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let extent = SizeWord::of_mask(mask);
        size = size.max(extent);
        if let (Some(kind), Some(extent)) = (kind, extent) {
            severity = severity.max(Some(Severity::of(*kind, extent)));
        }
    }
    let mut kinds: Vec<String> = Vec::new();
    for kind in &record.kinds {
        if !kinds.iter().any(|known| known == kind.name()) {
            kinds.push(kind.name().to_owned());
        }
    }
    Ok(Truth {
        is_defective: record.is_defective,
        kinds,
        places: places.iter().map(|place| place.name().to_owned()).collect(),
        size: size.map(|size| size.name().to_owned()),
        severity: severity.map(|severity| severity.name().to_owned()),
    })
}

/// The defect names that the parser looks for in answers: those of this repository's training, and
/// those of the data set.
pub(super) fn lexicon(records: &[Record]) -> Lexicon {
    let of_data = records.iter().flat_map(|record| &record.kinds);
    let names = DefectKind::ALL
        .iter()
        .chain(of_data)
        .map(|kind| kind.name());
    Lexicon::new(names)
}
