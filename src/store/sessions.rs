//! Sessions, and the sign-ins that are on their way to becoming one.
//!
//! A session row is read on every request; deleting or revoking it ends every token minted in it. Of a sign-in on its
//! way only digests are kept of what the browser holds, and taking one removes it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set, sea_query::Expr};

use super::{
    Lane, Store, StoreError, access, micros, time,
    users::{self, SignIn, User},
};
use crate::domain::UserId;

/// A signed-in browser or API client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Random, and part of every token minted in it.
    pub id: String,
    /// Whose.
    pub user: UserId,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// A sign-in on its way: what [`Store::take_sign_in`] must be shown, and what it gives back.
pub struct PendingSignIn {
    /// SHA-256 of the state GitHub will send back, in hex.
    pub state: String,
    /// SHA-256 of what the browser holds in a cookie, in hex.
    pub browser: String,
    /// The PKCE verifier.
    pub verifier: String,
}

impl Store {
    /// Keeps a sign-in on its way, and forgets those begun longer than `lifetime` ago.
    pub async fn keep_sign_in(&self, pending: PendingSignIn, lifetime: Duration) -> Result<(), StoreError> {
        use pending::Column;
        let now = self.now();
        let tx = self.begin(Lane::Work).await?;
        pending::Entity::delete_many().filter(Column::CreatedAt.lte(before(now, lifetime))).exec(&*tx).await?;
        let row = pending::ActiveModel {
            state: Set(pending.state),
            browser: Set(pending.browser),
            verifier: Set(pending.verifier),
            created_at: Set(now),
        };
        pending::Entity::insert(row).exec_without_returning(&*tx).await?;
        tx.commit().await
    }

    /// Takes a sign-in begun in this browser less than `lifetime` ago, and gives its PKCE verifier. Of several callers
    /// one gets it; a wrong browser gets nothing and takes nothing away.
    pub async fn take_sign_in(
        &self,
        state: &str,
        browser: &str,
        lifetime: Duration,
    ) -> Result<Option<String>, StoreError> {
        use pending::Column;
        let oldest = before(self.now(), lifetime);
        let tx = self.begin(Lane::Work).await?;
        let taken = pending::Entity::delete_many()
            .filter(Column::State.eq(state))
            .filter(Column::Browser.eq(browser))
            .filter(Column::CreatedAt.gt(oldest))
            .exec_with_returning(&*tx)
            .await?;
        tx.commit().await?;
        Ok(taken.into_iter().next().map(|row| row.verifier))
    }

    /// Somebody proved who they are: brings the user up to date and opens a session. What GitHub refused to their
    /// earlier token is asked anew, and sessions that are over are swept out.
    pub async fn open_session(
        &self,
        who: SignIn,
        session: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<Session, StoreError> {
        let now = self.now();
        let tx = self.begin(Lane::Work).await?;
        let user = users::upsert(&tx, who, now).await?;
        access::forget_refusals(&tx, user).await?;
        entity::Entity::delete_many().filter(entity::Column::ExpiresAt.lte(now)).exec(&*tx).await?;
        let row = entity::ActiveModel {
            id: Set(session.to_owned()),
            user_id: Set(user.0),
            created_at: Set(now),
            expires_at: Set(micros(expires_at)),
            revoked_at: Set(None),
        };
        entity::Entity::insert(row).exec_without_returning(&*tx).await?;
        tx.commit().await?;
        Ok(Session { id: session.to_owned(), user, expires_at })
    }

    /// A session that has neither ended nor been revoked, and whose it is.
    pub async fn live_session(&self, id: &str) -> Result<Option<(Session, User)>, StoreError> {
        use entity::Column;
        let found = entity::Entity::find_by_id(id)
            .find_also_related(users::entity::Entity)
            .filter(Column::RevokedAt.is_null())
            .filter(Column::ExpiresAt.gt(self.now()))
            .one(self.read())
            .await?;
        Ok(found.and_then(|(row, user)| {
            let session = Session { id: row.id, user: UserId(row.user_id), expires_at: time(row.expires_at) };
            Some((session, user?.into()))
        }))
    }

    /// Ends a session. Ended already is fine.
    pub async fn revoke_session(&self, id: &str) -> Result<(), StoreError> {
        use entity::Column;
        let tx = self.begin(Lane::Work).await?;
        entity::Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(self.now()))
            .filter(Column::Id.eq(id))
            .filter(Column::RevokedAt.is_null())
            .exec(&*tx)
            .await?;
        tx.commit().await
    }
}

fn before(now: i64, lifetime: Duration) -> i64 {
    now.saturating_sub(i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX))
}

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sessions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub user_id: i64,
        pub created_at: i64,
        pub expires_at: i64,
        pub revoked_at: Option<i64>,
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

mod pending {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "oauth_states")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub state: String,
        pub browser: String,
        pub verifier: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::future::join_all;

    use super::*;
    use crate::store::users::testing::Fixture;

    const LIFETIME: Duration = Duration::from_secs(600);

    async fn began() -> Fixture {
        let t = Fixture::new().await;
        let pending = PendingSignIn { state: "state".into(), browser: "browser".into(), verifier: "verifier".into() };
        t.store.keep_sign_in(pending, LIFETIME).await.unwrap();
        t
    }

    #[tokio::test]
    async fn a_state_is_good_once_and_only_in_its_browser() {
        let t = began().await;
        let take = async |state, browser| t.store.take_sign_in(state, browser, LIFETIME).await.unwrap();
        assert_eq!(take("state", "another browser").await, None);
        assert_eq!(take("another state", "browser").await, None);
        assert_eq!(take("state", "browser").await.as_deref(), Some("verifier"), "the wrong browser burnt nothing");
        assert_eq!(take("state", "browser").await, None);
    }

    #[tokio::test]
    async fn of_many_who_bring_one_state_at_once_one_gets_in() {
        let t = began().await;
        let takes = join_all((0..8).map(|_| t.store.take_sign_in("state", "browser", LIFETIME))).await;
        assert_eq!(takes.into_iter().filter(|taken| taken.as_ref().unwrap().is_some()).count(), 1);
    }

    #[tokio::test]
    async fn a_state_is_too_old_after_ten_minutes_and_then_swept_out() {
        let t = began().await;
        t.clock.advance(LIFETIME);
        assert_eq!(t.store.take_sign_in("state", "browser", LIFETIME).await.unwrap(), None);
        let next = PendingSignIn { state: "next".into(), browser: "browser".into(), verifier: "other".into() };
        t.store.keep_sign_in(next, LIFETIME).await.unwrap();
        let left = pending::Entity::find().all(t.store.read()).await.unwrap();
        assert_eq!(left.iter().map(|row| row.state.as_str()).collect::<Vec<_>>(), ["next"]);
    }

    #[tokio::test]
    async fn a_session_lives_until_it_ends_or_is_revoked() {
        let t = Fixture::new().await;
        let ada = t.sign_in(7, "ada").await;
        let bob = t.sign_in(8, "bob").await;
        let live = async |id: &str| t.store.live_session(id).await.unwrap().map(|(_, user)| user.id);
        assert_eq!((live("ada/7").await, live("bob/8").await, live("eve/9").await), (Some(ada), Some(bob), None));

        t.store.revoke_session("ada/7").await.unwrap();
        t.store.revoke_session("ada/7").await.unwrap();
        assert_eq!((live("ada/7").await, live("bob/8").await), (None, Some(bob)));

        t.clock.advance(Duration::from_secs(86_400));
        assert_eq!(live("bob/8").await, None);
    }
}
