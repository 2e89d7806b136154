//! People who signed in. GitHub's id is who somebody is; the login may change.

use chrono::{DateTime, Utc};
use sea_orm::{EntityTrait, Set, sea_query::OnConflict};

use super::{Store, StoreError, WriteTx, time};
use crate::domain::UserId;

/// Somebody who signed in at least once.
#[derive(Clone)]
pub struct User {
    /// Our id.
    pub id: UserId,
    /// GitHub's id.
    pub github_id: i64,
    /// GitHub login, as of the last sign-in.
    pub login: String,
    /// Display name.
    pub name: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// Picture.
    pub avatar_url: Option<String>,
    /// The OAuth token of the last sign-in, sealed.
    pub token: Vec<u8>,
    /// First sign-in.
    pub created_at: DateTime<Utc>,
}

/// What a sign-in tells about somebody.
pub struct SignIn {
    /// GitHub's id.
    pub github_id: i64,
    /// GitHub login.
    pub login: String,
    /// Display name.
    pub name: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// Picture.
    pub avatar_url: Option<String>,
    /// The OAuth token, sealed.
    pub token: Vec<u8>,
}

impl Store {
    /// Somebody, by our id.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(entity::Entity::find_by_id(id.0).one(self.read()).await?.map(User::from))
    }
}

/// Adds somebody, or brings what is known of them up to date.
pub(super) async fn upsert(tx: &WriteTx, who: SignIn, now: i64) -> Result<UserId, StoreError> {
    use entity::Column;
    let row = entity::ActiveModel {
        github_id: Set(who.github_id),
        login: Set(who.login),
        name: Set(who.name),
        email: Set(who.email),
        avatar_url: Set(who.avatar_url),
        token: Set(who.token),
        created_at: Set(now),
        ..Default::default()
    };
    let known = OnConflict::column(Column::GithubId)
        .update_columns([Column::Login, Column::Name, Column::Email, Column::AvatarUrl, Column::Token])
        .to_owned();
    Ok(UserId(entity::Entity::insert(row).on_conflict(known).exec_with_returning(&**tx).await?.id))
}

impl From<entity::Model> for User {
    fn from(row: entity::Model) -> Self {
        Self {
            id: UserId(row.id),
            github_id: row.github_id,
            login: row.login,
            name: row.name,
            email: row.email,
            avatar_url: row.avatar_url,
            token: row.token,
            created_at: time(row.created_at),
        }
    }
}

pub(super) mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub github_id: i64,
        pub login: String,
        pub name: Option<String>,
        pub email: Option<String>,
        pub avatar_url: Option<String>,
        pub token: Vec<u8>,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[cfg(test)]
pub(crate) mod testing {
    #![allow(clippy::unwrap_used)]

    use chrono::{TimeDelta, TimeZone, Utc};
    use migrations::{Migrator, MigratorTrait};

    use super::*;
    use crate::{
        domain::{Clock, Guid, InstallationId},
        store::intake::NewDelivery,
    };

    /// A delivery that nobody has to act on; the number tells it from others, and is its payload.
    pub(crate) fn delivery(number: usize) -> NewDelivery {
        NewDelivery {
            installation: InstallationId(1),
            guid: Guid::parse(&format!("{number:08}-0000-4000-8000-000000000000")).unwrap(),
            event: "push".to_owned(),
            action: None,
            repo: None,
            number: None,
            head: None,
            event_at: None,
            reviews: false,
            ignored: None,
            headers: serde_json::json!({}),
            payload: number.to_string().into(),
        }
    }

    /// An empty database and a clock that stands still.
    pub(crate) struct Fixture {
        pub store: Store,
        pub clock: Clock,
        _folder: tempfile::TempDir,
    }

    impl Fixture {
        pub(crate) async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 12, 0, 0).unwrap());
            let url = format!("sqlite://{}", folder.path().join("nectr.db").display());
            let store = Store::open(&url, clock.clone()).await.unwrap();
            Migrator::up(&store.inner.write, None).await.unwrap();
            Self { store, clock, _folder: folder }
        }

        /// Signs somebody in for a day, in the session `login/github_id`.
        pub(crate) async fn sign_in(&self, github_id: i64, login: &str) -> UserId {
            let who = SignIn {
                github_id,
                login: login.to_owned(),
                name: None,
                email: None,
                avatar_url: None,
                token: vec![1],
            };
            let ends = self.clock.now() + TimeDelta::days(1);
            self.store.open_session(who, &format!("{login}/{github_id}"), ends).await.unwrap().user
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::testing::Fixture;

    #[tokio::test]
    async fn somebody_who_changed_their_login_is_still_the_same_user() {
        let t = Fixture::new().await;
        let first = t.sign_in(7, "ada").await;
        let began = t.clock.now();
        t.clock.advance(Duration::from_secs(60));
        let second = t.sign_in(7, "countess").await;
        assert_eq!(first, second);
        let user = t.store.user(first).await.unwrap().unwrap();
        assert_eq!((user.login.as_str(), user.github_id, user.created_at), ("countess", 7, began));
        assert_ne!(t.sign_in(8, "ada").await, first, "a login that was given up may be somebody else's now");
    }
}
