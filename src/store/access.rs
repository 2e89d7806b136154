//! What GitHub last answered when it was asked whether somebody may see a repository.
//!
//! A no wipes out the yes before it: an outage that follows must not bring it back.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set, sea_query::OnConflict};

use super::{Lane, Store, StoreError, WriteTx, installations, time};
use crate::domain::{RepoId, RepoName, RepoRef, UserId};

/// One remembered answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What it was.
    pub allowed: bool,
    /// When GitHub gave it.
    pub checked_at: DateTime<Utc>,
    /// When GitHub last said yes, if it has not said no since.
    pub last_yes_at: Option<DateTime<Utc>>,
}

/// An answer to remember.
#[derive(Debug, Clone)]
pub enum Heard {
    /// GitHub shows the repository, and spells its name so now.
    Yes(RepoName),
    /// It does not.
    No,
}

impl Store {
    /// What is remembered of what `user` may see.
    pub async fn answers(&self, user: UserId) -> Result<HashMap<RepoId, Answer>, StoreError> {
        let rows = entity::Entity::find().filter(entity::Column::UserId.eq(user.0)).all(self.read()).await?;
        Ok(rows.into_iter().map(|row| (RepoId(row.repo_id), Answer::from(&row))).collect())
    }

    /// Remembers answers, and the names that came with them.
    pub async fn remember_answers(&self, user: UserId, heard: &[(RepoId, Heard)]) -> Result<(), StoreError> {
        use entity::Column;
        if heard.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let rows = heard.iter().map(|(repo, heard)| {
            let allowed = matches!(heard, Heard::Yes(_));
            entity::ActiveModel {
                user_id: Set(user.0),
                repo_id: Set(repo.0),
                allowed: Set(allowed),
                checked_at: Set(now),
                last_yes_at: Set(allowed.then_some(now)),
            }
        });
        let newer = OnConflict::columns([Column::UserId, Column::RepoId])
            .update_columns([Column::Allowed, Column::CheckedAt, Column::LastYesAt])
            .to_owned();
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::insert_many(rows).on_conflict(newer).exec_without_returning(&*tx).await?;
        for (id, heard) in heard {
            if let Heard::Yes(name) = heard {
                installations::rename(&tx, &RepoRef { id: *id, name: name.clone() }).await?;
            }
        }
        self.commit_installations(tx).await
    }
}

/// Forgets every no, so that a new token is a new question.
pub(super) async fn forget_refusals(tx: &WriteTx, user: UserId) -> Result<(), StoreError> {
    use entity::Column;
    entity::Entity::delete_many()
        .filter(Column::UserId.eq(user.0))
        .filter(Column::Allowed.eq(false))
        .exec(&**tx)
        .await?;
    Ok(())
}

impl From<&entity::Model> for Answer {
    fn from(row: &entity::Model) -> Self {
        Self { allowed: row.allowed, checked_at: time(row.checked_at), last_yes_at: row.last_yes_at.map(time) }
    }
}

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "access")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub repo_id: i64,
        pub allowed: bool,
        pub checked_at: i64,
        pub last_yes_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::store::users::testing::Fixture;

    const API: RepoId = RepoId(70);

    fn yes() -> Heard {
        Heard::Yes(RepoName::parse("acme/api").unwrap())
    }

    #[tokio::test]
    async fn a_no_wipes_out_the_yes_before_it() {
        let t = Fixture::new().await;
        let ada = t.sign_in(7, "ada").await;
        t.store.remember_answers(ada, &[(API, yes())]).await.unwrap();
        let at = t.clock.now();
        let answer = t.store.answers(ada).await.unwrap()[&API];
        assert_eq!(answer, Answer { allowed: true, checked_at: at, last_yes_at: Some(at) });

        t.clock.advance(Duration::from_secs(60));
        t.store.remember_answers(ada, &[(API, Heard::No)]).await.unwrap();
        let answer = t.store.answers(ada).await.unwrap()[&API];
        assert_eq!(answer, Answer { allowed: false, checked_at: t.clock.now(), last_yes_at: None });
    }

    #[tokio::test]
    async fn signing_in_again_asks_again_what_was_refused_and_keeps_what_was_allowed() {
        let t = Fixture::new().await;
        let (ada, bob) = (t.sign_in(7, "ada").await, t.sign_in(8, "bob").await);
        t.store.remember_answers(ada, &[(API, Heard::No), (RepoId(71), yes())]).await.unwrap();
        t.store.remember_answers(bob, &[(API, Heard::No)]).await.unwrap();
        let ada = t.sign_in(7, "ada lovelace").await;
        assert_eq!(t.store.answers(ada).await.unwrap().into_keys().collect::<Vec<_>>(), [RepoId(71)]);
        assert!(t.store.answers(bob).await.unwrap().contains_key(&API), "nobody else's answers");
    }
}
