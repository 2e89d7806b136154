//! One pull request: its state now, and asking for a review.

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};

use super::{
    Tag,
    error::{Problem, fails},
    params::{Name, Number},
    repos::connected,
    security::Caller,
};
use crate::{
    app::Handle,
    domain::{PrNumber, TaskId, pull_request::PrState as State, task::TaskKind},
    github::pr_state::Known,
    inbox::NewTask,
};

/// Whether a pull request is open, closed or merged.
#[derive(Debug, Object)]
#[oai(example)]
struct PullState {
    /// Open, closed or merged.
    state: PrState,
    /// Whether this was remembered rather than asked just now.
    cached: bool,
    /// Seconds until GitHub would be asked again.
    expires_in: i64,
}

/// Open, closed or merged.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", remote = "State")]
pub(super) enum PrState {
    Open,
    Closed,
    Merged,
}

/// A review that is going to happen.
#[derive(Debug, Object)]
#[oai(example)]
struct ReviewQueued {
    /// Always `queued`.
    status: String,
    /// The durable work that does it.
    task_id: i64,
    /// GitHub's spelling.
    repo: String,
    /// The pull request.
    pr_number: i64,
}

/// Answers of asking for a review.
#[derive(ApiResponse)]
enum Asked {
    /// It will be reviewed, whatever happens to this process.
    #[oai(status = 202)]
    Queued(Json<ReviewQueued>),
}

fails! {
    /// Asking for a state.
    StateFails {
        404 "Repo not connected" | "Pull request not found";
        422 "This cannot be a repository's name";
        502 "GitHub is unreachable";
    }
}

fails! {
    /// Asking for a review.
    ReviewFails {
        404 "Repo not connected" | "Pull request not found";
        409 "Pull request is closed";
        422 "This cannot be a repository's name";
        502 "GitHub is unreachable";
    }
}

/// Pull requests.
pub(super) struct PullsApi;

#[OpenApi(prefix_path = "/api/v1/repos", tag = "Tag::PullRequests")]
impl PullsApi {
    /// See whether a pull request is open, closed or merged.
    ///
    /// Remembered for a minute while open and for five once it is not; webhooks keep it true in between.
    #[oai(path = "/:owner/:repo/pulls/:number/state", method = "get", operation_id = "get_pull_state")]
    async fn state(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
        number: Path<Number>,
    ) -> Result<Json<PullState>, StateFails> {
        let repo = connected(app, &user, &owner, &repo).await?.repo.name;
        let number = PrNumber::from(number.0);
        let known = app.pr_states.get(&repo, number, async {
            let pull = app.github.bot().pull(&repo, number).await?;
            Ok((pull.state, pull.updated_at))
        });
        let known = known.await.map_err(|error| Problem::from(&*error))?;
        Ok(Json(known.into()))
    }

    /// Review a pull request now.
    ///
    /// Reviews the head commit, of a draft too. A head that has its review already is posted again only with `force`.
    #[oai(path = "/:owner/:repo/pulls/:number/review", method = "post", operation_id = "request_review")]
    async fn review(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
        number: Path<Number>,
        /// Whether to post again what was reviewed already.
        #[oai(default)]
        force: Query<bool>,
    ) -> Result<Asked, ReviewFails> {
        let installation = connected(app, &user, &owner, &repo).await?;
        let number = PrNumber::from(number.0);
        let pull = app.github.bot().pull(&installation.repo.name, number).await?;
        if pull.state != State::Open {
            return Err(Problem::conflict("Pull request is closed").into());
        }
        let task = app.inbox.enqueue(NewTask {
            kind: TaskKind::Review,
            // Not the same work: who asks without `force` must not take it from who asked with it.
            key: format!("{}#{number}{}", installation.repo.id, if force.0 { " force" } else { "" }),
            installation: installation.id,
            repo: installation.repo.clone(),
            number: Some(number),
            payload: serde_json::json!({ "force": force.0 }),
        });
        let TaskId(task_id) = task.await?;
        Ok(Asked::Queued(Json(ReviewQueued {
            status: "queued".to_owned(),
            task_id,
            repo: installation.repo.name.to_string(),
            pr_number: number.0,
        })))
    }
}

impl From<Known> for PullState {
    fn from(known: Known) -> Self {
        let expires_in = i64::try_from(known.expires_in).unwrap_or(i64::MAX);
        Self { state: known.state.into(), cached: known.cached, expires_in }
    }
}

impl Example for PullState {
    fn example() -> Self {
        Self { state: PrState::Open, cached: true, expires_in: 42 }
    }
}

impl Example for ReviewQueued {
    fn example() -> Self {
        Self { status: "queued".to_owned(), task_id: 7, repo: "acme/my-backend".to_owned(), pr_number: 12 }
    }
}
