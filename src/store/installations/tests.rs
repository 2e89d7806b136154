//! What connections go through, on a database of their own.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;

use super::*;
use crate::store::users::testing::Fixture;

const API: RepoId = RepoId(70);
const URL: &str = "https://nectr.example/hook";
const HOOK: HookId = HookId(900);

fn repo(name: &str) -> RepoRef {
    RepoRef { id: API, name: RepoName::parse(name).unwrap() }
}

impl Fixture {
    async fn begin(&self, user: UserId) -> Option<InstallationId> {
        let new = NewInstallation { user, repo: repo("Acme/Api"), secret: vec![1] };
        self.store.begin_connecting(new, self.overdue()).await.unwrap()
    }

    fn overdue(&self) -> DateTime<Utc> {
        self.clock.now() - TimeDelta::minutes(2)
    }

    async fn claim(&self, id: InstallationId, url: &str, hook: Option<HookId>) -> Claim {
        self.store.claim_hook(id, API, url, hook).await.unwrap()
    }

    async fn activate(&self, id: InstallationId, hook: HookId) -> bool {
        self.store.activate(id, API, hook, URL).await.unwrap()
    }

    async fn state(&self, id: InstallationId) -> Option<InstallationState> {
        self.store.installation(id).await.unwrap().map(|installation| installation.state)
    }
}

#[tokio::test]
async fn connecting_twice_at_once_makes_one_connection() {
    let t = Fixture::new().await;
    let ada = t.sign_in(7, "ada").await;
    let begun = join_all((0..8).map(|_| t.begin(ada))).await;
    assert_eq!(begun.iter().flatten().count(), 1);
    assert!(t.begin(t.sign_in(8, "bob").await).await.is_some(), "somebody else's connection is their own");
}

#[tokio::test]
async fn a_connection_goes_from_begun_to_active_to_disconnected_and_the_next_is_a_new_one() {
    let t = Fixture::new().await;
    let ada = t.sign_in(7, "ada").await;
    let first = t.begin(ada).await.unwrap();
    assert_eq!(t.claim(first, URL, None).await, Claim::Ours);
    assert!(t.store.active_installations_of(ada).await.unwrap().is_empty());
    assert!(t.store.installations_of(ada).await.unwrap().is_empty(), "nothing to show before it is made");

    assert!(t.activate(first, HOOK).await);
    let found = t.store.active_installations_named(ada, &repo("aCME/aPI").name).await.unwrap();
    assert_eq!(
        found.iter().map(|i| (i.id, i.hook_id, i.connected_at)).collect::<Vec<_>>(),
        [(first, Some(HOOK), Some(t.clock.now()))]
    );
    assert_eq!(t.begin(ada).await, None);

    assert!(t.store.end_installation(first).await.unwrap());
    assert!(!t.store.end_installation(first).await.unwrap(), "only once");
    let second = t.begin(ada).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(t.store.installations_of(ada).await.unwrap().len(), 1, "the past one stays to be looked at");
}

#[tokio::test]
async fn a_connection_left_behind_makes_room_and_cannot_come_back() {
    let t = Fixture::new().await;
    let ada = t.sign_in(7, "ada").await;
    let dead = t.begin(ada).await.unwrap();
    t.clock.advance(Duration::from_secs(119));
    assert_eq!(t.begin(ada).await, None, "it may still be alive");
    t.clock.advance(Duration::from_secs(1));
    let next = t.begin(ada).await.unwrap();

    assert_eq!(t.claim(dead, URL, None).await, Claim::Gone);
    assert!(!t.activate(dead, HOOK).await);
    assert!(t.activate(next, HOOK).await);
}

#[tokio::test]
async fn a_connection_given_up_blocks_nobody_and_one_process_cleans_up() {
    let t = Fixture::new().await;
    let ada = t.sign_in(7, "ada").await;
    let given_up = t.begin(ada).await.unwrap();
    assert!(t.store.left_connecting(t.overdue()).await.unwrap().is_empty());
    t.store.leave_connecting(given_up).await.unwrap();

    let left = t.store.left_connecting(t.overdue()).await.unwrap();
    assert_eq!(left.iter().map(|left| left.id).collect::<Vec<_>>(), [given_up]);
    assert!(t.store.take_left(given_up, t.overdue()).await.unwrap());
    assert!(!t.store.take_left(given_up, t.overdue()).await.unwrap(), "another process has it");
    assert_eq!(t.begin(ada).await, None, "not while it is being cleaned up");

    t.store.leave_connecting(given_up).await.unwrap();
    assert!(t.begin(ada).await.is_some());
    assert_eq!(t.state(given_up).await, None);
}

#[tokio::test]
async fn dropping_or_leaving_touches_only_what_is_being_connected() {
    let t = Fixture::new().await;
    let ada = t.sign_in(7, "ada").await;
    let active = t.begin(ada).await.unwrap();
    assert!(t.activate(active, HOOK).await);
    t.store.drop_connecting(active).await.unwrap();
    t.store.leave_connecting(active).await.unwrap();
    assert_eq!(t.state(active).await, Some(InstallationState::Active));
    assert!(t.store.left_connecting(t.clock.now()).await.unwrap().is_empty());
    assert!(!t.activate(active, HOOK).await, "active already");
}

