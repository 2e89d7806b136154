//! The rows of profiles: what the last project scan of each repository learned.

use sea_orm::{ConnectionTrait, Value};

use super::{Lane, Store, StoreError};
use crate::domain::{RepoId, profile::Profile};

impl Store {
    /// Keeps a profile in place of the one before.
    pub async fn keep_profile(&self, repo: RepoId, profile: &Profile) -> Result<(), StoreError> {
        let json = serde_json::to_string(profile).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let tx = self.begin(Lane::Work).await?;
        let sql = "INSERT INTO profiles (repo_id, profile, scanned_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (repo_id) DO UPDATE SET profile = excluded.profile, scanned_at = excluded.scanned_at";
        let values: [Value; 3] = [repo.0.into(), json.into(), self.now().into()];
        tx.execute_raw(self.sql(sql, values)).await?;
        tx.commit().await
    }

    /// The last profile of a repository.
    pub async fn profile(&self, repo: RepoId) -> Result<Option<Profile>, StoreError> {
        let sql = "SELECT profile FROM profiles WHERE repo_id = $1";
        let Some(row) = self.read().query_one_raw(self.sql(sql, [repo.0.into()])).await? else { return Ok(None) };
        let json: String = row.try_get("", "profile")?;
        serde_json::from_str(&json).map(Some).map_err(|error| StoreError::Corrupt(error.to_string()))
    }
}
