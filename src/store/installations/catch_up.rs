//! How a connection's webhook is, and how far it has caught up with what GitHub sent.
//!
//! Two marks only ever move forward: up to `record_until` GitHub's record of deliveries has been gone through, and up to
//! `looked_until` the pull requests themselves have been looked at. Whoever moves one has first put on disk what is still
//! to be done about the time before it.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Value, sea_query::Expr,
};

use super::{Installation, Lane, Store, StoreError, active_state, entity};
use crate::{
    domain::{HookId, InstallationId, task::TaskKind},
    store::{micros, time, work::clean},
};

/// How a webhook is at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HookState {
    /// It delivers to us.
    Ok,
    /// It was deleted.
    Missing,
    /// It is switched off, or does not send the events that are used.
    Inactive,
    /// It delivers to somebody else.
    Repointed,
    /// Its last delivery was not taken.
    Failing,
    /// GitHub did not say, or not to us.
    #[default]
    Unknown,
}

impl HookState {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ok, Self::Missing, Self::Inactive, Self::Repointed, Self::Failing, Self::Unknown];

    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Inactive => "inactive",
            Self::Repointed => "repointed",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
        }
    }

    /// Reads [`HookState::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What is known of a webhook, and of the last time its connection caught up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// How the webhook is.
    pub hook: HookState,
    /// What to do about it.
    pub hint: Option<String>,
    /// GitHub's record of deliveries has been gone through up to here.
    pub record_until: Option<DateTime<Utc>>,
    /// The pull requests have been looked at up to here.
    pub looked_until: Option<DateTime<Utc>>,
    /// When the last round ended.
    pub at: Option<DateTime<Utc>>,
    /// Deliveries GitHub was asked for again in the last round.
    pub redelivered: i64,
    /// Pull requests that the last round found worth a look.
    pub looked_at: i64,
    /// What stood in its way.
    pub error: Option<String>,
}

impl CatchUp {
    pub(super) fn of(row: &entity::Model) -> Self {
        Self {
            hook: row.hook_state.as_deref().and_then(HookState::parse).unwrap_or(HookState::Unknown),
            hint: row.hook_hint.clone(),
            record_until: row.record_until.map(time),
            looked_until: row.looked_until.map(time),
            at: row.caught_up_at.map(time),
            redelivered: row.redelivered.unwrap_or(0),
            looked_at: row.looked_at.unwrap_or(0),
            error: row.catch_up_error.clone(),
        }
    }
}

/// How a round of catching up ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Deliveries GitHub was asked for again.
    pub redelivered: i64,
    /// Pull requests worth a look.
    pub looked_at: i64,
    /// What stood in its way.
    pub error: Option<String>,
}

