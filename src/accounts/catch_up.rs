//! Catching up with what GitHub sent while nectr, GitHub or the way between them was down.
//!
//! GitHub never delivers twice by itself, but keeps a record of three days. A round goes through it back to where the last
//! one began and asks for what is not in the inbox. Where the record does not tell (too old, too much, not shown to us,
//! or the webhook was off), the pull requests that changed are looked at instead, by the same rules as if a delivery had
//! come. What is still to be done is on disk before a mark moves past it, so a round may die anywhere.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::{
    token::github_token,
    webhook::{self, SIGN_IN_AGAIN, Standing},
};
use crate::{
    app::App,
    domain::{
        Guid, HookId, InstallationId, PrNumber, TaskId,
        event::{PullHint, matters},
        pull_request::PrState,
        task::TaskKind,
    },
    github::GitHubError,
    inbox::NewTask,
    seal::random_unit,
    store::{
        StoreError,
        installations::{HookState, Installation, InstallationState, Round},
        missed::Recorded,
        outcome::{Failure, Outcome},
        reviewed::Reviewed,
    },
};

/// Time between two rounds of one connection; up to a fifth more, so that they do not all come at once.
const EVERY: Duration = Duration::from_secs(600);

/// Time until the next round while GitHub has been asked for something.
const SOON: Duration = Duration::from_secs(60);

/// How long GitHub keeps its record.
const WINDOW: TimeDelta = TimeDelta::days(3);

/// Clocks differ, and GitHub's record and lists may be late: what is this much older is read again.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// How long GitHub may take to do what it was asked for.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(60);

/// Deliveries that are asked for again after one outage; whoever missed more looks at the pull requests too.
const MOST: usize = 300;

/// Deliveries asked for in one round. GitHub counts a POST as five of 900 points a minute.
const AT_A_TIME: u64 = 100;

/// Connections that begin a round together.
const TOGETHER: u64 = 100;

/// Queues a round for every connection that is due. Returns how many.
pub async fn schedule(app: &App) -> Result<usize, StoreError> {
    let now = app.clock.now();
    let due = app.store.catch_up_due(now - app.started.elapsed(), now - EVERY, TOGETHER).await?;
    for installation in &due {
        queue(app, installation).await?;
    }
    app.store.prune_missed(now - WINDOW - OVERLAP).await?;
    Ok(due.len())
}

/// Queues a round of one connection, now.
pub(super) async fn queue(app: &App, installation: &Installation) -> Result<TaskId, StoreError> {
    let task = NewTask {
        kind: TaskKind::CatchUp,
        key: installation.id.to_string(),
        installation: installation.id,
        repo: installation.repo.clone(),
        number: None,
        payload: serde_json::json!({}),
    };
    app.inbox.enqueue(task).await
}

/// One round of one connection.
pub async fn run(app: &App, id: InstallationId) -> Result<Outcome, Failure> {
    let active = |installation: &Installation| installation.state == InstallationState::Active;
    let Some(installation) = app.store.installation(id).await?.filter(active) else {
        return Ok(Outcome::ignored("disconnected"));
    };
    match CatchUp::of(app, &installation).round().await {
        Ok(round) => {
            let soon = app.store.waits_for_missed(id).await?;
            let wait = if soon { SOON } else { EVERY.mul_f64(1.0 + random_unit() / 5.0) };
            app.store.caught_up(id, &round, app.clock.now() + wait).await?;
            let (repo, Round { redelivered, looked_at, error }) = (&installation.repo.name, round);
            match error {
                Some(error) => {
                    tracing::warn!(installation = %id, %repo, redelivered, looked_at, error, "caught up as far as possible")
                }
                None if redelivered + looked_at > 0 => {
                    tracing::info!(installation = %id, %repo, redelivered, looked_at, "catching up");
                }
                None => tracing::debug!(installation = %id, %repo, "nothing was missed"),
            }
            Ok(Outcome::completed("caught_up"))
        }
        Err(failure) => {
            if let Failure::Again { error, .. } = &failure {
                app.store.catch_up_waits(id, error).await?;
            }
            Err(failure)
        }
    }
}

/// One round.
struct CatchUp<'a> {
    app: &'a App,
    installation: &'a Installation,
    began: DateTime<Utc>,
    /// When the connection was made: what was before is not its business.
    connected: DateTime<Utc>,
    /// GitHub's record has been gone through up to here.
    read: DateTime<Utc>,
    /// By the record or by looking, everything before has been seen to.
    covered: DateTime<Utc>,
    result: Round,
}

/// What GitHub's record came to.
#[derive(Default)]
struct Findings {
    missed: Vec<Recorded>,
    /// Whether the record leaves something open, so that the pull requests have to be looked at.
    open: bool,
}

