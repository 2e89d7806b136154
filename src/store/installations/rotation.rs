//! Changing an installation's webhook secret, so that at every moment whichever GitHub signs with is known here.
//!
//! The new secret is on disk before GitHub is told and stays beside the old one until it is known that GitHub has it;
//! then the old one stays for a while for what is still on its way. One rotation at a time; whoever takes up one that was
//! left goes on with its secret, because GitHub may have it already.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryResult, Value};

use super::{InstallationId, Lane, Owned, Store, StoreError, active_state, entity, newest};
use crate::store::{micros, time};

/// A secret from before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerSecret {
    /// Sealed.
    pub secret: Vec<u8>,
    /// How long what it signed is accepted.
    pub until: DateTime<Utc>,
}

/// A rotation at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Tells it from others of its installation.
    pub id: String,
    /// What GitHub is to be told, sealed.
    pub secret: Vec<u8>,
}

impl Owned {
    /// The secrets that may have signed a delivery that arrives now, sealed: the present one, the one GitHub is being told,
    /// and those from before whose time is not over.
    pub fn secrets(&self, now: DateTime<Utc>) -> impl Iterator<Item = &[u8]> {
        let former = self.former.iter().filter(move |former| former.until > now);
        let installation = &self.installation;
        std::iter::once(&installation.secret)
            .chain(&installation.next_secret)
            .chain(former.map(|former| &former.secret))
            .map(Vec::as_slice)
    }
}

impl Store {
    /// Begins `rotation`, or goes on with the one that was left at `abandoned` or before. None: another is under way, or the
    /// installation is not active.
    pub async fn begin_rotation(
        &self,
        id: InstallationId,
        rotation: &Rotation,
        abandoned: DateTime<Utc>,
    ) -> Result<Option<Rotation>, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "UPDATE installations SET next_secret = COALESCE(next_secret, $2), rotation = COALESCE(rotation, $3), \
                   rotating_since = $4 WHERE id = $1 AND state = 'active' \
                   AND (rotating_since IS NULL OR rotating_since <= $5) RETURNING next_secret, rotation";
        let values: [Value; 5] = [
            id.0.into(),
            rotation.secret.clone().into(),
            rotation.id.clone().into(),
            self.now().into(),
            micros(abandoned).into(),
        ];
        let begun = tx.query_one_raw(self.sql(sql, values)).await?.as_ref().map(rotation_of).transpose()?;
        self.commit_installations(tx).await?;
        Ok(begun)
    }

    /// Takes up a rotation that was left at `abandoned` or before, so that of several processes one goes on with it.
    pub async fn take_rotation(
        &self,
        id: InstallationId,
        abandoned: DateTime<Utc>,
    ) -> Result<Option<Rotation>, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "UPDATE installations SET rotating_since = $2 WHERE id = $1 AND state = 'active' \
                   AND rotating_since <= $3 RETURNING next_secret, rotation";
        let values: [Value; 3] = [id.0.into(), self.now().into(), micros(abandoned).into()];
        let taken = tx.query_one_raw(self.sql(sql, values)).await?.as_ref().map(rotation_of).transpose()?;
        tx.commit().await?;
        Ok(taken)
    }

    /// GitHub has the new secret. What the old one signed is accepted until then. False if somebody else has ended the
    /// rotation.
    pub async fn finish_rotation(
        &self,
        id: InstallationId,
        rotation: &str,
        old_until: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        // First, so that on PostgreSQL the row is ours from here on.
        let sql = "UPDATE installations SET rotating_since = NULL WHERE id = $1 AND rotation = $2";
        let ours = tx.execute_raw(self.sql(sql, [id.0.into(), rotation.into()])).await?.rows_affected() == 1;
        if ours {
            let sql = "INSERT INTO former_secrets (installation_id, secret, until) \
                       SELECT id, secret, CAST($2 AS bigint) FROM installations WHERE id = $1";
            tx.execute_raw(self.sql(sql, [id.0.into(), micros(old_until).into()])).await?;
            let sql =
                "UPDATE installations SET secret = next_secret, next_secret = NULL, rotation = NULL WHERE id = $1";
            tx.execute_raw(self.sql(sql, [id.0.into()])).await?;
        }
        self.commit_installations(tx).await?;
        Ok(ours)
    }

    /// GitHub has refused the new secret of a rotation that nobody began before: there is only the old one.
    pub async fn drop_rotation(&self, id: InstallationId, rotation: &str) -> Result<(), StoreError> {
        let set = "next_secret = NULL, rotation = NULL, rotating_since = NULL";
        self.set_rotation(id, rotation, set).await
    }

    /// Nobody knows whether GitHub has the new secret: both stay, and whoever comes next goes on.
    pub async fn leave_rotation(&self, id: InstallationId, rotation: &str) -> Result<(), StoreError> {
        self.set_rotation(id, rotation, "rotating_since = 0").await
    }

    async fn set_rotation(&self, id: InstallationId, rotation: &str, set: &str) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = format!("UPDATE installations SET {set} WHERE id = $1 AND rotation = $2");
        tx.execute_raw(self.sql(&sql, [id.0.into(), rotation.into()])).await?;
        self.commit_installations(tx).await
    }

    /// The active installations whose rotation was left at `abandoned` or before.
    pub async fn left_rotations(&self, abandoned: DateTime<Utc>) -> Result<Vec<Owned>, StoreError> {
        let left = entity::Column::RotatingSince.lte(micros(abandoned));
        self.owned(newest().filter(active_state()).filter(left)).await
    }

    /// Forgets secrets whose time is over.
    pub async fn drop_former_secrets(&self) -> Result<u64, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let sql = "DELETE FROM former_secrets WHERE until <= $1";
        let dropped = tx.execute_raw(self.sql(sql, [self.now().into()])).await?.rows_affected();
        tx.commit().await?;
        Ok(dropped)
    }

    /// The secrets from before of every installation: few, and none for long.
    pub(super) async fn former_secrets(&self) -> Result<Vec<(InstallationId, FormerSecret)>, StoreError> {
        let sql = "SELECT installation_id, secret, until FROM former_secrets WHERE until > $1 ORDER BY id DESC";
        let rows = self.read().query_all_raw(self.sql(sql, [self.now().into()])).await?;
        rows.iter()
            .map(|row| {
                let former =
                    FormerSecret { secret: row.try_get("", "secret")?, until: time(row.try_get("", "until")?) };
                Ok((InstallationId(row.try_get("", "installation_id")?), former))
            })
            .collect()
    }
}

fn rotation_of(row: &QueryResult) -> Result<Rotation, StoreError> {
    Ok(Rotation { id: row.try_get("", "rotation")?, secret: row.try_get("", "next_secret")? })
}
