//! What was concluded about pull requests.

use chrono::{DateTime, Utc};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Value,
    sea_query::LikeExpr,
};
use serde::{Deserialize, Serialize};

use super::{Lane, Page, Store, StoreError, lower, time, work::clean};
use crate::domain::{
    CommitSha, PrNumber, RepoId, RepoRef, ReviewId,
    pull_request::PrState,
    review::{Coverage, Finding, ReviewEvent, Verdict},
};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "reviews")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub repo_id: i64,
        pub repo: String,
        pub pr_number: i64,
        pub pr_title: String,
        pub pr_url: String,
        pub pr_state: String,
        pub author: String,
        pub branch: String,
        pub base_ref: String,
        pub head_sha: String,
        pub status: String,
        pub verdict: Option<String>,
        pub event: Option<String>,
        pub summary: String,
        pub files_analyzed: i64,
        pub findings_count: i64,
        pub findings: String,
        pub coverage: String,
        pub effect_id: Option<i64>,
        pub review_url: Option<String>,
        pub created_at: i64,
        pub posted_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// How a review ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReviewStatus {
    /// On GitHub.
    Posted,
    /// Nothing was sent: it would have said what the earlier one says.
    Unchanged,
    /// The pull request was closed, made a draft or pushed to meanwhile.
    Cancelled,
    /// Could not be posted.
    Failed,
}

