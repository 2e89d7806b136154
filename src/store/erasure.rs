//! Erasing what is kept of installations, and people.
//!
//! A row of `erasures` is a promise: it is written by the transaction that ends the installation, and stays until nothing
//! of it is left, so that whoever sweeps can go on where somebody died. What is being worked on is left to its worker and
//! goes afterwards. Every step is safe to repeat, and its transactions are short.
//!
//! Of what was posted on GitHub the identity stays (which commit of which pull request, and GitHub's id): without it the
//! same review would be posted again when the repository is connected again.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::{Lane, Store, StoreError, WriteTx, reviews::ReviewDraft, time};
use crate::domain::{HookId, InstallationId, RepoId, UserId};

/// The promise to erase one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Which.
    pub installation: InstallationId,
    /// Whose it was.
    pub user: UserId,
    /// The repository.
    pub repo: RepoId,
    /// Its webhook, while GitHub has not been asked to remove it.
    pub hook: Option<HookId>,
    /// When that was asked for.
    pub since: DateTime<Utc>,
}

impl Store {
    /// Ends what the user has connected of a repository, and promises to erase that and what they had connected of it
    /// before.
    pub async fn begin_erasure(&self, user: UserId, repo: RepoId) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        self.promise(&tx, user, Some(repo)).await?;
        self.commit_installations(tx).await
    }

    /// Ends everything somebody has connected and every session, and promises to erase them. Once begun it is not taken
    /// back.
    pub async fn begin_leaving(&self, user: UserId) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "UPDATE users SET leaving_at = COALESCE(leaving_at, $2) WHERE id = $1";
        tx.execute_raw(self.sql(sql, [user.0.into(), self.now().into()])).await?;
        tx.execute_raw(self.sql("DELETE FROM sessions WHERE user_id = $1", [user.0.into()])).await?;
        self.promise(&tx, user, None).await?;
        self.commit_installations(tx).await
    }

    /// `repo`: none for all of them, also those that are just being connected.
    async fn promise(&self, tx: &WriteTx, user: UserId, repo: Option<RepoId>) -> Result<(), StoreError> {
        let now = self.now();
        let states = if repo.is_some() { "('active')" } else { "('active', 'connecting')" };
        let these = "user_id = $1 AND (CAST($2 AS bigint) IS NULL OR repo_id = $2)";
        let sql = format!(
            "UPDATE installations SET state = 'disconnected', disconnected_at = $3 WHERE {these} AND state IN {states} \
             RETURNING id, hook_id"
        );
        let values = || -> [Value; 3] { [user.0.into(), repo.map(|repo| repo.0).into(), now.into()] };
        let ended = tx.query_all_raw(self.sql(&sql, values())).await?;
        let sql = format!(
            "INSERT INTO erasures (installation_id, user_id, repo_id, since) SELECT id, user_id, repo_id, $3 \
             FROM installations WHERE {these} AND state = 'disconnected' ON CONFLICT (installation_id) DO NOTHING"
        );
        tx.execute_raw(self.sql(&sql, values())).await?;
        for row in ended {
            let (id, hook): (i64, Option<i64>) = (row.try_get("", "id")?, row.try_get("", "hook_id")?);
            let sql = "UPDATE erasures SET hook_id = $2 WHERE installation_id = $1";
            tx.execute_raw(self.sql(sql, [id.into(), hook.into()])).await?;
        }
        Ok(())
    }

    /// People who are going.
    pub async fn leaving(&self) -> Result<Vec<UserId>, StoreError> {
        let rows = self.read().query_all_raw(self.sql("SELECT id FROM users WHERE leaving_at IS NOT NULL", [])).await?;
        rows.iter().map(|row| Ok(UserId(row.try_get("", "id")?))).collect()
    }

    /// All promises that are open, oldest first.
    pub async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        let sql =
            "SELECT installation_id, user_id, repo_id, hook_id, since FROM erasures ORDER BY since, installation_id";
        self.read().query_all_raw(self.sql(sql, [])).await?.iter().map(erasure).collect()
    }

    /// GitHub has been asked to remove the webhook.
    pub async fn webhook_seen_to(&self, id: InstallationId) -> Result<(), StoreError> {
        let sql = "UPDATE erasures SET hook_id = NULL WHERE installation_id = $1";
        self.one(sql, [id.0.into()]).await.map(drop)
    }

    /// Forgets somebody, whose webhooks have been seen to: installations, sessions, what GitHub showed them, and who they
    /// were. What their installations received goes with its promises.
    pub async fn forget_user(&self, user: UserId) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        // Whoever was just connecting something has ended too.
        self.promise(&tx, user, None).await?;
        let secrets = "DELETE FROM former_secrets WHERE installation_id IN \
                       (SELECT id FROM installations WHERE user_id = $1)";
        let by_user =
            ["installations", "access", "sessions"].map(|table| format!("DELETE FROM {table} WHERE user_id = $1"));
        for sql in
            [secrets].into_iter().chain(by_user.iter().map(String::as_str)).chain(["DELETE FROM users WHERE id = $1"])
        {
            tx.execute_raw(self.sql(sql, [user.0.into()])).await?;
        }
        self.commit_installations(tx).await
    }

    /// Erases at most `limit` deliveries, with their attempts. Returns how many.
    pub async fn erase_deliveries(&self, id: InstallationId, limit: u64) -> Result<u64, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "DELETE FROM deliveries WHERE status <> 'running' AND id IN (SELECT id FROM deliveries \
                   WHERE installation_id = $1 AND status <> 'running' LIMIT $2) RETURNING id";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = tx.query_all_raw(self.sql(sql, [id.0.into(), limit.into()])).await?;
        let gone = self.erase_attempts(&tx, "delivery", &rows).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Erases everything else of an installation. What is learned of a repository for all who have it connected becomes
    /// theirs. False if something is still being worked on.
    pub async fn erase_rest(&self, erasure: &Erasure) -> Result<bool, StoreError> {
        let (id, user, repo) = (erasure.installation.0, erasure.user.0, erasure.repo.0);
        let tx = self.begin(Lane::Work).await?;
        let sql = "UPDATE tasks SET installation_id = (SELECT MIN(id) FROM installations WHERE repo_id = $2 \
                   AND state = 'active') WHERE installation_id = $1 AND kind NOT IN ('review', 'catch_up', 'look') \
                   AND EXISTS (SELECT 1 FROM installations WHERE repo_id = $2 AND state = 'active')";
        tx.execute_raw(self.sql(sql, [id.into(), repo.into()])).await?;
        let sql = "DELETE FROM tasks WHERE installation_id = $1 AND status <> 'running' RETURNING id";
        let rows = tx.query_all_raw(self.sql(sql, [id.into()])).await?;
        self.erase_attempts(&tx, "task", &rows).await?;
        for table in ["missed", "rejected", "former_secrets"] {
            let sql = format!("DELETE FROM {table} WHERE installation_id = $1");
            tx.execute_raw(self.sql(&sql, [id.into()])).await?;
        }
        let sql = "DELETE FROM access WHERE user_id = $1 AND repo_id = $2";
        tx.execute_raw(self.sql(sql, [user.into(), repo.into()])).await?;
        let sql = "SELECT 1 AS one FROM deliveries WHERE installation_id = $1 UNION ALL \
                   SELECT 1 AS one FROM tasks WHERE installation_id = $1 LIMIT 1";
        let left = tx.query_one_raw(self.sql(sql, [id.into()])).await?.is_some();
        tx.commit().await?;
        Ok(!left)
    }

    async fn erase_attempts(&self, tx: &WriteTx, source: &str, rows: &[QueryResult]) -> Result<u64, StoreError> {
        let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<i64>, _>>()?;
        if !ids.is_empty() {
            let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
            let sql = format!("DELETE FROM attempts WHERE source = $1 AND work_id IN ({list})");
            tx.execute_raw(self.sql(&sql, [source.into()])).await?;
        }
        Ok(ids.len() as u64)
    }

    /// Whether anybody has the repository connected, or is about to.
    pub async fn is_connected(&self, repo: RepoId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM installations WHERE repo_id = $1 AND state <> 'disconnected' LIMIT 1";
        Ok(self.read().query_one_raw(self.sql(sql, [repo.0.into()])).await?.is_some())
    }

    /// Erases at most `limit` reviews of a repository nobody has connected any more, and its profile. Returns how many.
    pub async fn erase_reviews(&self, repo: RepoId, limit: u64) -> Result<u64, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let reviews = "DELETE FROM reviews WHERE id IN (SELECT id FROM reviews WHERE repo_id = $1 LIMIT $2)";
        let gone = self.one(reviews, [repo.0.into(), limit.into()]).await?;
        Ok(gone + self.one("DELETE FROM profiles WHERE repo_id = $1", [repo.0.into()]).await?)
    }

    /// Erases what was said on GitHub, after the effect `after`; that it was said stays. Returns the last effect that was
    /// looked at, none if there are no more.
    pub async fn erase_words(&self, repo: RepoId, after: i64, limit: u64) -> Result<Option<i64>, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "SELECT id, draft FROM effects WHERE repo_id = $1 AND id > $2 ORDER BY id LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut last = None;
        for row in tx.query_all_raw(self.sql(sql, [repo.0.into(), after.into(), limit.into()])).await? {
            let id: i64 = row.try_get("", "id")?;
            let draft = ReviewDraft::from_json(&row.try_get::<String>("", "draft")?)?;
            let values: [Value; 2] = [id.into(), draft.without_words().to_json()?.into()];
            tx.execute_raw(self.sql("UPDATE effects SET draft = $2 WHERE id = $1", values)).await?;
            last = Some(id);
        }
        tx.commit().await?;
        Ok(last)
    }

    /// Everything is gone: the installation's row goes, and the promise is kept.
    pub async fn end_erasure(&self, id: InstallationId) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        for sql in ["DELETE FROM installations WHERE id = $1", "DELETE FROM erasures WHERE installation_id = $1"] {
            tx.execute_raw(self.sql(sql, [id.0.into()])).await?;
        }
        self.commit_installations(tx).await
    }

    async fn one<const N: usize>(&self, sql: &str, values: [Value; N]) -> Result<u64, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let rows = tx.execute_raw(self.sql(sql, values)).await?.rows_affected();
        tx.commit().await?;
        Ok(rows)
    }
}

fn erasure(row: &QueryResult) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        installation: InstallationId(row.try_get("", "installation_id")?),
        user: UserId(row.try_get("", "user_id")?),
        repo: RepoId(row.try_get("", "repo_id")?),
        hook: row.try_get::<Option<i64>>("", "hook_id")?.map(HookId),
        since: time(row.try_get("", "since")?),
    })
}
