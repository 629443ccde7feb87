//! The header of a safetensors file, read against what it must say.
//!
//! The `safetensors` crate would parse it too, but it allocates whatever the
//! header lists, quietly keeps the last of two equal keys, and cannot say which
//! tensor is wrong.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::PackageError;
use crate::entry::deserialize_shape;
use crate::error::{EntryPlace, clip};
use crate::plan::PlannedPiece;
use crate::storage::StoredEntry;

/// Largest header that is read.
const MAX_HEADER_BYTES: u64 = 16 << 20;
const LENGTH_BYTES: usize = 8;

/// Where the entries of a shard lie in its data, in the order of the plan.
pub(crate) struct Located<'a> {
    pub data: &'a [u8],
    pub ranges: Vec<Range<usize>>,
}

/// An entry that the plan demands, with the tensor it belongs to.
struct Demand<'p> {
    tensor: &'p str,
    entry: &'p StoredEntry,
}

impl Demand<'_> {
    fn place(&self, shard: &str) -> Box<EntryPlace> {
        Box::new(EntryPlace {
            shard: shard.to_owned(),
            tensor: self.tensor.to_owned(),
            entry: self.entry.name.clone(),
        })
    }
}

/// Finds every planned entry, and refuses a header that says anything else.
pub(crate) fn locate<'a>(
    shard: &str,
    plan: &[PlannedPiece<'_>],
    bytes: &'a [u8],
) -> Result<Located<'a>, PackageError> {
    let (header, data) = split_header(shard, bytes)?;
    let demands: Vec<Demand> = plan
        .iter()
        .flat_map(|piece| {
            piece.entries.iter().map(|entry| Demand {
                tensor: &piece.tensor.name,
                entry,
            })
        })
        .collect();
    let stated = read_header(shard, &demands, header)?;
    check_offsets(shard, &demands, &stated, data.len() as u64)?;
    let ranges = stated.iter().map(|entry| {
        // In range: the offsets were compared with the length of the data.
        entry.data_offsets.0 as usize..entry.data_offsets.1 as usize
    });
    Ok(Located {
        data,
        ranges: ranges.collect(),
    })
}

fn split_header<'a>(shard: &str, bytes: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), PackageError> {
    let broken = |reason: String| PackageError::ShardHeader {
        shard: shard.to_owned(),
        reason,
    };
    let (length, rest) = bytes
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or_else(|| broken(format!("the file has only {} bytes", bytes.len())))?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER_BYTES {
        return Err(broken(format!(
            "it claims {length} bytes, at most {MAX_HEADER_BYTES} are allowed"
        )));
    }
    usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| broken(format!("it claims {length} bytes, {} follow", rest.len())))
}

#[derive(Deserialize)]
struct StatedEntry {
    dtype: String,
    #[serde(deserialize_with = "deserialize_shape")]
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Reads the header into one slot for each demand; dtypes and shapes agree afterwards.
fn read_header(
    shard: &str,
    demands: &[Demand],
    header: &[u8],
) -> Result<Vec<StatedEntry>, PackageError> {
    let mut refusal = None;
    let seed = HeaderSeed {
        shard,
        demands,
        refusal: &mut refusal,
    };
    let mut json = serde_json::Deserializer::from_slice(header);
    let slots = seed
        .deserialize(&mut json)
        .and_then(|slots| json.end().map(|()| slots));
    let slots = match (refusal, slots) {
        (Some(refusal), _) => return Err(refusal),
        (None, Ok(slots)) => slots,
        (None, Err(error)) => {
            return Err(PackageError::ShardHeader {
                shard: shard.to_owned(),
                reason: error.to_string(),
            });
        }
    };
    let mut stated = Vec::with_capacity(demands.len());
    for (demand, slot) in demands.iter().zip(slots) {
        let place = || demand.place(shard);
        let entry = demand.entry;
        let Some(slot) = slot else {
            return Err(PackageError::MissingEntry { place: place() });
        };
        let dtype = entry.dtype.to_string();
        if slot.dtype != dtype {
            return Err(PackageError::EntryDtype {
                place: place(),
                expected: dtype,
                actual: clip(&slot.dtype),
            });
        }
        if slot.shape != entry.shape {
            return Err(PackageError::EntryShape {
                place: place(),
                expected: entry.shape.clone(),
                actual: slot.shape,
            });
        }
        stated.push(slot);
    }
    Ok(stated)
}

/// Entries must follow each other without a gap and end where the data ends.
fn check_offsets(
    shard: &str,
    demands: &[Demand],
    stated: &[StatedEntry],
    data_bytes: u64,
) -> Result<(), PackageError> {
    let mut in_order: Vec<_> = demands.iter().zip(stated).collect();
    in_order.sort_by_key(|(_, stated)| stated.data_offsets);
    let mut end_so_far = 0u64;
    for (demand, stated) in in_order {
        let (start, end) = stated.data_offsets;
        let expected_end = end_so_far.saturating_add(demand.entry.bytes());
        if start != end_so_far || end != expected_end {
            return Err(PackageError::EntryOffsets {
                place: demand.place(shard),
                start,
                end,
                expected_start: end_so_far,
                expected_end,
            });
        }
        end_so_far = end;
    }
    if end_so_far != data_bytes {
        return Err(PackageError::ShardData {
            shard: shard.to_owned(),
            expected: end_so_far,
            actual: data_bytes,
        });
    }
    Ok(())
}

/// Reads the header's map; stops at the first key that is not demanded.
struct HeaderSeed<'s, 'p> {
    shard: &'s str,
    demands: &'s [Demand<'p>],
    /// The typed reason for stopping, since a `serde` error carries only text.
    refusal: &'s mut Option<PackageError>,
}

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_, '_> {
    type Value = Vec<Option<StatedEntry>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_, '_> {
    type Value = Vec<Option<StatedEntry>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of safetensors entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let index_of: HashMap<&str, usize> = self
            .demands
            .iter()
            .enumerate()
            .map(|(index, demand)| (demand.entry.name.as_str(), index))
            .collect();
        let mut slots: Vec<Option<StatedEntry>> = self.demands.iter().map(|_| None).collect();
        while let Some(key) = map.next_key::<String>()? {
            if key == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let known = index_of.get(key.as_str()).copied();
            let Some((slot, demand)) =
                known.and_then(|i| Some((slots.get_mut(i)?, self.demands.get(i)?)))
            else {
                *self.refusal = Some(PackageError::UnexpectedEntry {
                    shard: self.shard.to_owned(),
                    entry: clip(&key),
                });
                return Err(A::Error::custom("unexpected entry"));
            };
            if slot.is_some() {
                *self.refusal = Some(PackageError::DuplicateEntry {
                    place: demand.place(self.shard),
                });
                return Err(A::Error::custom("repeated entry"));
            }
            let value = map.next_value::<StatedEntry>();
            *slot = Some(value.map_err(|e| A::Error::custom(format_args!("entry {key:?}: {e}")))?);
        }
        Ok(slots)
    }
}
