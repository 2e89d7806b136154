//! Which key the secrets in the database are sealed with, and sealing them anew.
//!
//! A sealed value begins with the id of its key, so which rows are left is asked of the database. A row is replaced only
//! while it holds what was read: whoever changed it meanwhile has sealed it with the present key.

use sea_orm::{ConnectionTrait, Value};

use super::{Lane, Store, StoreError};
use crate::domain::RepoId;

/// The first bytes of a sealed value.
pub type KeyId = [u8; 4];

/// Where sealed values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// GitHub tokens of people.
    Token,
    /// Webhook secrets.
    Secret,
    /// Webhook secrets that GitHub is being told.
    NextSecret,
    /// Webhook secrets from before.
    FormerSecret,
}

/// A sealed value and whose it is.
#[derive(Debug, Clone)]
pub struct SealedRow {
    /// Where it is.
    pub kept: Kept,
    /// Which row.
    pub id: i64,
    /// GitHub's id of its user.
    pub github_user: i64,
    /// The repository, if it belongs to one.
    pub repo: Option<RepoId>,
    /// The value.
    pub sealed: Vec<u8>,
}

/// How many sealed values there are, by key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealedCounts {
    /// The present key.
    pub current: u64,
    /// The previous one.
    pub previous: u64,
    /// Any other: they cannot be opened.
    pub other: u64,
}

impl Kept {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Token, Self::Secret, Self::NextSecret, Self::FormerSecret];

    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Token => ("users", "token"),
            Self::Secret => ("installations", "secret"),
            Self::NextSecret => ("installations", "next_secret"),
            Self::FormerSecret => ("former_secrets", "secret"),
        }
    }

    /// Rows `s` with their user and repository.
    fn rows(self) -> &'static str {
        match self {
            Self::Token => "s.github_id AS github_user, CAST(NULL AS bigint) AS repo_id FROM users s",
            Self::Secret | Self::NextSecret => {
                "u.github_id AS github_user, s.repo_id AS repo_id FROM installations s JOIN users u ON u.id = s.user_id"
            }
            Self::FormerSecret => {
                "u.github_id AS github_user, i.repo_id AS repo_id FROM former_secrets s \
                 JOIN installations i ON i.id = s.installation_id JOIN users u ON u.id = i.user_id"
            }
        }
    }
}

impl Store {
    /// At most `limit` values of one kind that are sealed with this key, by row, after the row `after`.
    pub async fn sealed_with(
        &self,
        key: KeyId,
        kept: Kept,
        after: i64,
        limit: u64,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let ((_, column), rows) = (kept.place(), kept.rows());
        let sql = format!(
            "SELECT s.id AS id, s.{column} AS sealed, {rows} WHERE substr(s.{column}, 1, 4) = $1 AND s.id > $2 \
             ORDER BY s.id LIMIT $3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: [Value; 3] = [key.to_vec().into(), after.into(), limit.into()];
        let rows = self.read().query_all_raw(self.sql(&sql, values)).await?;
        rows.iter()
            .map(|row| {
                Ok(SealedRow {
                    kept,
                    id: row.try_get("", "id")?,
                    github_user: row.try_get("", "github_user")?,
                    repo: row.try_get::<Option<i64>>("", "repo_id")?.map(RepoId),
                    sealed: row.try_get("", "sealed")?,
                })
            })
            .collect()
    }

    /// Puts newly sealed values in place of these. Returns how many were still what was read.
    pub async fn reseal(&self, rows: &[(SealedRow, Vec<u8>)]) -> Result<u64, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let mut resealed = 0;
        for (row, sealed) in rows {
            let (table, column) = row.kept.place();
            let sql = format!("UPDATE {table} SET {column} = $2 WHERE id = $1 AND {column} = $3");
            let values: [Value; 3] = [row.id.into(), sealed.clone().into(), row.sealed.clone().into()];
            resealed += tx.execute_raw(self.sql(&sql, values)).await?.rows_affected();
        }
        self.commit_installations(tx).await?;
        Ok(resealed)
    }

    /// How many values are sealed with which key.
    pub async fn count_sealed(&self, current: KeyId, previous: Option<KeyId>) -> Result<SealedCounts, StoreError> {
        let mut counts = SealedCounts::default();
        for kept in Kept::ALL {
            let (table, column) = kept.place();
            let sql = format!(
                "SELECT substr({column}, 1, 4) AS key, COUNT(*) AS count FROM {table} WHERE {column} IS NOT NULL \
                 GROUP BY substr({column}, 1, 4)"
            );
            for row in self.read().query_all_raw(self.sql(&sql, [])).await? {
                let key: Vec<u8> = row.try_get("", "key")?;
                let count = u64::try_from(row.try_get::<i64>("", "count")?).unwrap_or(0);
                match key.as_slice() {
                    key if key == current => counts.current += count,
                    key if previous.is_some_and(|previous| key == previous) => counts.previous += count,
                    _ => counts.other += count,
                }
            }
        }
        Ok(counts)
    }
}
