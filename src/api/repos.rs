//! Repositories: which there are, connecting and disconnecting, and how a connected one is doing.

use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use tracing::Instrument;

use super::{
    Tag,
    error::{Problem, fails},
    params::{Name, repo_name},
    security::Caller,
    time::Time,
    webhook_health::{CatchUp, WebhookState},
};
use crate::{
    accounts::{
        access,
        connect::{self, ConnectError, Connected},
        erase,
        repos::{self, Choice},
        session::CurrentUser,
    },
    app::{App, Handle},
    domain::task::TaskKind,
    knowledge::{self, Stage},
    store::installations::{Installation, InstallationState},
};

/// The caller's active installation of the repository in the path. Every route about a connected repository asks this
/// before anything else.
pub(super) async fn connected(
    app: &App,
    user: &CurrentUser,
    owner: &Name,
    repo: &Name,
) -> Result<Installation, Problem> {
    let name = repo_name(owner, repo)?;
    let installation = access::installation(app, user, &name).await?;
    installation.ok_or_else(|| Problem::not_found("Repo not connected"))
}

/// Work on GitHub that a caller who leaves must not stop half way.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ConnectError>> + Send + 'static,
) -> Result<T, Problem> {
    Ok(tokio::spawn(work.in_current_span()).await.map_err(Problem::internal)??)
}

/// A repository the caller can reach on GitHub.
#[derive(Debug, Object)]
#[oai(example)]
struct Repository {
    /// GitHub's id.
    id: i64,
    /// Name without owner.
    name: String,
    /// Owner and name, GitHub's spelling.
    full_name: String,
    /// What it says of itself.
    description: Option<String>,
    /// Whether it is private.
    private: bool,
    /// Its page on GitHub.
    html_url: String,
    /// Last change on GitHub.
    updated_at: Option<Time>,
    /// Whether the caller connected it.
    is_connected: bool,
    /// The caller's installation, if connected.
    installation_id: Option<i64>,
}

/// A repository that has just been connected.
#[derive(Debug, Object)]
#[oai(example)]
struct Installed {
    /// Always `connected`.
    status: String,
    /// The new installation.
    installation_id: i64,
    /// GitHub's spelling.
    repo: String,
}

/// A repository that has just been disconnected.
#[derive(Debug, Object)]
#[oai(example)]
struct Uninstalled {
    /// Always `disconnected`.
    status: String,
    /// GitHub's spelling.
    repo: String,
}

/// How a connected repository is doing.
#[derive(Debug, Object)]
#[oai(example)]
struct ConnectedRepository {
    /// The caller's installation.
    installation_id: i64,
    /// GitHub's spelling.
    repo: String,
    /// GitHub's id of the repository.
    repo_id: i64,
    /// Whether deliveries are accepted.
    is_active: bool,
    /// Since when.
    connected_at: Option<Time>,
    /// Its webhook.
    webhook: Webhook,
    /// The account that reviews.
    bot: Bot,
    /// Reading what the project is made of.
    scan: Progress,
    /// Indexing its files.
    graph: Progress,
    /// Catching up with what GitHub sent while it could not reach us.
    catch_up: CatchUp,
}

/// A webhook, as far as its deliveries tell.
#[derive(Debug, Object)]
struct Webhook {
    /// GitHub's id.
    id: Option<i64>,
    /// Whether GitHub has reached us through it.
    verified: bool,
    /// When a delivery last came.
    last_delivery_at: Option<Time>,
    /// The HTTP status we last answered.
    last_status: Option<i64>,
    /// How it is at GitHub.
    state: WebhookState,
    /// What to do about it.
    hint: Option<String>,
}

/// The account that reviews.
#[derive(Debug, Object)]
struct Bot {
    /// Its login.
    login: Option<String>,
    /// Whether it can review this repository; null while nobody could ask.
    can_review: Option<bool>,
    /// What to do if it cannot.
    hint: Option<String>,
}