impl<'a> CatchUp<'a> {
    fn of(app: &'a App, installation: &'a Installation) -> Self {
        let began = app.clock.now();
        // What is covered up to a time that is yet to come, by a clock that has been set back since, nobody knows.
        let past = |mark: Option<DateTime<Utc>>| mark.filter(|mark| *mark <= began + OVERLAP);
        let connected = installation.connected_at.unwrap_or_default();
        let read = past(installation.catch_up.record_until).unwrap_or(connected);
        let covered = past(installation.catch_up.looked_until).map_or(read, |looked| looked.max(read));
        Self { app, installation, began, connected, read, covered, result: Round::default() }
    }

    async fn round(mut self) -> Result<Round, Failure> {
        let (store, id) = (&self.app.store, self.installation.id);
        let token = github_token(self.app, self.installation.user).await?;
        let standing = webhook::standing(self.app, self.installation, token.as_ref()).await?;
        self.note(&standing).await?;
        if standing.state == HookState::Unknown {
            self.result.error = standing.hint.clone();
        }
        let record = token.as_ref().zip(standing.readable(self.installation));
        let findings = match record {
            Some((token, hook)) => self.read_record(token, hook).await?,
            None => None,
        };

        let changed_since = self.covered + self.first_slack();
        let changed = standing.changed_at.is_some_and(|at| at > changed_since);
        let left_open = findings.as_ref().is_none_or(|findings| findings.open) || changed;
        let in_vain = store.asked_in_vain(id, self.began - UNDER_WAY).await?;
        let since = [left_open.then_some(self.covered), in_vain].into_iter().flatten().min();
        let seen = match since {
            Some(since) => self.look(since).await?,
            None => true,
        };
        let (Some(findings), Some((token, hook))) = (findings, record) else { return Ok(self.result) };
        let until = if seen { self.began } else { self.read };
        store.note_missed(id, &findings.missed, until, self.began - WINDOW - OVERLAP).await?;
        self.ask_again(token, hook).await?;
        if standing.state == HookState::Failing && self.result.redelivered == 0 {
            // Nothing comes that could show that it works again: ask for something.
            if let Err(error) = self.app.github.user(token).ping_hook(&self.installation.repo.name, hook).await {
                tracing::debug!(%error, installation = %id, "no ping");
            }
        }
        Ok(self.result)
    }

    /// Says how the webhook is, and, when that changes, in the log too.
    async fn note(&self, standing: &Standing) -> Result<(), StoreError> {
        let (known, hint) = (&self.installation.catch_up, standing.hint.as_deref());
        if known.hook == standing.state && known.hint.as_deref() == hint {
            return Ok(());
        }
        let (id, repo, state) = (self.installation.id, &self.installation.repo.name, standing.state.as_str());
        match hint {
            Some(hint) => tracing::warn!(installation = %id, %repo, state, hint, "webhook"),
            None => tracing::info!(installation = %id, %repo, state, "webhook"),
        }
        self.app.store.note_hook(id, standing.state, hint).await
    }

    /// A webhook is last changed while its connection is being made.
    fn first_slack(&self) -> TimeDelta {
        if self.covered == self.connected { TimeDelta::minutes(1) } else { TimeDelta::zero() }
    }

    /// Goes through GitHub's record. None if it is not shown to us; the round's result then says why.
    async fn read_record(&mut self, token: &SecretString, hook: HookId) -> Result<Option<Findings>, Failure> {
        let too_old = self.read < self.began - WINDOW;
        let since = self.read.max(self.began - WINDOW) - OVERLAP;
        // GitHub's times have no fractions of a second.
        let since = since.max(self.connected - TimeDelta::seconds(1));
        let user = self.app.github.user(token);
        let record = match user.record(&self.installation.repo.name, hook, since).await {
            Ok(record) => record,
            Err(error) => {
                self.result.error = Some(told(error)?);
                return Ok(None);
            }
        };
        let mut known = HashSet::new();
        let used = record.attempts.into_iter().filter(|attempt| matters(&attempt.event, attempt.action.as_deref()));
        let recorded = used.filter_map(|attempt| {
            let guid = Guid::parse(&attempt.guid)?;
            let recorded = Recorded { guid, github_id: attempt.id, delivered_at: attempt.delivered_at };
            known.insert(recorded.guid.clone()).then_some(recorded)
        });
        let recorded = recorded.collect();
        let mut missed = self.app.store.not_received(self.installation.id, recorded).await?;
        let open = too_old || !record.complete || missed.len() > MOST;
        missed.truncate(MOST);
        Ok(Some(Findings { missed, open }))
    }

