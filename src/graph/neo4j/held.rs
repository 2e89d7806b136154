//! What the graph holds at all: who asks this wants to know what is missing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use neo4rs::query;
use serde::Deserialize;

use super::{GraphError, SOON, server::Server, time};
use crate::domain::{
    CommitSha, PrNumber, RepoId,
    graph::{Held, OpenPull},
};

/// How long a write or a listing may take.
const LIMIT: Duration = Duration::from_secs(10);

const ALL: &str = "
    MATCH (s:Scan)
    RETURN s.repo_id AS repo, s.generation IS NOT NULL AS built, s.learned_until AS learned_until";

const ONE: &str = "
    MATCH (s:Scan {repo_id: $repo})
    RETURN s.repo_id AS repo, s.generation IS NOT NULL AS built, s.learned_until AS learned_until";

const LEARNED: &str = "
    MERGE (s:Scan {repo_id: $repo})
    SET s.learned_until = $until";

const OPEN: &str = "
    MATCH (p:PullRequest {repo_id: $repo, state: 'open'})
    RETURN p.number AS number, CASE WHEN p.files_at IS NOT NULL THEN p.head_sha END AS files_of
    ORDER BY number";

#[derive(Deserialize)]
struct HeldRow {
    repo: i64,
    built: bool,
    learned_until: Option<i64>,
}

#[derive(Deserialize)]
struct OpenRow {
    number: i64,
    files_of: Option<String>,
}

pub(super) async fn held(server: &Server, repo: Option<RepoId>) -> Result<Vec<Held>, GraphError> {
    let query = match repo {
        Some(repo) => query(ONE).param("repo", repo.0),
        None => query(ALL),
    };
    let rows: Vec<HeldRow> = server.read(SOON, query).await?;
    let held = |row: HeldRow| Held { repo: RepoId(row.repo), built: row.built, history: row.learned_until.map(time) };
    Ok(rows.into_iter().map(held).collect())
}

pub(super) async fn history_learned(server: &Server, repo: RepoId, until: DateTime<Utc>) -> Result<(), GraphError> {
    server
        .persist_within(LIMIT, || async {
            let mut transaction = server.begin(LIMIT).await?;
            let learned = query(LEARNED).param("repo", repo.0).param("until", until.timestamp_micros());
            transaction.run(learned).await?;
            transaction.commit().await
        })
        .await
}

pub(super) async fn open_pulls(server: &Server, repo: RepoId) -> Result<Vec<OpenPull>, GraphError> {
    let rows: Vec<OpenRow> = server.read(LIMIT, query(OPEN).param("repo", repo.0)).await?;
    let open = |row: OpenRow| OpenPull { number: PrNumber(row.number), files_of: row.files_of.map(CommitSha) };
    Ok(rows.into_iter().map(open).collect())
}
