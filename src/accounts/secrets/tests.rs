//! Whose secret is tried for which delivery, and which deliveries bring news.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::{
    domain::{RepoRef, UserId},
    store::{
        installations::{FormerSecret, NewInstallation},
        users::testing::Fixture,
    },
};

const API: RepoId = RepoId(70);

fn name(full: &str) -> RepoName {
    RepoName::parse(full).unwrap()
}

impl Fixture {
    async fn connecting(&self, user: UserId) -> InstallationId {
        let new = NewInstallation { user, repo: RepoRef { id: API, name: name("acme/api") }, secret: vec![1] };
        self.store.begin_connecting(new, DateTime::UNIX_EPOCH).await.unwrap().unwrap()
    }

    async fn active(&self, user: UserId, hook: i64) -> InstallationId {
        let id = self.connecting(user).await;
        assert!(self.store.activate(id, API, HookId(hook), &format!("https://nectr.example/{hook}")).await.unwrap());
        id
    }

    /// The installations to try, and whether the operator's secret is tried too.
    async fn tried(&self, hook: Option<i64>, repo: Option<&str>) -> (Vec<InstallationId>, bool) {
        let suspects =
            suspects(&self.store, hook.map(HookId), Freshness::Recent, async { repo.map(name) }).await.unwrap();
        (suspects.installations.iter().map(|owned| owned.installation.id).collect(), suspects.operator)
    }
}

#[tokio::test]
async fn a_known_webhook_answers_for_its_installation_alone_and_the_body_is_not_read() {
    let t = Fixture::new().await;
    let adas = t.active(t.sign_in(7, "ada").await, 900).await;
    t.active(t.sign_in(8, "bob").await, 901).await;
    let suspects =
        suspects(&t.store, Some(HookId(900)), Freshness::Recent, async { panic!("read the body") }).await.unwrap();
    assert_eq!(suspects.installations.iter().map(|o| o.installation.id).collect::<Vec<_>>(), [adas]);
    assert!(!suspects.operator);
}

#[tokio::test]
async fn an_unknown_webhook_may_only_be_one_that_is_being_made() {
    let t = Fixture::new().await;
    t.active(t.sign_in(7, "ada").await, 900).await;
    assert_eq!(t.tried(Some(999), Some("acme/api")).await, (vec![], false), "connected: nobody else has a say");
    let bobs = t.connecting(t.sign_in(8, "bob").await).await;
    assert_eq!(t.tried(Some(999), Some("ACME/api")).await, (vec![bobs], false));
    assert_eq!(t.tried(Some(999), Some("acme/other")).await, (vec![], true));
}

#[tokio::test]
async fn the_operator_answers_for_repositories_nobody_connected() {
    let t = Fixture::new().await;
    assert_eq!(t.tried(Some(999), Some("acme/api")).await, (vec![], true));
    assert_eq!(t.tried(None, Some("acme/api")).await, (vec![], true));
    assert_eq!(t.tried(Some(999), None).await, (vec![], true), "an organisation's webhook names no repository");
    let adas = t.active(t.sign_in(7, "ada").await, 900).await;
    assert_eq!(t.tried(None, Some("acme/api")).await, (vec![adas], false));
    t.store.end_installation(adas).await.unwrap();
    assert_eq!(t.tried(None, Some("acme/api")).await, (vec![], true));
}

#[tokio::test]
async fn without_a_webhook_id_at_most_twenty_secrets_are_tried() {
    let t = Fixture::new().await;
    for user in 1..=21 {
        t.active(t.sign_in(user, &format!("user-{user}")).await, 900 + user).await;
    }
    assert_eq!(t.tried(None, Some("acme/api")).await.0.len(), 20);
}

#[tokio::test]
async fn a_webhook_that_passes_from_one_connection_to_the_next_may_be_signed_by_either() {
    let t = Fixture::new().await;
    let ada = t.sign_in(7, "ada").await;
    let past = t.active(ada, 900).await;
    t.store.end_installation(past).await.unwrap();
    assert_eq!(t.tried(Some(900), None).await, (vec![past], false), "its deliveries are known, to be ignored");

    let next = t.connecting(ada).await;
    t.store.claim_hook(next, API, "https://nectr.example/900", Some(HookId(900))).await.unwrap();
    assert_eq!(t.tried(Some(900), None).await, (vec![next, past], false));
    assert!(t.store.activate(next, API, HookId(900), "https://nectr.example/900").await.unwrap());
    assert_eq!(t.tried(Some(900), None).await, (vec![next], false));
}

