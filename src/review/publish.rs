//! Posting a review exactly once, through crashes and doubtful answers.
//!
//! 1. The intention is stored. 2. A *pending* review is created: only the bot sees it, and GitHub allows one per pull
//!    request and account, so it is also a lock. 3. Its id is stored. 4. The head and the fence are checked.
//! 5. It is submitted by id. 6. Effect and review row are finished in one transaction.
//!
//! Whoever comes after a crash finds the row and reads GitHub back before doing anything. A review is ours if our account
//! wrote it *and* it carries our marker; a person's draft under the same account is never touched.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    app::App,
    domain::{
        PrNumber, RepoRef,
        pull_request::{PrState, PullRequest},
        retry::Retry,
        review::{ReviewEvent, Verdict},
    },
    github::{GitHubError, NewComment, PostedReview, Turn},
    review::render::find_marker,
    store::{
        StoreError,
        effects::{EffectRow, EffectState},
        outcome::Failure,
        reviews::ReviewDraft,
        work::Lease,
    },
    telemetry::metrics::metrics,
};

/// A review, ready to go.
#[derive(Debug, Clone)]
pub struct Publication {
    /// What tells it from others of its pull request; in its marker.
    pub key: String,
    /// What is stored of it.
    pub draft: ReviewDraft,
    /// Comments on lines.
    pub comments: Vec<NewComment>,
    /// The text to post instead, should GitHub refuse the lines: all findings in it.
    pub without_comments: String,
    /// A person asked for it: then a draft pull request may be reviewed.
    pub asked: bool,
    /// When GitHub last said that the pull request is open, and no draft.
    pub as_of: DateTime<Utc>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is on GitHub, with what it concluded and when it was listed; none if it was listed before.
    Posted(Option<(Verdict, DateTime<Utc>)>),
    /// It was on GitHub.
    Already,
    /// The pull request has another head or base by now; nothing was posted.
    Moved,
    /// The pull request was closed or made a draft meanwhile; nothing was posted.
    Cancelled,
}

/// How long a person's draft under the bot's account is waited for.
const SOMEBODYS_DRAFT: Duration = Duration::from_secs(600);

/// Posts the review unless it is there.
pub async fn publish(
    app: &App,
    lease: Lease,
    pull: &PullRequest,
    publication: Publication,
) -> Result<Published, Failure> {
    let (mut effect, fresh) =
        app.store.claim_review(lease, pull.repo.id, pull.number, &publication.key, &publication.draft).await?;
    if effect.state == EffectState::Done {
        return Ok(Published::Already);
    }
    if effect.draft.is_wordless() {
        // What was to be said has been erased since: it is said as of now.
        app.store.review_unsent(lease, effect.id, &publication.draft).await?;
        effect.draft = publication.draft.clone();
    }
    // An earlier attempt may have got anywhere: what GitHub has decides.
    let found = if fresh { None } else { find(app, &pull.repo, pull.number, &publication.key).await? };
    let pending = match found {
        Some(review) if !review.pending => return posted(app, lease, pull, &effect, &review).await,
        Some(review) => review,
        None => {
            if !fresh {
                app.store.review_unsent(lease, effect.id, &publication.draft).await?;
                effect.draft = publication.draft.clone();
            }
            match create(app, pull, &publication).await? {
                Created::Pending(review) => review,
                Created::WithoutComments(review) => {
                    effect.draft.body = publication.without_comments.clone();
                    for finding in &mut effect.draft.findings {
                        finding.inline = false;
                    }
                    app.store.review_unsent(lease, effect.id, &effect.draft).await?;
                    review
                }
                Created::Moved => {
                    app.store.review_cancelled(lease, &effect).await?;
                    return Ok(Published::Moved);
                }
            }
        }
    };
    match app.store.review_pending(lease, effect.id, pending.id).await {
        Err(StoreError::Fenced) => {
            // Somebody else has the work, and may be waiting for the lock that this draft is, or soon take it for theirs.
            let bot = app.github.bot();
            let _ = bot.delete_pending_review(Turn::at_once(), &pull.repo.name, pull.number, pending.id).await;
            return Err(Failure::Fenced);
        }
        stored => stored?,
    }
    let turn = app.github.bot().turn().await?;
    if let Some(ended) = overtaken(app, pull, &publication).await? {
        app.github.bot().delete_pending_review(turn, &pull.repo.name, pull.number, pending.id).await?;
        app.store.review_cancelled(lease, &effect).await?;
        return Ok(ended);
    }
    submit(app, lease, pull, &effect, pending.id, turn).await
}

