//! What happened, for tests to look at: every call, every review, every comment, and what nobody should have asked.

use super::{
    Pr, Sandbox,
    faults::matches,
    world::{StoredReview, World},
};
use crate::domain::review::Side;

/// One request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Path below the API root; of the site, from its root.
    pub path: String,
    /// Query string without `?`.
    pub query: String,
    /// Whose token it carried.
    pub user: Option<String>,
    /// How it was answered; 0: not at all.
    pub status: u16,
}

/// GitHub's states of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewState {
    /// Only its author sees it.
    Pending,
    /// An approval.
    Approved,
    /// Changes requested.
    ChangesRequested,
    /// Neither.
    Commented,
    /// It no longer counts.
    Dismissed,
}

impl ReviewState {
    /// GitHub's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::ChangesRequested => "CHANGES_REQUESTED",
            Self::Commented => "COMMENTED",
            Self::Dismissed => "DISMISSED",
        }
    }
}

/// A review as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// GitHub's id.
    pub id: i64,
    /// The pull request.
    pub pr: Pr,
    /// Login of its author.
    pub author: String,
    /// Its text.
    pub body: String,
    /// What it says.
    pub state: ReviewState,
    /// The commit it is about.
    pub commit: String,
    /// Its comments on lines.
    pub comments: Vec<Comment>,
}

/// A comment on lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// GitHub's id.
    pub id: i64,
    /// The file, by its name at head.
    pub path: String,
    /// The last line.
    pub line: i64,
    /// Its side.
    pub side: Side,
    /// The first line of a range, with its side.
    pub start: Option<(i64, Side)>,
    /// Markdown.
    pub body: String,
}

/// A comment in the conversation of an issue or pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueComment {
    /// GitHub's id.
    pub id: i64,
    /// The issue or pull request.
    pub number: i64,
    /// Login of its author.
    pub author: String,
    /// Markdown.
    pub body: String,
    pub(super) user: i64,
    pub(super) created_at: chrono::DateTime<chrono::Utc>,
}

#[derive(Default)]
pub struct Books {
    pub calls: Vec<Call>,
    pub violations: Vec<String>,
}

impl Sandbox {
    /// Every request so far, in order of their answers.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().books.calls.clone()
    }

    /// How many requests matched `pattern` (see [`Sandbox::fail_next`]).
    pub fn count(&self, pattern: &str) -> usize {
        self.lock().books.calls.iter().filter(|call| matches(pattern, &call.method, &call.path)).count()
    }

    /// Starts the list of calls anew. What was wrong with them stays.
    pub fn forget_calls(&self) {
        self.lock().books.calls.clear();
    }

    /// The submitted reviews of a pull request that were not taken yet, oldest first. They count as read from now on.
    #[track_caller]
    pub fn take_reviews(&self, pr: Pr) -> Vec<Review> {
        let mut world = self.lock();
        let found = world.reviews(pr, |review| review.state != ReviewState::Pending && !review.taken);
        world.pull_mut(pr).reviews.iter_mut().filter(|r| r.state != ReviewState::Pending).for_each(|r| r.taken = true);
        found
    }

    /// All submitted reviews of a pull request, read or not, without marking them.
    #[track_caller]
    pub fn reviews(&self, pr: Pr) -> Vec<Review> {
        self.lock().reviews(pr, |review| review.state != ReviewState::Pending)
    }

    /// Reviews of a pull request that somebody started and did not submit.
    #[track_caller]
    pub fn pending_reviews(&self, pr: Pr) -> Vec<Review> {
        self.lock().reviews(pr, |review| review.state == ReviewState::Pending)
    }

    /// Submitted reviews of all pull requests that no test has taken: leftovers.
    pub fn unread_reviews(&self) -> Vec<Review> {
        let world = self.lock();
        let unread = |pr| world.reviews(pr, |review| review.state != ReviewState::Pending && !review.taken);
        world.all_pulls().into_iter().flat_map(unread).collect()
    }

    /// Comments in the conversation of a pull request or issue.
    #[track_caller]
    pub fn comments(&self, repo: &str, number: i64) -> Vec<IssueComment> {
        let world = self.lock();
        let repo = world.repo(world.repo_named(repo));
        repo.comments.iter().filter(|comment| comment.number == number).cloned().collect()
    }

    /// Requests for what does not exist at GitHub, and requests GitHub tolerates but does not document: undocumented
    /// parameters, missing `Accept` or `X-GitHub-Api-Version`, headers sent twice. One line each.
    pub fn unknown_calls(&self) -> Vec<String> {
        self.lock().books.violations.clone()
    }

    /// Forgets [`Sandbox::unknown_calls`], for a test that made them on purpose.
    pub fn forgive(&self) {
        self.lock().books.violations.clear();
    }
}

impl World {
    fn all_pulls(&self) -> Vec<Pr> {
        let pulls = |repo: &super::world::Repo| {
            let id = repo.id;
            repo.pulls.keys().map(move |number| Pr { repo: id, number: *number }).collect::<Vec<_>>()
        };
        self.repos.values().flat_map(pulls).collect()
    }

    #[track_caller]
    fn reviews(&self, pr: Pr, wanted: impl Fn(&StoredReview) -> bool) -> Vec<Review> {
        let show = |review: &StoredReview| Review {
            id: review.id,
            pr,
            author: self.login(review.user).to_owned(),
            body: review.body.clone(),
            state: review.state,
            commit: review.commit.clone(),
            comments: review.comments.clone(),
        };
        self.pull(pr).reviews.iter().filter(|review| wanted(review)).map(show).collect()
    }
}
