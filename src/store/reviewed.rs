//! Which heads of which pull requests have their review, for whoever looks at many at once.

use std::collections::HashMap;

use sea_orm::Value;

use super::{Store, StoreError, reviews::ReviewStatus};
use crate::domain::{CommitSha, PrNumber, RepoId, pull_request::PrState};

/// Pull requests in one question.
const AT_A_TIME: usize = 500;

/// A review of one head of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// The commit.
    pub head: CommitSha,
    /// The base branch it was reviewed against.
    pub base_ref: String,
    /// Whether there is a review of it on GitHub.
    pub said: bool,
    /// What lists say of the pull request.
    pub state: PrState,
}

impl Store {
    /// What is known of these pull requests.
    pub async fn reviewed(
        &self,
        repo: RepoId,
        numbers: &[PrNumber],
    ) -> Result<HashMap<PrNumber, Vec<Reviewed>>, StoreError> {
        use sea_orm::ConnectionTrait;
        let mut known: HashMap<PrNumber, Vec<Reviewed>> = HashMap::new();
        for chunk in numbers.chunks(AT_A_TIME) {
            let places = (2..chunk.len() + 2).map(|n| format!("${n}")).collect::<Vec<_>>().join(",");
            let sql = format!(
                "SELECT pr_number, head_sha, base_ref, status, pr_state FROM reviews \
                 WHERE repo_id = $1 AND pr_number IN ({places})"
            );
            let values = std::iter::once(Value::from(repo.0)).chain(chunk.iter().map(|number| number.0.into()));
            for row in self.read().query_all_raw(self.sql(&sql, values)).await? {
                let corrupt = |what: &str, word: &str| StoreError::Corrupt(format!("{what} {word:?} of a review"));
                let status: String = row.try_get("", "status")?;
                let state: String = row.try_get("", "pr_state")?;
                let status = ReviewStatus::parse(&status).ok_or_else(|| corrupt("status", &status))?;
                known.entry(PrNumber(row.try_get("", "pr_number")?)).or_default().push(Reviewed {
                    head: CommitSha(row.try_get("", "head_sha")?),
                    base_ref: row.try_get("", "base_ref")?,
                    said: matches!(status, ReviewStatus::Posted | ReviewStatus::Unchanged),
                    state: PrState::parse(&state).ok_or_else(|| corrupt("state", &state))?,
                });
            }
        }
        Ok(known)
    }
}