    /// Asks GitHub for what is missing, latest first.
    async fn ask_again(&mut self, token: &SecretString, hook: HookId) -> Result<(), Failure> {
        let (store, id, repo) = (&self.app.store, self.installation.id, &self.installation.repo.name);
        for missed in store.to_ask_for(id, self.began - UNDER_WAY, AT_A_TIME).await? {
            store.asked_for(id, &missed.guid).await?;
            match self.app.github.user(token).redeliver(repo, hook, missed.github_id).await {
                Ok(()) => self.result.redelivered += 1,
                Err(GitHubError::NotFound { .. } | GitHubError::Rejected { .. }) => {
                    store.lost_for_good(id, &missed.guid).await?;
                }
                Err(error) => {
                    store.not_asked_for(id, &missed.guid).await?;
                    self.result.error = Some(told(error)?);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Queues a look at each pull request that changed since then, as far as something may have been missed of it. False
    /// if they are not shown to us; the round's result then says why.
    async fn look(&mut self, since: DateTime<Utc>) -> Result<bool, Failure> {
        let (store, id, repo) = (&self.app.store, self.installation.id, &self.installation.repo);
        let since = (since - OVERLAP).max(self.connected);
        let changed = match self.app.github.bot().changed_pulls(&repo.name, since).await {
            Ok(changed) => changed,
            Err(error) => {
                let why = match error {
                    GitHubError::Unauthorized => "GitHub rejects the bot's token".to_owned(),
                    error => told(error)?,
                };
                let why = format!("The pull requests cannot be looked at: {why}");
                self.result.error =
                    Some(self.result.error.take().map_or(why.clone(), |error| format!("{error} {why}")));
                return Ok(false);
            }
        };
        let numbers: Vec<PrNumber> = changed.pulls.iter().map(|pull| pull.number).collect();
        let known = store.reviewed(repo.id, &numbers).await?;
        for pull in changed.pulls {
            if !worth_a_look(&pull, known.get(&pull.number).map_or(&[], Vec::as_slice)) {
                continue;
            }
            let task = NewTask {
                kind: TaskKind::Look,
                key: format!("{id}:{}#{}", repo.id, pull.number),
                installation: id,
                repo: repo.clone(),
                number: Some(pull.number),
                payload: serde_json::to_value(&pull).unwrap_or_default(),
            };
            self.app.inbox.enqueue(task).await?;
            self.result.looked_at += 1;
        }
        self.look_at_issues(since).await?;
        if !changed.complete && self.result.error.is_none() {
            self.result.error = Some("Too many pull requests changed to look at all of them.".to_owned());
        }
        store.looked_until(id, self.began).await?;
        store.seen_to(id, self.began - UNDER_WAY).await?;
        Ok(true)
    }

    /// Has the graph hear of every issue that changed since then.
    async fn look_at_issues(&self, since: DateTime<Utc>) -> Result<(), StoreError> {
        if self.app.graph.is_none() {
            return Ok(());
        }
        let (kind, repo) = (TaskKind::Issues, &self.installation.repo);
        let task = NewTask {
            kind,
            key: format!("{} {}", self.app.task_key(kind, repo.id), since.timestamp()),
            installation: self.installation.id,
            repo: repo.clone(),
            number: None,
            payload: serde_json::json!({"since": since}),
        };
        self.app.inbox.enqueue(task).await.map(|_| ())
    }
}

/// Whether a delivery about it may have been lost: its head has no review, or lists show it in another state.
fn worth_a_look(pull: &PullHint, known: &[Reviewed]) -> bool {
    let has_review = |known: &Reviewed| {
        known.said && pull.head.as_ref() == Some(&known.head) && pull.base_ref.as_ref() == Some(&known.base_ref)
    };
    let unheard = pull.state == PrState::Open && !pull.draft && !known.iter().any(has_review);
    unheard || known.iter().any(|known| known.state != pull.state)
}

/// Why GitHub does not show us something, for whoever connected the repository. What will pass by itself stays an error.
fn told(error: GitHubError) -> Result<String, Failure> {
    match error {
        GitHubError::RateLimited { .. } | GitHubError::Unavailable(_) => Err(error.into()),
        GitHubError::Unauthorized => Ok(SIGN_IN_AGAIN.to_owned()),
        error => Ok(format!("{error}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CommitSha;

    fn pull(state: PrState, draft: bool) -> PullHint {
        PullHint {
            number: PrNumber(1),
            state,
            draft,
            head: Some(CommitSha("a".to_owned())),
            base_ref: Some("main".to_owned()),
            updated_at: None,
        }
    }

    fn review(head: &str, base: &str, said: bool, state: PrState) -> Reviewed {
        Reviewed { head: CommitSha(head.to_owned()), base_ref: base.to_owned(), said, state }
    }

    #[test]
    fn a_head_without_its_review_is_worth_a_look_and_a_draft_is_not() {
        use PrState::Open;
        let open = pull(Open, false);
        assert!(worth_a_look(&open, &[]));
        assert!(!worth_a_look(&pull(Open, true), &[]));
        assert!(!worth_a_look(&open, &[review("a", "main", true, Open)]));
        for other in [("b", "main", true), ("a", "next", true), ("a", "main", false)] {
            assert!(worth_a_look(&open, &[review(other.0, other.1, other.2, Open)]), "{other:?}");
        }
    }

    #[test]
    fn what_was_closed_is_worth_a_look_only_where_lists_show_it_otherwise() {
        use PrState::{Closed, Merged, Open};
        assert!(!worth_a_look(&pull(Closed, false), &[]));
        assert!(worth_a_look(&pull(Merged, false), &[review("a", "main", true, Open)]));
        assert!(!worth_a_look(&pull(Merged, false), &[review("a", "main", true, Merged)]));
    }
}