/// Durable work on a repository.
#[derive(Debug, Object)]
struct Progress {
    /// How far it is. What `failed` for a passing reason is tried again.
    status: ProgressStatus,
    /// When it last ended well.
    finished_at: Option<Time>,
    /// What went wrong, when it is `failed`.
    error: Option<String>,
}

/// How far durable work is.
#[derive(Debug, Enum)]
#[oai(rename_all = "snake_case")]
enum ProgressStatus {
    Off,
    Queued,
    Running,
    Done,
    Failed,
}

fails! {
    /// Listing repositories.
    ListFails {
        401 "Unauthorized" | "Session expired — please log out and sign in again to reconnect your GitHub account.";
        502 "Failed to fetch repositories from GitHub";
    }
}

fails! {
    /// Connecting.
    InstallFails {
        400 "Repo already connected";
        401 "Unauthorized" | "Session expired — please log out and sign in again.";
        422 "This cannot be a repository's name";
        502 "Failed to install webhook: {reason}";
    }
}

fails! {
    /// Disconnecting.
    UninstallFails {
        401 "Unauthorized" | "Session expired — please log out and sign in again.";
        404 "Installation not found";
        422 "This cannot be a repository's name";
    }
}

fails! {
    /// Looking at a connected repository.
    ConnectedFails {
        404 "Repo not connected";
        422 "This cannot be a repository's name";
    }
}

/// Repositories.
pub(super) struct ReposApi;

#[OpenApi(prefix_path = "/api/v1/repos", tag = "Tag::Repositories")]
impl ReposApi {
    /// List the repositories I can reach.
    ///
    /// All of them, most recently updated first, with what is connected.
    #[oai(path = "/", method = "get", operation_id = "list_repositories")]
    async fn list(&self, Caller(user): Caller, Data(app): Data<&Handle>) -> Result<Json<Vec<Repository>>, ListFails> {
        let choices = repos::list(app, &user).await?;
        Ok(Json(choices.into_iter().map(Repository::from).collect()))
    }

