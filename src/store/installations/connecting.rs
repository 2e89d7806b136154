//! The life of a row that is being connected: begun, given a webhook, made active, or left behind and swept up.
//!
//! What GitHub is about to be told is written down first: a row without a webhook URL has told GitHub nothing, and a
//! URL or webhook written down by one connection is not touched by another. Every step is guarded on the row still
//! being `connecting`, so a connection that was given up cannot come back to life.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, Set, SqlErr,
    UpdateMany, sea_query::Expr,
};

use super::{HookState, Installation, InstallationState, Lane, Store, StoreError, WriteTx, entity};
use crate::{
    domain::{HookId, InstallationId, RepoId, RepoRef, UserId},
    store::micros,
};

/// A connection about to be made.
pub struct NewInstallation {
    /// Whose.
    pub user: UserId,
    /// The repository, GitHub's spelling.
    pub repo: RepoRef,
    /// The webhook's secret, sealed.
    pub secret: Vec<u8>,
}

/// What became of an attempt to reserve a webhook or its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Written down: it is ours to tell GitHub.
    Ours,
    /// It belongs to another connection.
    Taken,
    /// The row is not being connected any more.
    Gone,
}

impl Store {
    /// Begins a connection. None if the user has one, or one is being made; one begun at `abandoned` or before counts as
    /// dead and makes room.
    pub async fn begin_connecting(
        &self,
        new: NewInstallation,
        abandoned: DateTime<Utc>,
    ) -> Result<Option<InstallationId>, StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::delete_many()
            .filter(Column::UserId.eq(new.user.0))
            .filter(Column::RepoId.eq(new.repo.id.0))
            .filter(left_behind(abandoned))
            .exec(&*tx)
            .await?;
        let row = entity::ActiveModel {
            user_id: Set(new.user.0),
            repo_id: Set(new.repo.id.0),
            repo: Set(new.repo.name.to_string()),
            repo_key: Set(new.repo.name.key()),
            state: Set(InstallationState::Connecting.as_str().to_owned()),
            secret: Set(new.secret),
            created_at: Set(self.now()),
            ..Default::default()
        };
        match entity::Entity::insert(row).exec(&*tx).await {
            Ok(row) => {
                self.commit_installations(tx).await?;
                Ok(Some(InstallationId(row.last_insert_id)))
            }
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reserves a webhook URL for `id`, with `hook` the webhook that has it already, before GitHub is told. An existing
    /// webhook is taken when another living connection has it, a new URL when another living connection has that.
    pub async fn claim_hook(
        &self,
        id: InstallationId,
        repo: RepoId,
        url: &str,
        hook: Option<HookId>,
    ) -> Result<Claim, StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        one_at_a_time(&tx, repo).await?;
        let claimed = match hook {
            Some(hook) => has_hook(hook, url),
            None => Column::HookUrl.eq(url).into(),
        };
        if others(id, repo).filter(claimed).count(&*tx).await? > 0 {
            return Ok(Claim::Taken);
        }
        let claimed = step(id)
            .col_expr(Column::HookUrl, Expr::value(url))
            .col_expr(Column::HookId, Expr::value(hook.map(|hook| hook.0)))
            .exec(&*tx)
            .await?;
        self.commit_installations(tx).await?;
        Ok(if claimed.rows_affected == 1 { Claim::Ours } else { Claim::Gone })
    }