/// Whether the pull request is no longer what was reviewed.
async fn overtaken(app: &App, reviewed: &PullRequest, publication: &Publication) -> Result<Option<Published>, Failure> {
    let asked = publication.asked;
    let now = match app.github.bot().pull(&reviewed.repo.name, reviewed.number).await {
        Ok(now) => now,
        Err(GitHubError::NotFound { .. }) => return Ok(Some(Published::Cancelled)),
        Err(error) => return Err(error.into()),
    };
    app.pr_states.learn(&now.repo.name, now.number, now.state, now.updated_at);
    Ok(if now.state != PrState::Open || (now.draft && !asked) {
        Some(Published::Cancelled)
    } else if now.head != reviewed.head || now.base_ref != reviewed.base_ref {
        Some(Published::Moved)
    } else if super::has_ended(app, &now, publication.as_of.max(now.updated_at), asked).await? {
        Some(Published::Cancelled)
    } else {
        None
    })
}

async fn submit(
    app: &App,
    lease: Lease,
    pull: &PullRequest,
    effect: &EffectRow,
    id: i64,
    turn: Turn,
) -> Result<Published, Failure> {
    let bot = app.github.bot();
    app.store.still_mine(lease).await?;
    let draft = &effect.draft;
    let answer = bot.submit_review(turn, &pull.repo.name, pull.number, id, draft.event, &draft.body).await;
    let review = match answer {
        Ok(review) => review,
        Err(error @ (GitHubError::Unavailable(_) | GitHubError::Rejected { .. } | GitHubError::NotFound { .. })) => {
            match bot.review(&pull.repo.name, pull.number, id).await {
                Ok(review) if !review.pending => review,
                Ok(_) if matches!(error, GitHubError::Rejected { .. }) => {
                    // A definite no: begin again from nothing rather than leave a draft behind.
                    bot.delete_pending_review(bot.turn().await?, &pull.repo.name, pull.number, id).await?;
                    app.store.review_unsent(lease, effect.id, draft).await?;
                    return Err(error.into());
                }
                Err(GitHubError::NotFound { .. }) => {
                    app.store.review_unsent(lease, effect.id, draft).await?;
                    return Err(Failure::Again { retry: Retry::Count, error: "our pending review vanished".into() });
                }
                _ => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    posted(app, lease, pull, effect, &review).await
}

/// It is on GitHub: lifts what it takes back, and writes it down.
async fn posted(
    app: &App,
    lease: Lease,
    pull: &PullRequest,
    effect: &EffectRow,
    review: &PostedReview,
) -> Result<Published, Failure> {
    lift(app, pull, &effect.draft).await?;
    let listed = list(app, lease, effect, review).await?;
    Ok(Published::Posted(listed.map(|at| (effect.draft.verdict, at))))
}

/// It is on GitHub: from now on it is listed, and counted, once. Returns since when; none if it was before.
async fn list(
    app: &App,
    lease: Lease,
    effect: &EffectRow,
    review: &PostedReview,
) -> Result<Option<DateTime<Utc>>, Failure> {
    let listed = app.store.review_posted(lease, effect, review.id, &review.html_url).await?;
    if listed.is_some() {
        metrics().reviews.with_label_values(&[effect.draft.verdict.as_str()]).inc();
    }
    Ok(listed)
}

/// A comment does not lift changes we requested earlier, so they would block merging for ever where we may not approve.
/// They are dismissed once a change that was read completely has nothing that blocks.
async fn lift(app: &App, pull: &PullRequest, draft: &ReviewDraft) -> Result<(), Failure> {
    if draft.event != ReviewEvent::Comment || draft.verdict == Verdict::RequestChanges || !draft.coverage.is_complete()
    {
        return Ok(());
    }
    let message = format!("Nothing blocks any more at {}.", draft.head.short());
    for id in app.store.standing_requests(pull.repo.id, pull.number).await? {
        match app.github.bot().dismiss_review(&pull.repo.name, pull.number, id, &message).await {
            Err(GitHubError::Forbidden { message }) => {
                tracing::warn!(repo = %pull.repo.name, pr = pull.number.0, message, "changes we requested cannot be lifted");
            }
            done => done?,
        }
    }
    Ok(())
}

enum Created {
    Pending(PostedReview),
    WithoutComments(PostedReview),
    Moved,
}

async fn create(app: &App, pull: &PullRequest, publication: &Publication) -> Result<Created, Failure> {
    let bot = app.github.bot();
    let create = async |body: &str, comments: &[NewComment]| {
        bot.create_pending_review(&pull.repo.name, pull.number, &pull.head, body, comments).await
    };
    let refused = match create(&publication.draft.body, &publication.comments).await {
        Ok(review) => return Ok(Created::Pending(review)),
        Err(error @ GitHubError::Rejected { .. }) => error,
        Err(error @ GitHubError::Unavailable(_)) => {
            // It may have happened. If this look does not show it, the next attempt looks again first.
            return match find(app, &pull.repo, pull.number, &publication.key).await? {
                Some(review) if review.pending => Ok(Created::Pending(review)),
                _ => Err(error.into()),
            };
        }
        Err(error) => return Err(error.into()),
    };
    // Refused: because a draft of ours stands in the way, or because of a line.
    let standing = look(app, &pull.repo, pull.number, &publication.key).await?;
    if let Some(review) = standing.ours.filter(|review| review.pending) {
        return Ok(Created::Pending(review));
    }
    if standing.cleared {
        return Ok(Created::Pending(create(&publication.draft.body, &publication.comments).await?));
    }
    let now = bot.pull(&pull.repo.name, pull.number).await?;
    if now.head != pull.head {
        return Ok(Created::Moved);
    }
    if publication.comments.is_empty() {
        return Err(refused.into());
    }
    tracing::error!(%refused, "GitHub refused a line we believed to be in the diff; posting without line comments");
    Ok(Created::WithoutComments(create(&publication.without_comments, &[]).await?))
}

/// What GitHub has of ours on a pull request.
struct Standing {
    /// The review of the key that was asked for, posted or pending.
    ours: Option<PostedReview>,
    /// Whether a pending review with another key was removed.
    cleared: bool,
}

async fn find(app: &App, repo: &RepoRef, number: PrNumber, key: &str) -> Result<Option<PostedReview>, Failure> {
    Ok(look(app, repo, number, key).await?.ours)
}

/// Reads GitHub back. Removes a pending review of ours with another key: it is from an attempt that died, and GitHub
/// allows only one. A person's draft under our account parks the work.
async fn look(app: &App, repo: &RepoRef, number: PrNumber, key: &str) -> Result<Standing, Failure> {
    let bot = app.github.bot();
    let login = bot.account().await?.login;
    let mut standing = Standing { ours: None, cleared: false };
    for review in bot.reviews(&repo.name, number).await? {
        if !review.author.as_ref().is_some_and(|author| author.eq_ignore_ascii_case(&login)) {
            continue;
        }
        match find_marker(&review.body) {
            // Posted beats pending: then the pending one is a copy that nobody will submit.
            Some(marker) if marker == key && standing.ours.as_ref().is_none_or(|ours| ours.pending) => {
                standing.ours = Some(review);
            }
            Some(_) if review.pending => {
                bot.delete_pending_review(bot.turn().await?, &repo.name, number, review.id).await?;
                standing.cleared = true;
            }
            None if review.pending => {
                let error = format!(
                    "the account {login} has an unsubmitted review on {}#{number}: submit or discard it, or give nectr \
                     an account of its own",
                    repo.name
                );
                return Err(Failure::Again { retry: Retry::Park(SOMEBODYS_DRAFT), error });
            }
            _ => {}
        }
    }
    Ok(standing)
}

/// Finishes or removes what attempts at other reviews of this pull request left behind when they died.
pub async fn settle_leftovers(app: &App, lease: Lease, repo: &RepoRef, number: PrNumber) -> Result<(), Failure> {
    let effects = app.store.unfinished_reviews(lease, repo.id, number).await?;
    settle(app, lease, repo, number, effects).await
}

/// The same for these.
pub(super) async fn settle(
    app: &App,
    lease: Lease,
    repo: &RepoRef,
    number: PrNumber,
    effects: Vec<EffectRow>,
) -> Result<(), Failure> {
    for effect in effects {
        match find(app, repo, number, &effect.key).await? {
            Some(review) if !review.pending => {
                list(app, lease, &effect, &review).await?;
            }
            found => {
                if let Some(review) = found {
                    let bot = app.github.bot();
                    bot.delete_pending_review(bot.turn().await?, &repo.name, number, review.id).await?;
                }
                app.store.review_cancelled(lease, &effect).await?;
            }
        }
    }
    Ok(())
}
