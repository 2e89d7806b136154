//! Connections of users to repositories, with their webhooks.
//!
//! A user has at most one connection to a repository that is not disconnected (a unique index); a webhook belongs to
//! at most one of those. Rows are never reused: connecting again makes a new one.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Select, sea_query::Expr};

use super::{Lane, Store, StoreError, WriteTx, time, users};
use crate::domain::{HookId, InstallationId, RepoId, RepoName, RepoRef, UserId};

mod catch_up;
mod connecting;
mod known;
mod rotation;

pub use catch_up::{CatchUp, HookState, Round};
pub use connecting::{Claim, NewInstallation};
pub use known::Freshness;
pub(super) use known::Memory;
pub use rotation::{FormerSecret, Rotation};

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallationState {
    /// The row exists; GitHub is being told.
    Connecting,
    /// Deliveries are accepted.
    Active,
    /// Ended; kept so that what was can still be looked at.
    Disconnected,
}

impl InstallationState {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Active => "active",
            Self::Disconnected => "disconnected",
        }
    }

    /// Reads [`InstallationState::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Connecting, Self::Active, Self::Disconnected].into_iter().find(|state| state.as_str() == text)
    }
}

/// One user's connection to one repository.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Our id.
    pub id: InstallationId,
    /// Whose.
    pub user: UserId,
    /// The repository, GitHub's spelling.
    pub repo: RepoRef,
    /// How far it has come.
    pub state: InstallationState,
    /// The webhook's secret, sealed.
    pub secret: Vec<u8>,
    /// The secret that GitHub is being told, sealed.
    pub next_secret: Option<Vec<u8>>,
    /// GitHub's id of the webhook.
    pub hook_id: Option<HookId>,
    /// The webhook's URL.
    pub hook_url: Option<String>,
    /// When GitHub last pinged, or else when a first delivery proved the webhook.
    pub verified_at: Option<DateTime<Utc>>,
    /// When a delivery last arrived.
    pub last_delivery_at: Option<DateTime<Utc>>,
    /// The HTTP status it got.
    pub last_status: Option<i64>,
    /// The bot's login.
    pub bot_login: Option<String>,
    /// Whether the bot can review.
    pub bot_can_review: Option<bool>,
    /// What to do if it cannot.
    pub bot_hint: Option<String>,
    /// When it became active.
    pub connected_at: Option<DateTime<Utc>>,
    /// How its webhook is, and how far it has caught up with what GitHub sent.
    pub catch_up: CatchUp,
}

/// An installation, its secrets, and whose they are, which is needed to open them.
#[derive(Debug, Clone)]
pub struct Owned {
    /// The installation.
    pub installation: Installation,
    /// GitHub's id of its user.
    pub github_user: i64,
    /// The secrets it had before.
    pub former: Vec<FormerSecret>,
}

/// Whether the bot can review a repository, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotStanding {
    /// The bot's login, if it has a token.
    pub login: Option<String>,
    /// Whether it sees the repository.
    pub can_review: bool,
    /// What to do if not.
    pub hint: Option<String>,
}

impl Installation {
    /// The secret GitHub has or is being told, sealed.
    pub fn newest_secret(&self) -> &[u8] {
        self.next_secret.as_ref().unwrap_or(&self.secret)
    }
}

/// What a proven delivery changes about its installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The webhook's id, where it was not known.
    pub hook: Option<HookId>,
    /// The repository's name, where it changed.
    pub renamed: Option<RepoRef>,
    /// Whether this is the first proof that the webhook works.
    pub verified: bool,
    /// The HTTP status we answer.
    pub status: u16,
}

impl Store {
    /// One installation.
    pub async fn installation(&self, id: InstallationId) -> Result<Option<Installation>, StoreError> {
        entity::Entity::find_by_id(id.0).one(self.read()).await?.map(Installation::try_from).transpose()
    }

    /// The user's active installations of repositories of this name, newest first. More than one only when a
    /// repository was deleted and another took its name.
    pub async fn active_installations_named(
        &self,
        user: UserId,
        repo: &RepoName,
    ) -> Result<Vec<Installation>, StoreError> {
        self.all(active(user).filter(entity::Column::RepoKey.eq(repo.key()))).await
    }

