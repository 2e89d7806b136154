//! From GitHub's tree to the graph.
//!
//! The graph keeps what its last build saw, so an unchanged tree costs two conditional requests and a changed one writes
//! only the difference.

use super::{Trouble, aside, task};
use crate::{
    app::App,
    domain::{
        InstallationId, RepoRef,
        graph::{Build, RepositoryFact, Scan, TreeFile},
        task::TaskKind,
    },
    github::{Bot, GitHubError, Repository, Tree},
    graph::{
        CodeGraph, GraphError,
        tree::{self, Manifest},
    },
    store::{outcome::Outcome, work::Lease},
};

/// git's name for a tree without files, which is what a repository without commits has.
const EMPTY: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

pub(super) async fn run(
    app: &App,
    lease: Lease,
    installation: InstallationId,
    repo: &RepoRef,
) -> Result<Outcome, Trouble> {
    let Some(graph) = &app.graph else { return Ok(Outcome::ignored("graph_off")) };
    let graph = graph.ready().await?;
    let known = graph.scan(repo.id).await?;
    let bot = app.github.bot();
    let repository = bot.repository(&repo.name).await?;
    if repository.repo.id != repo.id {
        return Err(Trouble::gone(repo));
    }
    let tree = read(&bot, &repository).await?;
    let built = known.as_ref().is_none_or(|scan| scan.tree != tree.sha);
    app.store.still_mine(lease).await?;
    if built {
        put(app, lease, graph, repository, known, tree).await?;
    } else {
        let fact = RepositoryFact { repo: repository.repo, default_branch: repository.default_branch };
        graph.name_repository(&fact).await?;
    }
    history(app, graph, installation, repo).await?;
    Ok(Outcome::completed(if built { "graph_built" } else { "unchanged" }))
}

/// The tree of the default branch, without files where the repository is empty.
async fn read(bot: &Bot<'_>, repository: &Repository) -> Result<Tree, GitHubError> {
    let name = &repository.repo.name;
    let tree = match bot.tree(name, "HEAD").await {
        Err(GitHubError::NotFound { .. } | GitHubError::Rejected { status: 422, .. }) => {
            bot.tree(name, &repository.default_branch).await
        }
        tree => tree,
    };
    match tree {
        Err(GitHubError::Rejected { status: 409, .. }) => Ok(Tree { sha: EMPTY.to_owned(), files: Vec::new() }),
        Err(GitHubError::Rejected { status: 422, .. }) => Err(GitHubError::NotFound { what: name.to_string() }),
        tree => tree,
    }
}

/// Puts a tree in the place of what the graph holds. If somebody else has changed that meanwhile, theirs may be the newer
/// one: then the branch has to be read again, by whoever has the work by now.
async fn put(
    app: &App,
    lease: Lease,
    graph: &dyn CodeGraph,
    repository: Repository,
    known: Option<Scan>,
    tree: Tree,
) -> Result<(), Trouble> {
    let now = app.clock.now();
    let build = aside(move || {
        let tree = Tree { files: tree.files.into_iter().filter(|file| tree::is_indexed(&file.path)).collect(), ..tree };
        let known = known.as_ref().map(|scan| (scan.generation, Manifest::unpack(&scan.manifest)));
        difference(&repository, known, &tree, now)
    })
    .await?;
    let Build { repository: RepositoryFact { repo, .. }, scan, files, gone, .. } = &build;
    tracing::info!(
        repo = %repo.name,
        files = scan.files,
        changed = files.len(),
        gone = gone.len(),
        "putting a repository's files into the code graph"
    );
    match graph.build(&build).await {
        Err(GraphError::Outdated) => {
            app.store.still_mine(lease).await?;
            Err(Trouble::Overtaken)
        }
        put => Ok(put?),
    }
}

/// What has to be written. `known` is the generation the graph holds and what it was made of, unless that cannot be read.
fn difference(
    repository: &Repository,
    known: Option<(i64, Option<Manifest>)>,
    tree: &Tree,
    now: chrono::DateTime<chrono::Utc>,
) -> Build {
    let generation = known.as_ref().map_or(0, |(generation, _)| *generation);
    let all = |files: &[TreeFile]| files.iter().map(tree::fact).collect();
    let (from, files, gone, moved) = match known {
        Some((generation, Some(manifest))) => {
            let changed = manifest.difference(&tree.files);
            (Some(generation), all(&changed.files), changed.gone, changed.moved)
        }
        _ => (None, all(&tree.files), Vec::new(), Vec::new()),
    };
    Build {
        repository: RepositoryFact { repo: repository.repo.clone(), default_branch: repository.default_branch.clone() },
        scan: Scan {
            generation: generation + 1,
            default_branch: repository.default_branch.clone(),
            tree: tree.sha.clone(),
            files: i64::try_from(tree.files.len()).unwrap_or(i64::MAX),
            manifest: Manifest::of(&tree.files).pack(),
            scanned_at: now,
        },
        from,
        files,
        gone,
        moved,
    }
}

/// Has what happened before learned, if this graph does not know it and nobody is about to tell it.
async fn history(
    app: &App,
    graph: &dyn CodeGraph,
    installation: InstallationId,
    repo: &RepoRef,
) -> Result<(), Trouble> {
    let known = graph.held(Some(repo.id)).await?.iter().any(|held| held.history.is_some());
    let key = app.task_key(TaskKind::History, repo.id);
    let waits = app.store.latest_task(TaskKind::History, &key).await?.is_some_and(|task| task.finished_at.is_none());
    if !(known || waits) {
        app.inbox.enqueue(task(app, TaskKind::History, installation, repo)).await?;
    }
    Ok(())
}
