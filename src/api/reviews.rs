//! What was concluded about pull requests.

use std::collections::HashMap;

use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};

use super::{
    Tag,
    error::{Problem, fails},
    params::{Cursor, FullName, Limit, Number, OneOf, Text},
    pulls::PrState,
    security::Caller,
    time::Time,
};
use crate::{
    accounts::{access, session::CurrentUser},
    app::{App, Handle},
    domain::{RepoId, RepoName, ReviewId, review as domain},
    store::{
        StoreError,
        reviews::{ReviewFilter, ReviewRow, ReviewStatus as Status},
    },
};

/// How a review ended.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", remote = "Status")]
enum ReviewStatus {
    Posted,
    Unchanged,
    Cancelled,
    Failed,
}

/// What we concluded.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE", remote = "domain::Verdict")]
enum Verdict {
    Approve,
    RequestChanges,
    NeedsDiscussion,
}

/// What GitHub was told.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE", remote = "domain::ReviewEvent")]
enum ReviewEvent {
    Approve,
    RequestChanges,
    Comment,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", remote = "domain::Severity")]
enum Severity {
    Info,
    Warn,
    Block,
}

/// Which numbering a line is in.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE", remote = "domain::Side")]
enum Side {
    Left,
    Right,
}

/// A review.
#[derive(Debug, Object)]
#[oai(example)]
struct Review {
    /// Our id.
    id: i64,
    /// Repository, GitHub's spelling when reviewed.
    repo: String,
    /// Pull request.
    pr_number: i64,
    /// Its title.
    pr_title: String,
    /// Its page.
    pr_url: String,
    /// Its state, kept true by later events.
    pr_state: PrState,
    /// Its author.
    author: String,
    /// Head branch.
    branch: String,
    /// Base branch.
    base_ref: String,
    /// The commit that was reviewed.
    head_sha: String,
    /// How the review ended.
    status: ReviewStatus,
    /// What we concluded; null if it never came to that.
    verdict: Option<Verdict>,
    /// What GitHub was told.
    event: Option<ReviewEvent>,
    /// One paragraph.
    summary: String,
    /// How many files were read.
    files_analyzed: i64,
    /// How much was found.
    findings_count: i64,
    /// When we concluded.
    created_at: Time,
    /// When GitHub had it; null where nothing was sent.
    posted_at: Option<Time>,
    /// Its page.
    review_url: Option<String>,
}

/// A page of reviews, newest first.
#[derive(Debug, Object)]
#[oai(rename = "ReviewPage")]
struct ReviewPage {
    items: Vec<Review>,
    /// Pass it as `cursor` to go on; null at the end.
    next_cursor: Option<String>,
}

/// A review with everything it said.
#[derive(Debug, Object)]
struct ReviewDetail {
    #[oai(flatten)]
    review: Review,
    /// What was found, heaviest first.
    findings: Vec<Finding>,
    /// How much of the change was read.
    coverage: Coverage,
}

/// One thing to tell the author.
#[derive(Debug, Object)]
#[oai(example)]
struct Finding {
    /// Which rule speaks.
    rule: String,
    /// How much it weighs.
    severity: Severity,
    /// The file.
    path: String,
    /// Last line it is about; null when it is about the whole file.
    line: Option<i64>,
    /// First line, when it spans several.
    start_line: Option<i64>,
    /// Which numbering the lines are in.
    side: Side,
    /// What is wrong and what to do, Markdown.
    message: String,
    /// What to put in place of the lines.
    suggestion: Option<String>,
    /// Whether it stands on the line (else in the review's text).
    inline: bool,
}

/// How much of a change was read. Each listed file is in one class.
#[derive(Debug, Object)]
struct Coverage {
    /// Read completely.
    full: Vec<String>,
    /// Read in part.
    partial: Vec<String>,
    /// Known by name only.
    listed: Vec<String>,
    /// Left out on purpose.
    excluded: Vec<String>,
}

fails! {
    /// Listing.
    ListFails {}
}

fails! {
    /// Looking at one.
    GetFails { 404 "Review not found"; }
}

/// Reviews.
pub(super) struct ReviewsApi;

#[OpenApi(prefix_path = "/api/v1/reviews", tag = "Tag::Reviews")]
impl ReviewsApi {
    /// List reviews.
    ///
    /// Newest first, of every repository the caller connected, now or before, and can still see on GitHub.
    #[oai(path = "/", method = "get", operation_id = "list_reviews")]
    #[expect(clippy::too_many_arguments, reason = "each is a documented parameter")]
    async fn list(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        /// Only this repository.
        repo: Query<Option<FullName>>,
        /// Only this verdict.
        verdict: Query<Option<OneOf<Verdict>>>,
        /// Part of the title, author, branch or repository.
        search: Query<Option<Text>>,
        limit: Query<Option<Limit>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Json<ReviewPage>, ListFails> {
        let visible = visible(app, &user).await?;
        // By id, so that what was reviewed under an earlier name is found under the present one.
        let wanted = visible.iter().filter(|(_, name)| repo.0.as_ref().is_none_or(|FullName(only)| only == *name));
        let filter = ReviewFilter {
            repos: Some(wanted.map(|(id, _)| *id).collect()),
            repo: None,
            verdict: verdict.0.map(|OneOf(verdict)| verdict.into()),
            search: search.0.map(|Text(text)| text).filter(|text| !text.is_empty()),
        };
        let before = cursor.0.map(|Cursor(id)| id);
        let page = app.store.list_reviews(&filter, Limit::or_default(limit.0), before).await?;
        let items = page.items.iter().map(|row| Review::from(row).named(visible.get(&row.repo_id))).collect();
        Ok(Json(ReviewPage { items, next_cursor: page.next.map(Cursor::after) }))
    }

    /// See one review with its findings.
    #[oai(path = "/:id", method = "get", operation_id = "get_review")]
    async fn get(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        id: Path<Number>,
    ) -> Result<Json<ReviewDetail>, GetFails> {
        let not_found = || Problem::not_found("Review not found");
        let row = app.store.review(ReviewId(id.0.0)).await?.ok_or_else(not_found)?;
        let visible = visible(app, &user).await?;
        let name = visible.get(&row.repo_id).ok_or_else(not_found)?;
        let mut detail = ReviewDetail::from(row);
        detail.review = detail.review.named(Some(name));
        Ok(Json(detail))
    }
}

/// The repositories whose reviews the caller may see, with their present names.
async fn visible(app: &App, user: &CurrentUser) -> Result<HashMap<RepoId, RepoName>, StoreError> {
    let installations = access::visible_installations(app, user).await?;
    Ok(installations.into_iter().map(|installation| (installation.repo.id, installation.repo.name)).collect())
}

impl Review {
    /// With the name the repository has now, which is not always the one it was reviewed under.
    fn named(mut self, name: Option<&RepoName>) -> Self {
        if let Some(name) = name {
            self.repo = name.to_string();
        }
        self
    }
}

impl From<&ReviewRow> for Review {
    fn from(row: &ReviewRow) -> Self {
        Self {
            id: row.id.0,
            repo: row.repo.clone(),
            pr_number: row.pr_number,
            pr_title: row.pr_title.clone(),
            pr_url: row.pr_url.clone(),
            pr_state: row.pr_state.into(),
            author: row.author.clone(),
            branch: row.branch.clone(),
            base_ref: row.base_ref.clone(),
            head_sha: row.head_sha.clone(),
            status: row.status.into(),
            verdict: row.verdict.map(Verdict::from),
            event: row.event.map(ReviewEvent::from),
            summary: row.summary.clone(),
            files_analyzed: row.files_analyzed,
            findings_count: i64::try_from(row.findings.len()).unwrap_or(i64::MAX),
            created_at: row.created_at.into(),
            posted_at: row.posted_at.map(Time::from),
            review_url: row.review_url.clone(),
        }
    }
}

impl From<ReviewRow> for ReviewDetail {
    fn from(row: ReviewRow) -> Self {
        let review = Review::from(&row);
        let domain::Coverage { full, partial, listed, excluded, .. } = row.coverage;
        Self {
            review,
            findings: row.findings.into_iter().map(Finding::from).collect(),
            coverage: Coverage { full, partial, listed, excluded },
        }
    }
}

impl From<domain::Finding> for Finding {
    fn from(finding: domain::Finding) -> Self {
        Self {
            rule: finding.rule,
            severity: finding.severity.into(),
            path: finding.path,
            line: finding.line.map(i64::from),
            start_line: finding.start_line.map(i64::from),
            side: finding.side.into(),
            message: finding.message,
            suggestion: finding.suggestion,
            inline: finding.inline,
        }
    }
}

impl Example for Review {
    fn example() -> Self {
        Self {
            id: 5,
            repo: "acme/my-backend".to_owned(),
            pr_number: 12,
            pr_title: "Count the cart once".to_owned(),
            pr_url: "https://github.com/acme/my-backend/pull/12".to_owned(),
            pr_state: PrState::Open,
            author: "octocat".to_owned(),
            branch: "count-once".to_owned(),
            base_ref: "main".to_owned(),
            head_sha: "6dcb09b5b57875f334f61aebed695e2e4193db5e".to_owned(),
            status: ReviewStatus::Posted,
            verdict: Some(Verdict::NeedsDiscussion),
            event: Some(ReviewEvent::Comment),
            summary: "One thing to talk about in 3 files.".to_owned(),
            files_analyzed: 3,
            findings_count: 1,
            created_at: Time::example(),
            posted_at: Some(Time::example()),
            review_url: Some("https://github.com/acme/my-backend/pull/12#pullrequestreview-80".to_owned()),
        }
    }
}

impl Example for Finding {
    fn example() -> Self {
        Self {
            rule: "debug-output".to_owned(),
            severity: Severity::Warn,
            path: "src/cart.rs".to_owned(),
            line: Some(31),
            start_line: None,
            side: Side::Right,
            message: "`dbg!` prints to standard error in production: remove it.".to_owned(),
            suggestion: Some(String::new()),
            inline: true,
        }
    }
}