    /// Everybody's active installations of a repository, newest first.
    pub async fn active_installations_for(&self, repo: RepoId) -> Result<Vec<Installation>, StoreError> {
        self.all(newest().filter(entity::Column::RepoId.eq(repo.0)).filter(active_state())).await
    }

    /// The user's active installations, newest first.
    pub async fn active_installations_of(&self, user: UserId) -> Result<Vec<Installation>, StoreError> {
        self.all(active(user)).await
    }

    /// The name under which a repository is connected now, by whomever; none if it is not.
    pub async fn connected_repository(&self, repo: RepoId) -> Result<Option<RepoRef>, StoreError> {
        use entity::Column;
        let active = Column::State.eq(InstallationState::Active.as_str());
        let row = newest().filter(Column::RepoId.eq(repo.0)).filter(active).one(self.read()).await?;
        Ok(row.map(Installation::try_from).transpose()?.map(|installation| installation.repo))
    }

    /// The user's installations, past ones included, newest first.
    pub async fn installations_of(&self, user: UserId) -> Result<Vec<Installation>, StoreError> {
        use entity::Column;
        let established = Column::State.ne(InstallationState::Connecting.as_str());
        self.all(newest().filter(Column::UserId.eq(user.0)).filter(established)).await
    }

    /// Notes what a proven delivery told.
    pub async fn note_sighting(&self, id: InstallationId, sighting: &Sighting) -> Result<(), StoreError> {
        use entity::Column;
        let now = self.now();
        let tx = self.begin(Lane::Work).await?;
        let mut update = entity::Entity::update_many()
            .col_expr(Column::LastDeliveryAt, Expr::value(now))
            .col_expr(Column::LastStatus, Expr::value(i64::from(sighting.status)))
            .filter(Column::Id.eq(id.0));
        if let Some(hook) = sighting.hook {
            update = update.col_expr(Column::HookId, Expr::value(hook.0));
        }
        if sighting.verified {
            update = update.col_expr(Column::VerifiedAt, Expr::value(now));
        }
        update.exec(&*tx).await?;
        if let Some(repo) = &sighting.renamed {
            rename(&tx, repo).await?;
        }
        tx.commit().await?;
        if sighting.hook.is_some() || sighting.verified || sighting.renamed.is_some() {
            self.inner.known.changed();
        }
        Ok(())
    }

    /// Notes the names repositories have now.
    pub async fn note_names(&self, repos: &[RepoRef]) -> Result<(), StoreError> {
        if repos.is_empty() {
            return Ok(());
        }
        let tx = self.begin(Lane::Work).await?;
        for repo in repos {
            rename(&tx, repo).await?;
        }
        self.commit_installations(tx).await
    }

    /// Notes whether the bot can review.
    pub async fn note_bot(&self, id: InstallationId, bot: &BotStanding) -> Result<(), StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::update_many()
            .col_expr(Column::BotLogin, Expr::value(bot.login.clone()))
            .col_expr(Column::BotCanReview, Expr::value(bot.can_review))
            .col_expr(Column::BotHint, Expr::value(bot.hint.clone()))
            .filter(Column::Id.eq(id.0))
            .exec(&*tx)
            .await?;
        tx.commit().await
    }

    /// Ends an active installation; false if it was not active (any more).
    pub async fn end_installation(&self, id: InstallationId) -> Result<bool, StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        let ended = entity::Entity::update_many()
            .col_expr(Column::State, Expr::value(InstallationState::Disconnected.as_str()))
            .col_expr(Column::DisconnectedAt, Expr::value(self.now()))
            .filter(Column::Id.eq(id.0))
            .filter(Column::State.eq(InstallationState::Active.as_str()))
            .exec(&*tx)
            .await?;
        self.commit_installations(tx).await?;
        Ok(ended.rows_affected == 1)
    }

    async fn all(&self, rows: Select<entity::Entity>) -> Result<Vec<Installation>, StoreError> {
        rows.all(self.read()).await?.into_iter().map(Installation::try_from).collect()
    }

    async fn owned(&self, rows: Select<entity::Entity>) -> Result<Vec<Owned>, StoreError> {
        // The present secrets first: whichever becomes a former one meanwhile is found twice, not missed.
        let rows = rows.find_also_related(users::entity::Entity).all(self.read()).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let former = self.former_secrets().await?;
        rows.into_iter()
            .map(|(row, user)| {
                let user = user.ok_or_else(|| StoreError::Corrupt(format!("installation {} has no user", row.id)))?;
                let former = former.iter().filter(|(of, _)| of.0 == row.id).map(|(_, former)| former.clone()).collect();
                Ok(Owned { installation: row.try_into()?, github_user: user.github_id, former })
            })
            .collect()
    }
}