    /// Makes a connection active with the webhook GitHub gave. False if it is not being connected any more, or the
    /// webhook has become another connection's.
    pub async fn activate(
        &self,
        id: InstallationId,
        repo: RepoId,
        hook: HookId,
        url: &str,
    ) -> Result<bool, StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        one_at_a_time(&tx, repo).await?;
        if others(id, repo).filter(Column::HookId.eq(hook.0)).count(&*tx).await? > 0 {
            return Ok(false);
        }
        let activated = step(id)
            .col_expr(Column::State, Expr::value(InstallationState::Active.as_str()))
            .col_expr(Column::HookId, Expr::value(hook.0))
            .col_expr(Column::HookUrl, Expr::value(url))
            .col_expr(Column::ConnectedAt, Expr::value(self.now()))
            .col_expr(Column::HookState, Expr::value(HookState::Ok.as_str()))
            .exec(&*tx)
            .await?;
        self.commit_installations(tx).await?;
        Ok(activated.rows_affected == 1)
    }

    /// Whether a webhook belongs to a living connection other than `id`, or is about to.
    pub async fn hook_has_owner(
        &self,
        id: InstallationId,
        repo: RepoId,
        hook: HookId,
        url: &str,
    ) -> Result<bool, StoreError> {
        Ok(others(id, repo).filter(has_hook(hook, url)).count(self.read()).await? > 0)
    }

    /// Removes a connection that came to nothing.
    pub async fn drop_connecting(&self, id: InstallationId) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::delete_many()
            .filter(entity::Column::Id.eq(id.0))
            .filter(entity::Column::State.eq(InstallationState::Connecting.as_str()))
            .exec(&*tx)
            .await?;
        self.commit_installations(tx).await
    }

    /// Gives a connection up without knowing what GitHub did: it is left behind as of now, for
    /// [`Store::left_connecting`] to find, and stands in nobody's way.
    pub async fn leave_connecting(&self, id: InstallationId) -> Result<(), StoreError> {
        let tx = self.begin(Lane::Work).await?;
        step(id).col_expr(entity::Column::CreatedAt, Expr::value(0i64)).exec(&*tx).await?;
        tx.commit().await
    }

    /// The connections left behind: begun at `abandoned` or before and still being made.
    pub async fn left_connecting(&self, abandoned: DateTime<Utc>) -> Result<Vec<Installation>, StoreError> {
        self.all(entity::Entity::find().filter(left_behind(abandoned))).await
    }

    /// Takes a connection left behind, so that of several processes one cleans up after it. It counts as begun now.
    pub async fn take_left(&self, id: InstallationId, abandoned: DateTime<Utc>) -> Result<bool, StoreError> {
        let tx = self.begin(Lane::Work).await?;
        let taken = step(id)
            .col_expr(entity::Column::CreatedAt, Expr::value(self.now()))
            .filter(left_behind(abandoned))
            .exec(&*tx)
            .await?;
        tx.commit().await?;
        Ok(taken.rows_affected == 1)
    }
}

/// A change to a row that is being connected.
fn step(id: InstallationId) -> UpdateMany<entity::Entity> {
    use entity::Column;
    entity::Entity::update_many()
        .filter(Column::Id.eq(id.0))
        .filter(Column::State.eq(InstallationState::Connecting.as_str()))
}

fn left_behind(abandoned: DateTime<Utc>) -> Condition {
    use entity::Column;
    Condition::all()
        .add(Column::State.eq(InstallationState::Connecting.as_str()))
        .add(Column::CreatedAt.lte(micros(abandoned)))
}

/// The living connections to a repository but one.
fn others(id: InstallationId, repo: RepoId) -> sea_orm::Select<entity::Entity> {
    use entity::Column;
    entity::Entity::find()
        .filter(Column::RepoId.eq(repo.0))
        .filter(Column::Id.ne(id.0))
        .filter(Column::State.ne(InstallationState::Disconnected.as_str()))
}

/// Has this webhook, or is about to be given it: its id is not known before GitHub has answered.
fn has_hook(hook: HookId, url: &str) -> Condition {
    use entity::Column;
    Condition::any().add(Column::HookId.eq(hook.0)).add(
        Condition::all().add(Column::State.eq(InstallationState::Connecting.as_str())).add(Column::HookUrl.eq(url)),
    )
}

/// Claims on one repository's webhooks look before they write. SQLite has one writer anyway.
async fn one_at_a_time(tx: &WriteTx, repo: RepoId) -> Result<(), StoreError> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({})", repo.0)).await?;
    }
    Ok(())
}
