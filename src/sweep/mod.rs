//! What time brings: connections that were being made when a process died, repositories that nobody learned yet, and rows
//! whose time is over.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{accounts, app::Handle};

/// How often the house is swept.
const EVERY: Duration = Duration::from_secs(60);

/// Rows deleted in one transaction.
const SLICE: u64 = 200;

/// Sweeps at start and then every minute, until `shutdown`.
pub async fn run(app: Handle, shutdown: CancellationToken) {
    loop {
        once(&app).await;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// One round. What fails is logged and tried in the next.
pub async fn once(app: &Handle) {
    match accounts::connect::reconcile(app).await {
        Ok(0) => {}
        Ok(settled) => tracing::info!(settled, "settled connections that were interrupted"),
        Err(error) => tracing::warn!(%error, "cannot settle interrupted connections"),
    }
    match accounts::study::catch_up(app).await {
        Ok(0) => {}
        Ok(asked) => tracing::info!(asked, "repositories are learned that were connected before"),
        Err(error) => tracing::warn!(%error, "cannot look for repositories that were never learned"),
    }
    if let Err(error) = app.store.prune_rest(app.config.retention_days).await {
        tracing::warn!(%error, "cannot prune sessions and tasks");
    }
    loop {
        match app.store.prune_deliveries(app.config.retention_days, SLICE).await {
            Ok(0) => break,
            Ok(pruned) => tracing::info!(pruned, "deliveries past their retention deleted"),
            Err(error) => {
                tracing::warn!(%error, "cannot prune deliveries");
                break;
            }
        }
    }
}
