//! What each shard must hold.

use crate::entry::TensorEntry;
use crate::placement::{PieceRows, Placement};
use crate::storage::{Dims, StoredEntry, stored_entries};
use crate::{Manifest, PackageError};

/// One tensor, or one piece of a split tensor, that a shard must hold.
pub(crate) struct PlannedPiece<'m> {
    pub tensor: &'m TensorEntry,
    pub rows: PieceRows,
    pub total_rows: usize,
    pub dims: Dims,
    pub entries: Vec<StoredEntry>,
}

/// Everything that a shard must hold, in the manifest's order.
pub(crate) fn plan_shard(
    manifest: &Manifest,
    shard: usize,
) -> Result<Vec<PlannedPiece<'_>>, PackageError> {
    let mut plan = Vec::new();
    for tensor in manifest.tensors() {
        if tensor.shard > shard {
            continue;
        }
        let whole = tensor.dims()?;
        let placement = Placement::new(tensor, &whole, manifest.shards().len())?;
        let Some(rows) = placement.piece_in(shard) else {
            continue;
        };
        let dims = whole
            .with_rows(rows.len, tensor.storage)
            .map_err(|reason| PackageError::TensorShape {
                tensor: tensor.name.clone(),
                shape: tensor.shape.clone(),
                reason,
            })?;
        plan.push(PlannedPiece {
            tensor,
            rows,
            total_rows: whole.rows(),
            entries: stored_entries(&tensor.name, tensor.storage, &dims),
            dims,
        });
    }
    Ok(plan)
}
