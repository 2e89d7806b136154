//! Sealing anew what `SECRET_KEY_PREVIOUS` has sealed, a little at a time, until nobody needs it any more.

use super::token::{secret_place, token_place};
use crate::{
    app::App,
    seal::Place,
    store::{
        StoreError,
        sealed::{Kept, SealedRow},
    },
};

/// Values sealed anew in one transaction.
const SLICE: u64 = 100;

/// Slices in one round, so that other housekeeping has its turn.
const SLICES: usize = 20;

/// What one round came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Values that have the present key now.
    pub resealed: u64,
    /// Values that still have the previous one.
    pub left: u64,
}

/// One round. Without a previous key there is nothing to do.
pub async fn round(app: &App) -> Result<Round, StoreError> {
    let (current, Some(previous)) = app.sealer.key_ids() else { return Ok(Round::default()) };
    let (mut round, mut slices) = (Round::default(), SLICES);
    for kept in Kept::ALL {
        let mut after = 0;
        while slices > 0 {
            let rows = app.store.sealed_with(previous, kept, after, SLICE).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            slices -= 1;
            let anew: Vec<_> = rows.into_iter().filter_map(|row| anew(app, row)).collect();
            round.resealed += app.store.reseal(&anew).await?;
        }
    }
    round.left = app.store.count_sealed(current, Some(previous)).await?.previous;
    Ok(round)
}

fn anew(app: &App, row: SealedRow) -> Option<(SealedRow, Vec<u8>)> {
    match app.sealer.reseal(place(&row)?, &row.sealed) {
        Ok(sealed) => Some((row, sealed)),
        Err(error) => {
            tracing::error!(%error, kept = ?row.kept, row = row.id, "a stored secret is damaged");
            None
        }
    }
}

/// None for a webhook secret of no repository, of which there is none.
fn place(row: &SealedRow) -> Option<Place> {
    Some(match row.kept {
        Kept::Token => token_place(row.github_user),
        Kept::Secret | Kept::NextSecret | Kept::FormerSecret => secret_place(row.github_user, row.repo?),
    })
}
