//! What the graph holds at all: who asks this wants to know what is missing.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Value};

use super::{
    super::{micros, time},
    GraphStore, StoreError,
};
use crate::domain::{
    CommitSha, PrNumber, RepoId,
    graph::{Held, OpenPull},
};

impl GraphStore {
    /// What is held of one repository, or of all of them.
    pub async fn held(&self, repo: Option<RepoId>) -> Result<Vec<Held>, StoreError> {
        let sql = "SELECT repo_id, MAX(built) AS built, MAX(learned_until) AS learned_until FROM (\
                   SELECT repo_id, CAST(1 AS bigint) AS built, CAST(NULL AS bigint) AS learned_until \
                   FROM graph_repositories WHERE generation IS NOT NULL \
                   UNION ALL SELECT repo_id, CAST(0 AS bigint), learned_until FROM graph_histories) held \
                   WHERE CAST($1 AS bigint) IS NULL OR repo_id = $1 GROUP BY repo_id";
        let held = self.query(sql, [repo.map(|repo| repo.0).into()]).await?.into_iter().map(|row| {
            Ok(Held {
                repo: RepoId(row.try_get("", "repo_id")?),
                built: row.try_get::<i64>("", "built")? == 1,
                history: row.try_get::<Option<i64>>("", "learned_until")?.map(time),
            })
        });
        held.collect()
    }

    /// Everything that happened in a repository until `until` is here.
    pub async fn history_learned(&self, repo: RepoId, until: DateTime<Utc>) -> Result<(), StoreError> {
        let tx = self.begin(repo).await?;
        let sql = "INSERT INTO graph_histories (repo_id, learned_until) VALUES ($1, $2) \
                   ON CONFLICT (repo_id) DO UPDATE SET learned_until = excluded.learned_until";
        let values: [Value; 2] = [repo.0.into(), micros(until).into()];
        tx.execute_raw(self.store.sql(sql, values)).await?;
        tx.commit().await
    }

    /// The pull requests that it believes open, by number.
    pub async fn open_pulls(&self, repo: RepoId) -> Result<Vec<OpenPull>, StoreError> {
        let sql = "SELECT number, CASE WHEN files_at IS NOT NULL THEN head_sha END AS files_of FROM graph_pulls \
                   WHERE repo_id = $1 AND state = 'open' ORDER BY number";
        let open = self.query(sql, [repo.0.into()]).await?.into_iter().map(|row| {
            let files_of: Option<String> = row.try_get("", "files_of")?;
            Ok(OpenPull { number: PrNumber(row.try_get("", "number")?), files_of: files_of.map(CommitSha) })
        });
        open.collect()
    }
}