impl Store {
    /// Notes how a webhook is, and what to do about it.
    pub async fn note_hook(&self, id: InstallationId, hook: HookState, hint: Option<&str>) -> Result<(), StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::update_many()
            .col_expr(Column::HookState, Expr::value(hook.as_str()))
            .col_expr(Column::HookHint, Expr::value(hint.map(clean)))
            .filter(Column::Id.eq(id.0))
            .exec(&*tx)
            .await?;
        tx.commit().await
    }

    /// How many webhooks of active installations are how.
    pub async fn webhooks(&self) -> Result<[(HookState, i64); HookState::ALL.len()], StoreError> {
        let mut known = HookState::ALL.map(|state| (state, 0));
        let sql = "SELECT hook_state, COUNT(*) AS rows FROM installations WHERE state = 'active' GROUP BY hook_state";
        for row in self.read().query_all_raw(self.sql(sql, [])).await? {
            let word: Option<String> = row.try_get("", "hook_state")?;
            let state = word.as_deref().and_then(HookState::parse).unwrap_or_default();
            if let Some((_, count)) = known.iter_mut().find(|(of, _)| *of == state) {
                *count += row.try_get::<i64>("", "rows")?;
            }
        }
        Ok(known)
    }

    /// Active installations whose webhook does not deliver or whose repository the bot cannot review, as far as is known:
    /// the repository and what is wrong, at most `limit`.
    pub async fn unwell(&self, limit: u64) -> Result<Vec<(String, String)>, StoreError> {
        use entity::Column;
        let sick = [HookState::Ok, HookState::Unknown].map(HookState::as_str);
        let sick = Column::HookState.is_not_in(sick).or(Column::BotCanReview.eq(false));
        let rows = entity::Entity::find().filter(active_state()).filter(sick).order_by_asc(Column::Repo).limit(limit);
        let why = |row: entity::Model| {
            let known = CatchUp::of(&row);
            let hook = !matches!(known.hook, HookState::Ok | HookState::Unknown);
            let hook =
                hook.then(|| format!("its webhook is {}: {}", known.hook.as_str(), known.hint.unwrap_or_default()));
            let bot = (row.bot_can_review == Some(false)).then(|| row.bot_hint.unwrap_or_default());
            (row.repo, hook.into_iter().chain(bot).collect::<Vec<_>>().join("; "))
        };
        Ok(rows.all(self.read()).await?.into_iter().map(why).collect())
    }

    /// An active installation has another webhook now, with this URL. False if it has ended meanwhile.
    pub async fn replace_hook(&self, id: InstallationId, hook: HookId, url: &str) -> Result<bool, StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        let replaced = entity::Entity::update_many()
            .col_expr(Column::HookId, Expr::value(hook.0))
            .col_expr(Column::HookUrl, Expr::value(url))
            .filter(Column::Id.eq(id.0))
            .filter(active_state())
            .exec(&*tx)
            .await?;
        self.commit_installations(tx).await?;
        Ok(replaced.rows_affected == 1)
    }

    /// An installation whose secret cannot be opened any more gets another.
    pub async fn replace_secret(&self, id: InstallationId, sealed: Vec<u8>) -> Result<(), StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::update_many()
            .col_expr(Column::Secret, Expr::value(sealed))
            .filter(Column::Id.eq(id.0))
            .exec(&*tx)
            .await?;
        self.commit_installations(tx).await
    }

    /// The pull requests have been looked at up to `until`.
    pub async fn looked_until(&self, id: InstallationId, until: DateTime<Utc>) -> Result<(), StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::update_many()
            .col_expr(Column::LookedUntil, Expr::value(micros(until)))
            .filter(Column::Id.eq(id.0))
            .exec(&*tx)
            .await?;
        tx.commit().await
    }

    /// A round of catching up has ended; the next is due at `due`.
    pub async fn caught_up(&self, id: InstallationId, round: &Round, due: DateTime<Utc>) -> Result<(), StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::update_many()
            .col_expr(Column::CaughtUpAt, Expr::value(self.now()))
            .col_expr(Column::CatchUpDue, Expr::value(micros(due)))
            .col_expr(Column::Redelivered, Expr::value(round.redelivered))
            .col_expr(Column::LookedAt, Expr::value(round.looked_at))
            .col_expr(Column::CatchUpError, Expr::value(round.error.as_deref().map(clean)))
            .filter(Column::Id.eq(id.0))
            .exec(&*tx)
            .await?;
        tx.commit().await
    }

    /// What stands in the way of a round that will go on later.
    pub async fn catch_up_waits(&self, id: InstallationId, error: &str) -> Result<(), StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::update_many()
            .col_expr(Column::CatchUpError, Expr::value(clean(error)))
            .filter(Column::Id.eq(id.0))
            .exec(&*tx)
            .await?;
        tx.commit().await
    }

    /// The active installations that have not caught up since `started`, or whose next round is due (the first: when
    /// they were connected at `before`), those that waited longest first. One whose round is already to be worked on is
    /// not among them.
    pub async fn catch_up_due(
        &self,
        started: DateTime<Utc>,
        before: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<Installation>, StoreError> {
        let sql = "SELECT id FROM installations i WHERE state = 'active' \
                   AND (COALESCE(caught_up_at, connected_at) < $1 OR catch_up_due <= $2 \
                   OR (catch_up_due IS NULL AND connected_at <= $3)) \
                   AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.kind = $4 AND t.key = CAST(i.id AS text) \
                   AND t.due_at IS NOT NULL) ORDER BY COALESCE(caught_up_at, connected_at), id LIMIT $5";
        let values: [Value; 5] = [
            micros(started).into(),
            self.now().into(),
            micros(before).into(),
            TaskKind::CatchUp.as_str().into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ];
        let rows = self.read().query_all_raw(self.sql(sql, values)).await?;
        let ids = rows.iter().map(|row| row.try_get::<i64>("", "id")).collect::<Result<Vec<_>, _>>()?;
        self.all(entity::Entity::find().filter(entity::Column::Id.is_in(ids))).await
    }
}