fn newest() -> Select<entity::Entity> {
    entity::Entity::find().order_by_desc(entity::Column::Id)
}

fn active(user: UserId) -> Select<entity::Entity> {
    newest().filter(entity::Column::UserId.eq(user.0)).filter(active_state())
}

fn active_state() -> Expr {
    entity::Column::State.eq(InstallationState::Active.as_str())
}

/// Gives every installation of a repository the name GitHub uses now.
pub(super) async fn rename(tx: &WriteTx, repo: &RepoRef) -> Result<(), StoreError> {
    use entity::Column;
    entity::Entity::update_many()
        .col_expr(Column::Repo, Expr::value(repo.name.to_string()))
        .col_expr(Column::RepoKey, Expr::value(repo.name.key()))
        .filter(Column::RepoId.eq(repo.id.0))
        .filter(Column::Repo.ne(repo.name.to_string()))
        .exec(&**tx)
        .await?;
    Ok(())
}

impl TryFrom<entity::Model> for Installation {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("installation {}: {what}", row.id));
        let name = RepoName::parse(&row.repo).ok_or_else(|| corrupt("not a repository name"))?;
        let state = InstallationState::parse(&row.state).ok_or_else(|| corrupt("unknown state"))?;
        let catch_up = CatchUp::of(&row);
        Ok(Self {
            id: InstallationId(row.id),
            user: UserId(row.user_id),
            repo: RepoRef { id: RepoId(row.repo_id), name },
            state,
            secret: row.secret,
            next_secret: row.next_secret,
            hook_id: row.hook_id.map(HookId),
            hook_url: row.hook_url,
            verified_at: row.verified_at.map(time),
            last_delivery_at: row.last_delivery_at.map(time),
            last_status: row.last_status,
            bot_login: row.bot_login,
            bot_can_review: row.bot_can_review,
            bot_hint: row.bot_hint,
            connected_at: row.connected_at.map(time),
            catch_up,
        })
    }
}

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "installations")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub user_id: i64,
        pub repo_id: i64,
        pub repo: String,
        pub repo_key: String,
        pub state: String,
        pub secret: Vec<u8>,
        pub hook_id: Option<i64>,
        pub hook_url: Option<String>,
        pub verified_at: Option<i64>,
        pub last_delivery_at: Option<i64>,
        pub last_status: Option<i64>,
        pub bot_login: Option<String>,
        pub bot_can_review: Option<bool>,
        pub bot_hint: Option<String>,
        pub created_at: i64,
        pub connected_at: Option<i64>,
        pub disconnected_at: Option<i64>,
        pub hook_state: Option<String>,
        pub hook_hint: Option<String>,
        pub record_until: Option<i64>,
        pub looked_until: Option<i64>,
        pub caught_up_at: Option<i64>,
        pub catch_up_due: Option<i64>,
        pub redelivered: Option<i64>,
        pub looked_at: Option<i64>,
        pub catch_up_error: Option<String>,
        pub next_secret: Option<Vec<u8>>,
        pub rotation: Option<String>,
        pub rotating_since: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "crate::store::users::entity::Entity",
            from = "Column::UserId",
            to = "crate::store::users::entity::Column::Id"
        )]
        User,
    }

    impl Related<crate::store::users::entity::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::User.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[cfg(test)]
mod tests;
