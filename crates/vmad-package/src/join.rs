use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{PackageError, ShardTensor, TensorData};

/// Puts the pieces of split tensors together; whole tensors pass through.
///
/// Shards must come in order. Only the pieces of unfinished tensors are kept.
#[derive(Debug, Default)]
pub struct Joiner {
    unfinished: BTreeMap<String, ShardTensor<'static>>,
}

impl Joiner {
    /// A whole tensor if `piece` is one or completes one.
    pub fn push<'a>(
        &mut self,
        piece: ShardTensor<'a>,
    ) -> Result<Option<ShardTensor<'a>>, PackageError> {
        let Some(mut joined) = self.unfinished.remove(&piece.name) else {
            if piece.is_whole() {
                return Ok(Some(piece));
            }
            if piece.first_row != 0 {
                return Err(out_of_order(&piece, 0));
            }
            self.unfinished
                .insert(piece.name.clone(), piece.into_owned());
            return Ok(None);
        };
        let rows = joined.n_rows() + piece.n_rows();
        if piece.first_row != joined.n_rows() || rows > joined.total_rows {
            return Err(out_of_order(&piece, joined.n_rows()));
        }
        if !append(&mut joined.data, &piece.data) {
            return Err(out_of_order(&piece, joined.n_rows()));
        }
        if let Some(first) = joined.shape.first_mut() {
            *first = rows;
        }
        if joined.is_whole() {
            return Ok(Some(joined));
        }
        self.unfinished.insert(piece.name, joined);
        Ok(None)
    }

    /// Fails if a tensor is still incomplete.
    pub fn finish(self) -> Result<(), PackageError> {
        match self.unfinished.into_values().next() {
            None => Ok(()),
            Some(tensor) => Err(PackageError::Pieces {
                joined: tensor.n_rows(),
                total: tensor.total_rows,
                start: tensor.total_rows,
                tensor: tensor.name,
            }),
        }
    }
}

fn out_of_order(piece: &ShardTensor<'_>, joined: usize) -> PackageError {
    PackageError::Pieces {
        tensor: piece.name.clone(),
        joined,
        total: piece.total_rows,
        start: piece.first_row,
    }
}

/// Adds rows at the end; every layout is row-major, so the buffers just follow
/// each other. `false` if the storages differ.
fn append(to: &mut TensorData<'static>, from: &TensorData<'_>) -> bool {
    fn extend<T: Clone>(to: &mut Cow<'static, [T]>, from: &[T]) {
        to.to_mut().extend_from_slice(from);
    }
    match (to, from) {
        (TensorData::F32(to), TensorData::F32(from)) => extend(to, from),
        (TensorData::F16(to), TensorData::F16(from)) => extend(to, from),
        (
            TensorData::Int8 { q, scales },
            TensorData::Int8 {
                q: more_q,
                scales: more_scales,
            },
        ) => {
            extend(q, more_q);
            extend(scales, more_scales);
        }
        (
            TensorData::Int4 { words, scales },
            TensorData::Int4 {
                words: more_words,
                scales: more_scales,
            },
        ) => {
            extend(words, more_words);
            extend(scales, more_scales);
        }
        _ => return false,
    }
    true
}