#[tokio::test]
async fn two_connections_to_one_repository_never_share_a_url_or_a_webhook() {
    let t = Fixture::new().await;
    let (ada, bob) = (t.sign_in(7, "ada").await, t.sign_in(8, "bob").await);
    let (adas, bobs) = (t.begin(ada).await.unwrap(), t.begin(bob).await.unwrap());
    assert_eq!(t.claim(adas, URL, None).await, Claim::Ours);
    assert_eq!(t.claim(bobs, URL, None).await, Claim::Taken);
    assert_eq!(t.claim(bobs, URL, Some(HOOK)).await, Claim::Taken, "it may be the one that was just created");
    assert_eq!(t.claim(bobs, "https://nectr.example/hook?connection=1", None).await, Claim::Ours);

    assert!(t.store.hook_has_owner(bobs, API, HOOK, URL).await.unwrap());
    assert!(t.activate(adas, HOOK).await);
    assert!(!t.activate(bobs, HOOK).await);
    assert_eq!(t.claim(bobs, URL, Some(HOOK)).await, Claim::Taken);
    assert!(t.store.hook_has_owner(bobs, API, HOOK, URL).await.unwrap());
    assert!(!t.store.hook_has_owner(adas, API, HOOK, URL).await.unwrap());
}

#[tokio::test]
async fn the_webhook_of_a_past_connection_may_be_adopted() {
    let t = Fixture::new().await;
    let ada = t.sign_in(7, "ada").await;
    let past = t.begin(ada).await.unwrap();
    assert!(t.activate(past, HOOK).await);
    assert!(t.store.end_installation(past).await.unwrap());

    let next = t.begin(ada).await.unwrap();
    assert_eq!(t.claim(next, URL, Some(HOOK)).await, Claim::Ours);
    let known = t.store.installations_by_hook(HOOK, Freshness::Recent).await.unwrap();
    assert_eq!(known.iter().map(|owned| owned.installation.id).collect::<Vec<_>>(), [next, past]);
    assert_eq!(known[0].github_user, 7);

    assert_eq!(t.claim(next, URL, None).await, Claim::Ours, "it was deleted before it could be adopted");
    assert_eq!(t.store.installation(next).await.unwrap().unwrap().hook_id, None);
}

#[tokio::test]
async fn a_rename_reaches_every_connection_of_the_repository_and_no_other() {
    let t = Fixture::new().await;
    let (ada, bob) = (t.sign_in(7, "ada").await, t.sign_in(8, "bob").await);
    for user in [ada, bob] {
        let id = t.begin(user).await.unwrap();
        assert!(t.activate(id, HookId(900 + id.0)).await);
    }
    let namesake = RepoRef { id: RepoId(71), name: repo("acme/api").name };
    let new = NewInstallation { user: bob, repo: namesake, secret: vec![1] };
    t.store.begin_connecting(new, t.overdue()).await.unwrap().unwrap();

    t.store.note_names(&[repo("acme/Renamed")]).await.unwrap();
    let named = async |name: &str, state| {
        let all = t.store.installations_named(&repo(name).name, state, 20, Freshness::Recent).await.unwrap();
        all.into_iter().map(|owned| owned.installation.clone())
    };
    let renamed: Vec<_> = named("ACME/renamed", InstallationState::Active).await.collect();
    assert_eq!(renamed.iter().map(|i| i.repo.name.to_string()).collect::<Vec<_>>(), ["acme/Renamed", "acme/Renamed"]);
    assert_eq!(named("acme/api", InstallationState::Active).await.count(), 0);
    assert_eq!(named("acme/api", InstallationState::Connecting).await.count(), 1);
}

#[tokio::test]
async fn what_a_delivery_and_the_bot_told_is_kept() {
    let t = Fixture::new().await;
    let id = t.begin(t.sign_in(7, "ada").await).await.unwrap();
    let sighting = Sighting { hook: Some(HOOK), renamed: Some(repo("acme/renamed")), verified: true, status: 202 };
    t.store.note_sighting(id, &sighting).await.unwrap();
    let bot = BotStanding { login: Some("bot".into()), can_review: false, hint: Some("Invite it.".into()) };
    t.store.note_bot(id, &bot).await.unwrap();

    let now = Some(t.clock.now());
    let kept = t.store.installation(id).await.unwrap().unwrap();
    assert_eq!((kept.hook_id, kept.verified_at, kept.last_delivery_at), (Some(HOOK), now, now));
    assert_eq!((kept.last_status, kept.repo.name.to_string()), (Some(202), "acme/renamed".to_owned()));
    assert_eq!((kept.bot_login.as_deref(), kept.bot_can_review), (Some("bot"), Some(false)));
    assert_eq!(kept.bot_hint.as_deref(), Some("Invite it."));
}
