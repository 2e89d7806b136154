//! From GitHub's tree to the graph.
//!
//! The graph keeps what its last build saw, so an unchanged tree costs one request and a changed one writes only the
//! difference.

use super::{aside, task, trouble};
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
    store::{
        outcome::{Failure, Outcome},
        work::Lease,
    },
};

/// git's name for a tree without files, which is what a repository without commits has.
const EMPTY: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

pub(super) async fn run(
    app: &App,
    lease: Lease,
    installation: InstallationId,
    repo: &RepoRef,
) -> Result<Outcome, Failure> {
    let Some(graph) = &app.graph else { return Ok(Outcome::ignored("graph_off")) };
    let graph = graph.ready().await.map_err(|error| trouble(&error))?;
    let known = graph.scan(repo.id).await.map_err(|error| trouble(&error))?;
    let bot = app.github.bot();
    let head = read(&bot, repo, "HEAD").await?;
    let unchanged = known.as_ref().zip(head.as_ref()).filter(|(scan, tree)| scan.tree == tree.sha);
    if let Some((scan, _)) = unchanged {
        let fact = RepositoryFact { repo: repo.clone(), default_branch: scan.default_branch.clone() };
        graph.name_repository(&fact).await.map_err(|error| trouble(&error))?;
        history(app, installation, repo, false).await?;
        return Ok(Outcome::completed("unchanged"));
    }
    let repository = match bot.repository(&repo.name).await {
        Ok(repository) if repository.repo.id == repo.id => repository,
        // The name has gone to another repository.
        Ok(_) | Err(GitHubError::NotFound { .. }) => return Ok(Outcome::completed("gone")),
        Err(error) => return Err(error.into()),
    };
    let tree = match head {
        Some(tree) => tree,
        None => match read(&bot, &repository.repo, &repository.default_branch).await? {
            Some(tree) => tree,
            None => return Ok(Outcome::completed("gone")),
        },
    };
    let first = known.is_none();
    app.store.still_mine(lease).await?;
    put(app, graph, repository, known, tree).await?;
    history(app, installation, repo, first).await?;
    Ok(Outcome::completed("graph_built"))
}

/// A tree, without files where the repository is empty; none where GitHub has nothing of this name.
async fn read(bot: &Bot<'_>, repo: &RepoRef, reference: &str) -> Result<Option<Tree>, Failure> {
    match bot.tree(&repo.name, reference).await {
        Ok(tree) => Ok(Some(tree)),
        Err(GitHubError::Rejected { status: 409, .. }) => Ok(Some(Tree { sha: EMPTY.to_owned(), files: Vec::new() })),
        Err(GitHubError::NotFound { .. } | GitHubError::Rejected { status: 422, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Puts a tree in the place of what the graph holds. If somebody else has changed that meanwhile, the difference means
/// nothing any more: then everything is put, once.
async fn put(
    app: &App,
    graph: &dyn CodeGraph,
    repository: Repository,
    known: Option<Scan>,
    tree: Tree,
) -> Result<(), Failure> {
    let now = app.clock.now();
    let (build, tree) = aside(move || {
        let tree = Tree { files: tree.files.into_iter().filter(|file| tree::is_indexed(&file.path)).collect(), ..tree };
        let known = known.as_ref().map(|scan| (scan.generation, Manifest::unpack(&scan.manifest)));
        (difference(&repository, known, &tree, now), tree)
    })
    .await?;
    match graph.build(&build).await {
        Err(GraphError::Outdated) => {}
        put => return put.map_err(|error| trouble(&error)),
    }
    let Some(present) = graph.scan(build.repository.repo.id).await.map_err(|error| trouble(&error))? else {
        return Err(trouble(&GraphError::Outdated));
    };
    if present.tree == tree.sha {
        return Ok(());
    }
    let whole = Build {
        scan: Scan { generation: present.generation + 1, ..build.scan },
        from: None,
        files: tree.files.iter().map(tree::fact).collect(),
        gone: Vec::new(),
        moved: Vec::new(),
        repository: build.repository,
    };
    graph.build(&whole).await.map_err(|error| trouble(&error))
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

/// Has what happened before learned once: after the first build of this graph, and as long as it has not come to its end.
async fn history(app: &App, installation: InstallationId, repo: &RepoRef, first: bool) -> Result<(), Failure> {
    let key = app.task_key(TaskKind::History, repo.id);
    let waits = app.store.latest_task(TaskKind::History, &key).await?.is_some_and(|task| task.finished_at.is_none());
    let done = app.store.last_completed(TaskKind::History, &key).await?.is_some();
    if first || !(waits || done) {
        app.inbox.enqueue(task(app, TaskKind::History, installation, repo)).await?;
    }
    Ok(())
}