    /// Connect a repository.
    ///
    /// Creates a webhook with the caller's own GitHub account, which must administer the repository.
    #[oai(path = "/:owner/:repo/install", method = "post", operation_id = "connect_repository")]
    async fn install(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<Installed>, InstallFails> {
        let name = repo_name(&owner, &repo)?;
        let app = app.clone();
        let connecting = to_the_end(async move { connect::connect(&app, &user, &name).await });
        let Connected { installation, repo } = connecting.await?;
        Ok(Json(Installed { status: "connected".to_owned(), installation_id: installation.0, repo: repo.to_string() }))
    }

    /// Disconnect a repository.
    ///
    /// Removes the webhook if that can be done. What was reviewed stays; with `purge` it goes: deliveries and everything else
    /// that was kept for the caller, and, unless somebody else has the repository connected, its reviews, profile and part
    /// of the code graph. That also erases what an earlier connection of the caller has left.
    #[oai(path = "/:owner/:repo/install", method = "delete", operation_id = "disconnect_repository")]
    async fn uninstall(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
        /// Whether to erase what is kept, too.
        purge: Query<Option<bool>>,
    ) -> Result<Json<Uninstalled>, UninstallFails> {
        let name = repo_name(&owner, &repo)?;
        let (app, purge) = (app.clone(), purge.unwrap_or(false));
        let ending = async move {
            match purge {
                true => erase::purge(&app, &user, &name).await,
                false => connect::disconnect(&app, &user, &name).await,
            }
        };
        let repo = to_the_end(ending).await?;
        Ok(Json(Uninstalled { status: "disconnected".to_owned(), repo: repo.to_string() }))
    }

    /// See how a connected repository is doing.
    #[oai(path = "/:owner/:repo", method = "get", operation_id = "get_repository")]
    async fn get(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        owner: Path<Name>,
        repo: Path<Name>,
    ) -> Result<Json<ConnectedRepository>, ConnectedFails> {
        let installation = connected(app, &user, &owner, &repo).await?;
        // First, because it may have something learned.
        let installation = repos::with_bot(app, installation).await?;
        let scan = knowledge::progress(app, TaskKind::Scan, &installation.repo).await?;
        let graph = knowledge::progress(app, TaskKind::Graph, &installation.repo).await?;
        Ok(Json(ConnectedRepository::new(installation, scan.into(), graph.into())))
    }
}

impl From<Choice> for Repository {
    fn from(choice: Choice) -> Self {
        let repository = choice.repository;
        Self {
            id: repository.repo.id.0,
            name: repository.repo.name.name().to_owned(),
            full_name: repository.repo.name.to_string(),
            description: repository.description,
            private: repository.private,
            html_url: repository.html_url,
            updated_at: repository.updated_at.map(Time::from),
            is_connected: choice.installation.is_some(),
            installation_id: choice.installation.map(|id| id.0),
        }
    }
}

impl ConnectedRepository {
    fn new(installation: Installation, scan: Progress, graph: Progress) -> Self {
        Self {
            installation_id: installation.id.0,
            repo: installation.repo.name.to_string(),
            repo_id: installation.repo.id.0,
            is_active: installation.state == InstallationState::Active,
            connected_at: installation.connected_at.map(Time::from),
            webhook: Webhook {
                id: installation.hook_id.map(|hook| hook.0),
                verified: installation.verified_at.is_some(),
                last_delivery_at: installation.last_delivery_at.map(Time::from),
                last_status: installation.last_status,
                state: installation.catch_up.hook.into(),
                hint: installation.catch_up.hint.clone(),
            },
            bot: Bot {
                login: installation.bot_login,
                can_review: installation.bot_can_review,
                hint: installation.bot_hint,
            },
            scan,
            graph,
            catch_up: installation.catch_up.into(),
        }
    }
}

impl From<knowledge::Progress> for Progress {
    fn from(progress: knowledge::Progress) -> Self {
        let status = match progress.stage {
            Stage::Off => ProgressStatus::Off,
            Stage::Queued => ProgressStatus::Queued,
            Stage::Running => ProgressStatus::Running,
            Stage::Done => ProgressStatus::Done,
            Stage::Failed => ProgressStatus::Failed,
        };
        Self { status, finished_at: progress.finished_at.map(Time::from), error: progress.error }
    }
}

impl Example for Repository {
    fn example() -> Self {
        Self {
            id: 1_296_269,
            name: "my-backend".to_owned(),
            full_name: "acme/my-backend".to_owned(),
            description: Some("What runs behind the shop".to_owned()),
            private: true,
            html_url: "https://github.com/acme/my-backend".to_owned(),
            updated_at: Some(Time::example()),
            is_connected: true,
            installation_id: Some(42),
        }
    }
}

impl Example for Installed {
    fn example() -> Self {
        Self { status: "connected".to_owned(), installation_id: 42, repo: "acme/my-backend".to_owned() }
    }
}

impl Example for Uninstalled {
    fn example() -> Self {
        Self { status: "disconnected".to_owned(), repo: "acme/my-backend".to_owned() }
    }
}

impl Example for ConnectedRepository {
    fn example() -> Self {
        Self {
            installation_id: 42,
            repo: "acme/my-backend".to_owned(),
            repo_id: 1_296_269,
            is_active: true,
            connected_at: Some(Time::example()),
            webhook: Webhook {
                id: Some(372_189),
                verified: true,
                last_delivery_at: Some(Time::example()),
                last_status: Some(202),
                state: WebhookState::Ok,
                hint: None,
            },
            bot: Bot { login: Some("nectr-bot".to_owned()), can_review: Some(true), hint: None },
            scan: Progress { status: ProgressStatus::Done, finished_at: Some(Time::example()), error: None },
            graph: Progress { status: ProgressStatus::Running, finished_at: None, error: None },
            catch_up: CatchUp::example(),
        }
    }
}