#[test]
fn a_secret_that_cannot_be_opened_is_never_counted_as_wrong() {
    let sealer = Sealer::new(&SecretString::from("k".repeat(32)), None);
    let sealed = |secret: &str| sealer.seal(secret_place(7, API), secret);
    let owned = |id, secret| {
        Arc::new(Owned {
            installation: Installation { secret, id: InstallationId(id), ..blank() },
            github_user: 7,
            former: vec![],
        })
    };
    let opened = |installations, operator| {
        let secret = SecretString::from("the operator's");
        open(&sealer, Utc::now(), Suspects { installations, operator }, Some(&secret))
    };

    let sound = opened(vec![owned(1, sealed("one")), owned(2, sealed("two"))], false).unwrap();
    assert_eq!(sound.iter().map(AsRef::<[u8]>::as_ref).collect::<Vec<_>>(), [b"one", b"two"]);
    assert!(!sound.unopened);
    assert!(matches!(opened(vec![owned(1, vec![1])], false), Err(SecretsError::Sealed)));
    let some = opened(vec![owned(1, vec![1]), owned(2, sealed("two"))], false).unwrap();
    assert_eq!((some.len(), some.unopened), (1, true));
    let operators = opened(vec![], true).unwrap();
    assert_eq!((operators.len(), operators[0].installation), (1, InstallationId::OPERATOR));
    assert!(opened(vec![], false).unwrap().is_empty());
}

#[test]
fn all_secrets_of_an_installation_count_as_long_as_they_do() {
    let sealer = Sealer::new(&SecretString::from("k".repeat(32)), None);
    let sealed = |secret: &str| sealer.seal(secret_place(7, API), secret);
    let now = Utc::now();
    let former = |secret, hours| FormerSecret { secret: sealed(secret), until: now + TimeDelta::hours(hours) };
    let owned = Owned {
        installation: Installation { secret: sealed("present"), next_secret: Some(sealed("next")), ..blank() },
        github_user: 7,
        former: vec![former("former", 1), former("over", 0)],
    };
    let candidates =
        open(&sealer, now, Suspects { installations: vec![Arc::new(owned)], operator: false }, None).unwrap();
    let tried: Vec<_> = candidates.iter().map(AsRef::<[u8]>::as_ref).collect();
    assert_eq!(tried, [&b"present"[..], b"next", b"former"]);
}

fn blank() -> Installation {
    Installation {
        id: InstallationId(1),
        user: UserId(1),
        repo: RepoRef { id: API, name: name("acme/api") },
        state: InstallationState::Active,
        secret: vec![],
        next_secret: None,
        hook_id: None,
        hook_url: None,
        verified_at: None,
        last_delivery_at: None,
        last_status: None,
        bot_login: None,
        bot_can_review: None,
        bot_hint: None,
        connected_at: None,
        catch_up: Default::default(),
    }
}

#[tokio::test]
async fn a_ping_that_comes_early_teaches_the_webhooks_id() {
    let t = Fixture::new().await;
    let id = t.connecting(t.sign_in(7, "ada").await).await;
    let seen = Seen { installation: id, hook: Some(HookId(900)), repo: None, ping: true, status: 200 };
    note(&t.store, &seen).await.unwrap();
    let known = t.store.installation(id).await.unwrap().unwrap();
    assert_eq!((known.hook_id, known.verified_at), (Some(HookId(900)), Some(t.clock.now())));
    assert_eq!(t.tried(Some(900), None).await.0, [id]);
}

#[tokio::test]
async fn only_news_are_written_down() {
    let t = Fixture::new().await;
    let id = t.active(t.sign_in(7, "ada").await, 900).await;
    let here = RepoRef { id: API, name: name("acme/api") };
    let seen = Seen { installation: id, hook: Some(HookId(900)), repo: Some(&here), ping: false, status: 202 };
    note(&t.store, &seen).await.unwrap();

    let first = t.store.installation(id).await.unwrap().unwrap().last_delivery_at.unwrap();
    let noted = async |seen: &Seen<'_>| {
        note(&t.store, seen).await.unwrap();
        let known = t.store.installation(id).await.unwrap().unwrap();
        (known.last_delivery_at.unwrap() - first, known.last_status.unwrap())
    };
    let seconds = TimeDelta::seconds;
    t.clock.advance(Duration::from_secs(4));
    assert_eq!(noted(&seen).await, (seconds(0), 202), "no news, and not long ago");
    assert_eq!(noted(&Seen { status: 503, ..seen }).await, (seconds(4), 503), "another answer is news");
    t.clock.advance(Duration::from_secs(5));
    assert_eq!(noted(&Seen { status: 503, ..seen }).await, (seconds(9), 503), "it has been a while");
    t.clock.advance(Duration::from_secs(1));
    assert_eq!(noted(&Seen { status: 503, ping: true, ..seen }).await, (seconds(10), 503), "a ping is news");

    let other = RepoRef { id: RepoId(71), name: name("acme/other") };
    let known = t.store.installation(id).await.unwrap().unwrap();
    assert_eq!(sighting(&known, &Seen { hook: Some(HookId(5)), ..seen }).hook, None, "known already");
    assert_eq!(sighting(&known, &Seen { repo: Some(&other), ..seen }).renamed, None, "not this repository's name");
    let renamed = RepoRef { id: API, name: name("acme/API") };
    note(&t.store, &Seen { repo: Some(&renamed), ..seen }).await.unwrap();
    assert_eq!(t.store.installation(id).await.unwrap().unwrap().repo.name.to_string(), "acme/API");
}
