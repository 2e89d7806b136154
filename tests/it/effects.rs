//! What is noted of a review before, while and after GitHub hears of it, and who may note it.

use std::time::Duration;

use nectr::{
    domain::{
        Clock, CommitSha, PrNumber, RepoId,
        pull_request::PrState,
        review::{Coverage, ReviewEvent, Verdict},
    },
    store::{
        Store, StoreError,
        deliveries::Status,
        effects::EffectState,
        lease::End,
        reviews::{ReviewDraft, ReviewFilter},
        work::{LEASE, Lease},
    },
};

use crate::support::{
    database::{Database, noon},
    delivery::{opened, repo},
};

const REPO: RepoId = RepoId(7);
const PULL: PrNumber = PrNumber(1);

struct Ledger {
    store: Store,
    clock: Clock,
}

/// Tells a story to a fresh database.
async fn ledger(story: impl AsyncFnOnce(&Ledger)) {
    let clock = Clock::manual(noon());
    let database = Database::fresh().await;
    let t = Ledger { store: database.store(&clock).await, clock };
    story(&t).await;
    drop(t);
    database.remove().await;
}

impl Ledger {
    /// Two leases of one delivery: the first is over.
    async fn lost_and_held(&self) -> (Lease, Lease) {
        self.store.accept(&[opened(PULL.0)]).await.unwrap();
        let lost = self.store.claim().await.unwrap().unwrap().lease;
        self.clock.advance(LEASE + Duration::from_secs(1));
        let held = self.store.claim().await.unwrap().unwrap().lease;
        (lost, held)
    }
}

fn draft(title: &str) -> ReviewDraft {
    ReviewDraft {
        repo: repo(),
        number: PULL,
        title: title.into(),
        url: "https://github.example/acme/shop/pull/1".into(),
        state: PrState::Open,
        author: "sam".into(),
        branch: "fix".into(),
        base_ref: "main".into(),
        head: CommitSha(format!("{:040x}", 1)),
        verdict: Verdict::RequestChanges,
        event: ReviewEvent::RequestChanges,
        summary: "No.".into(),
        body: "No.\n".into(),
        findings: Vec::new(),
        coverage: Coverage::default(),
    }
}

fn fenced<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Fenced))
}

#[tokio::test]
async fn only_whoever_has_the_work_notes_what_is_to_be_said_that_it_is_pending_and_that_it_was_said() {
    ledger(async |t| {
        let (lost, held) = t.lost_and_held().await;
        let first = draft("First");
        assert!(fenced(t.store.claim_review(lost, REPO, PULL, "key", &first).await));
        assert!(t.store.review_effects(held, REPO, PULL, "key").await.unwrap().0.is_none(), "nothing was noted");

        let (effect, fresh) = t.store.claim_review(held, REPO, PULL, "key", &first).await.unwrap();
        assert!(fresh && effect.mine && effect.state == EffectState::Claimed);
        let (again, fresh) = t.store.claim_review(held, REPO, PULL, "key", &draft("Second")).await.unwrap();
        assert!(!fresh, "what is there wins");
        assert_eq!((again.id, &again.draft), (effect.id, &first));
        assert!(fenced(t.store.claim_review(lost, REPO, PULL, "key", &first).await));

        assert!(fenced(t.store.review_pending(lost, effect.id, 666).await));
        t.store.review_pending(held, effect.id, 41).await.unwrap();
        assert!(fenced(t.store.review_unsent(lost, effect.id, &draft("Third")).await));
        let (known, others) = t.store.review_effects(held, REPO, PULL, "another key").await.unwrap();
        assert!(known.is_none());
        assert_eq!(
            others.iter().map(|effect| (effect.state, effect.github_id)).collect::<Vec<_>>(),
            [(EffectState::Pending, Some(41))]
        );

        assert!(fenced(t.store.review_posted(lost, &effect, 666, "https://github.example/666").await));
        assert!(t.store.list_reviews(&ReviewFilter::default(), 10, None).await.unwrap().items.is_empty());
        let listed = t.store.review_posted(held, &effect, 41, "https://github.example/41").await.unwrap();
        assert_eq!(listed, Some(t.clock.now()));
        let verdict = t.store.posted_verdict(REPO, PULL, &first.head).await.unwrap();
        assert_eq!(verdict, Some((Verdict::RequestChanges, t.clock.now())), "as it was returned");
    })
    .await;
}

#[tokio::test]
async fn what_was_said_is_listed_once_and_stays_said() {
    ledger(async |t| {
        let (lost, held) = t.lost_and_held().await;
        let (effect, _) = t.store.claim_review(held, REPO, PULL, "key", &draft("First")).await.unwrap();
        t.store.review_posted(held, &effect, 41, "https://github.example/41").await.unwrap();
        assert_eq!(t.store.review_posted(held, &effect, 42, "https://github.example/42").await.unwrap(), None);
        t.store.review_pending(held, effect.id, 43).await.unwrap();
        assert!(fenced(t.store.review_posted(lost, &effect, 41, "https://github.example/41").await));
        let (known, others) = t.store.review_effects(held, REPO, PULL, "key").await.unwrap();
        let known = known.unwrap();
        assert_eq!((known.state, known.github_id), (EffectState::Done, Some(41)));
        assert!(others.is_empty());
        assert_eq!(t.store.list_reviews(&ReviewFilter::default(), 10, None).await.unwrap().items.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn only_whoever_has_the_work_ends_it() {
    ledger(async |t| {
        let (lost, held) = t.lost_and_held().await;
        let done = End::Finished { status: Status::Completed, outcome: "reviewed".into() };
        assert!(fenced(t.store.finish(lost, &done).await));
        t.store.heartbeat(held).await.unwrap();
        t.store.finish(held, &done).await.unwrap();
        assert!(fenced(t.store.finish(held, &done).await), "what has ended ends once");
    })
    .await;
}

#[tokio::test]
async fn lists_follow_the_title_and_the_state_of_a_pull_request() {
    ledger(async |t| {
        let (_, held) = t.lost_and_held().await;
        let (effect, _) = t.store.claim_review(held, REPO, PULL, "key", &draft("First")).await.unwrap();
        t.store.review_posted(held, &effect, 41, "https://github.example/41").await.unwrap();
        for (state, title, expected) in [
            (PrState::Open, Some("First"), (PrState::Open, "First")),
            (PrState::Open, Some("Second"), (PrState::Open, "Second")),
            (PrState::Merged, None, (PrState::Merged, "Second")),
        ] {
            t.store.pull_changed(REPO, PULL, state, title).await.unwrap();
            let row = t.store.list_reviews(&ReviewFilter::default(), 10, None).await.unwrap().items.remove(0);
            assert_eq!((row.pr_state, row.pr_title.as_str()), expected);
        }
    })
    .await;
}