impl ReviewStatus {
    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Unchanged => "unchanged",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Reads [`ReviewStatus::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Posted, Self::Unchanged, Self::Cancelled, Self::Failed].into_iter().find(|s| s.as_str() == text)
    }
}

/// A review as lists and the page of one show it.
#[derive(Debug, Clone)]
pub struct ReviewRow {
    /// Our id.
    pub id: ReviewId,
    /// Repository, GitHub's spelling when reviewed.
    pub repo: String,
    /// GitHub's id of the repository.
    pub repo_id: RepoId,
    /// Pull request number.
    pub pr_number: i64,
    /// Its title then.
    pub pr_title: String,
    /// Its page.
    pub pr_url: String,
    /// Its state, kept true by later events.
    pub pr_state: PrState,
    /// Its author's login.
    pub author: String,
    /// Head branch.
    pub branch: String,
    /// Base branch.
    pub base_ref: String,
    /// The commit reviewed.
    pub head_sha: String,
    /// How the review ended.
    pub status: ReviewStatus,
    /// Our conclusion; none if it never came to one.
    pub verdict: Option<Verdict>,
    /// What GitHub was told.
    pub event: Option<ReviewEvent>,
    /// One paragraph.
    pub summary: String,
    /// Files read.
    pub files_analyzed: i64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// How much was read.
    pub coverage: Coverage,
    /// When we concluded.
    pub created_at: DateTime<Utc>,
    /// When GitHub had it.
    pub posted_at: Option<DateTime<Utc>>,
    /// Its page.
    pub review_url: Option<String>,
}

/// Which reviews to list. Empty fields do not filter.
#[derive(Debug, Clone, Default)]
pub struct ReviewFilter {
    /// Only these repositories; none: all (the operator's view).
    pub repos: Option<Vec<RepoId>>,
    /// Repository name, any case.
    pub repo: Option<String>,
    /// Verdict.
    pub verdict: Option<Verdict>,
    /// Part of the title, author, branch or repository, any case.
    pub search: Option<String>,
}

/// A review as it was decided, kept with its effect until it is on GitHub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewDraft {
    /// Repository.
    pub repo: RepoRef,
    /// Pull request number.
    pub number: PrNumber,
    /// Its title.
    pub title: String,
    /// Its page.
    pub url: String,
    /// Its state.
    pub state: PrState,
    /// Its author.
    pub author: String,
    /// Head branch.
    pub branch: String,
    /// Base branch.
    pub base_ref: String,
    /// The commit reviewed.
    pub head: CommitSha,
    /// Our conclusion.
    pub verdict: Verdict,
    /// What GitHub is told.
    pub event: ReviewEvent,
    /// One paragraph.
    pub summary: String,
    /// The review's text, marker included.
    pub body: String,
    /// What was found.
    pub findings: Vec<Finding>,
    /// How much was read.
    pub coverage: Coverage,
}

impl ReviewDraft {
    /// The same without anything that was written in the repository or about it: which commit it was, and what was concluded.
    pub(crate) fn without_words(self) -> Self {
        let nothing = String::new;
        Self {
            title: nothing(),
            author: nothing(),
            branch: nothing(),
            summary: nothing(),
            body: nothing(),
            findings: Vec::new(),
            coverage: Coverage::default(),
            ..self
        }
    }

    /// Whether `ReviewDraft::without_words` is all that is left of it.
    pub fn is_wordless(&self) -> bool {
        self.body.is_empty()
    }

    pub(crate) fn to_json(&self) -> Result<String, StoreError> {
        // NUL cannot be stored as text on PostgreSQL; in JSON it is the escape that must go.
        serde_json::to_string(self)
            .map(|json| json.replace("\\u0000", "\u{fffd}"))
            .map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    pub(crate) fn from_json(json: &str) -> Result<Self, StoreError> {
        serde_json::from_str(json).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// The values of a row of `reviews`, in the order of its insert. Without a URL it was never posted.
    pub(crate) fn values(&self, effect: i64, url: Option<&str>, now: i64) -> Result<[Value; 22], StoreError> {
        let json = |error: serde_json::Error| StoreError::Corrupt(error.to_string());
        let status = if url.is_some() { ReviewStatus::Posted } else { ReviewStatus::Cancelled };
        let read = self.coverage.full.len() + self.coverage.partial.len();
        Ok([
            self.repo.id.0.into(),
            self.repo.name.to_string().into(),
            self.number.0.into(),
            clean(&self.title).into(),
            clean(&self.url).into(),
            self.state.as_str().into(),
            clean(&self.author).into(),
            clean(&self.branch).into(),
            clean(&self.base_ref).into(),
            self.head.0.clone().into(),
            status.as_str().into(),
            self.verdict.as_str().into(),
            url.map(|_| self.event.as_str()).into(),
            clean(&self.summary).into(),
            i64::try_from(read).unwrap_or(i64::MAX).into(),
            i64::try_from(self.findings.len()).unwrap_or(i64::MAX).into(),
            serde_json::to_string(&self.findings).map_err(json)?.replace("\\u0000", "\u{fffd}").into(),
            serde_json::to_string(&self.coverage).map_err(json)?.replace("\\u0000", "\u{fffd}").into(),
            effect.into(),
            url.into(),
            now.into(),
            url.map(|_| now).into(),
        ])
    }
}

impl Store {
    /// One page, newest first. `before` is the cursor of the previous page.
    pub async fn list_reviews(
        &self,
        filter: &ReviewFilter,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Page<ReviewRow>, StoreError> {
        use entity::Column;
        let mut query = entity::Entity::find().order_by_desc(Column::Id);
        if let Some(repos) = &filter.repos {
            query = query.filter(Column::RepoId.is_in(repos.iter().map(|id| id.0)));
        }
        if let Some(repo) = &filter.repo {
            query = query.filter(lower(Column::Repo).eq(repo.to_lowercase()));
        }
        if let Some(verdict) = filter.verdict {
            query = query.filter(Column::Verdict.eq(verdict.as_str()));
        }
        if let Some(search) = &filter.search {
            let mut any = Condition::any();
            // SQLite makes only ASCII letters small: the second spelling finds the others as they were written.
            for text in [search.to_lowercase(), search.to_ascii_lowercase()] {
                let pattern = LikeExpr::new(format!("%{}%", escape_like(&text))).escape('\\');
                for column in [Column::PrTitle, Column::Author, Column::Branch, Column::Repo] {
                    any = any.add(lower(column).like(pattern.clone()));
                }
            }
            query = query.filter(any);
        }
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before));
        }
        let rows = query.limit(limit as u64 + 1).all(self.read()).await?;
        let rows = rows.into_iter().map(ReviewRow::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(rows, limit, |row| row.id.0))
    }

    /// One review.
    pub async fn review(&self, id: ReviewId) -> Result<Option<ReviewRow>, StoreError> {
        entity::Entity::find_by_id(id.0).one(self.read()).await?.map(ReviewRow::try_from).transpose()
    }

    /// What was concluded about a head, and when that was posted; the latest, if it was reviewed more than once.
    pub async fn posted_verdict(
        &self,
        repo: RepoId,
        number: PrNumber,
        head: &CommitSha,
    ) -> Result<Option<(Verdict, DateTime<Utc>)>, StoreError> {
        let sql = "SELECT verdict, posted_at FROM reviews WHERE repo_id = $1 AND pr_number = $2 AND head_sha = $3 \
                   AND verdict IS NOT NULL AND posted_at IS NOT NULL ORDER BY posted_at DESC LIMIT 1";
        let values: [Value; 3] = [repo.0.into(), number.0.into(), head.0.clone().into()];
        let Some(row) = self.read().query_one_raw(self.sql(sql, values)).await? else { return Ok(None) };
        let verdict: String = row.try_get("", "verdict")?;
        let verdict = Verdict::parse(&verdict).ok_or_else(|| StoreError::Corrupt(format!("verdict {verdict:?}")))?;
        Ok(Some((verdict, time(row.try_get("", "posted_at")?))))
    }

    /// Keeps what lists say about a pull request true.
    pub async fn pull_changed(
        &self,
        repo: RepoId,
        number: PrNumber,
        state: PrState,
        title: Option<&str>,
    ) -> Result<(), StoreError> {
        let values: [Value; 4] = [repo.0.into(), number.0.into(), state.as_str().into(), title.map(clean).into()];
        let stale = "repo_id = $1 AND pr_number = $2 AND (pr_state <> $3 OR pr_title <> COALESCE($4, pr_title))";
        let sql = format!("SELECT 1 AS one FROM reviews WHERE {stale} LIMIT 1");
        if self.read().query_one_raw(self.sql(&sql, values.clone())).await?.is_none() {
            return Ok(());
        }
        let sql = format!("UPDATE reviews SET pr_state = $3, pr_title = COALESCE($4, pr_title) WHERE {stale}");
        self.write(Lane::Work, self.sql(&sql, values)).await?;
        Ok(())
    }
}

fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

impl TryFrom<entity::Model> for ReviewRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("review {}: {what}", row.id));
        let json = |error: serde_json::Error| StoreError::Corrupt(error.to_string());
        Ok(Self {
            id: ReviewId(row.id),
            repo_id: RepoId(row.repo_id),
            pr_number: row.pr_number,
            pr_state: PrState::parse(&row.pr_state).ok_or_else(|| corrupt("pr_state"))?,
            status: ReviewStatus::parse(&row.status).ok_or_else(|| corrupt("status"))?,
            verdict: row.verdict.as_deref().map(|v| Verdict::parse(v).ok_or_else(|| corrupt("verdict"))).transpose()?,
            event: row.event.as_deref().map(|e| ReviewEvent::parse(e).ok_or_else(|| corrupt("event"))).transpose()?,
            findings: serde_json::from_str(&row.findings).map_err(json)?,
            coverage: serde_json::from_str(&row.coverage).map_err(json)?,
            files_analyzed: row.files_analyzed,
            created_at: time(row.created_at),
            posted_at: row.posted_at.map(time),
            review_url: row.review_url,
            repo: row.repo,
            pr_title: row.pr_title,
            pr_url: row.pr_url,
            author: row.author,
            branch: row.branch,
            base_ref: row.base_ref,
            head_sha: row.head_sha,
            summary: row.summary,
        })
    }
}
