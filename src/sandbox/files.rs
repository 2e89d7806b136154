//! What is in a repository, commit by commit: put there by a story's beginning, pushed, or merged.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

use super::{
    RepoBuilder, Sandbox,
    change::{Change, Files},
    world::{File, Kind, Mode, Repo, Tree, World},
};

/// GitHub lists at most this many entries of a tree in one answer.
pub const MOST_ENTRIES: usize = 100_000;

impl RepoBuilder<'_> {
    /// A file on the default branch.
    pub fn file(self, path: &str, text: &str) -> Self {
        self.put(path, File::text(text))
    }

    /// A file on the default branch that can be run: mode 100755.
    pub fn executable(self, path: &str, text: &str) -> Self {
        self.put(path, File::new(Mode::Executable, text.as_bytes()))
    }

    /// A symbolic link on the default branch: mode 120000.
    pub fn link(self, path: &str, target: &str) -> Self {
        self.put(path, File::new(Mode::Link, target.as_bytes()))
    }

    /// Another repository inside this one: mode 160000, type `commit`.
    pub fn submodule(self, path: &str) -> Self {
        let sha = self.github.lock().next_sha();
        self.put(path, File { mode: Mode::Submodule, bytes: Arc::default(), sha })
    }

    /// Bytes that need not be text, on the default branch.
    pub fn bytes(self, path: &str, bytes: &[u8]) -> Self {
        self.put(path, File::new(Mode::Plain, bytes))
    }

    /// No commit yet: no branch, no tree, and GitHub says so.
    pub fn empty(self) -> Self {
        self.change(|repo| {
            repo.branches.clear();
            repo.trees.clear();
        })
    }

    /// A tag on the tip of the default branch.
    pub fn tag(self, name: &str) -> Self {
        self.change(|repo| {
            if let Some(tip) = repo.branches.get(&repo.default_branch).cloned() {
                repo.tags.insert(name.to_owned(), tip);
            }
        })
    }

    /// How many people starred it.
    pub fn stars(self, stars: i64) -> Self {
        self.change(|repo| repo.stars = stars)
    }

    /// `login` has this many commits on the default branch. `name[bot]` is an app's.
    pub fn contributor(self, login: &str, commits: i64) -> Self {
        let kind = if login.ends_with("[bot]") { Kind::Bot } else { Kind::User };
        let user = self.github.lock().ensure_account(login, kind);
        self.change(|repo| {
            repo.contributions.insert(user, commits);
        })
    }

    /// So many people contributed that GitHub does not list them: 403.
    pub fn too_many_contributors(self) -> Self {
        self.change(|repo| repo.too_many_contributors = true)
    }

    fn put(self, path: &str, file: File) -> Self {
        self.change(|repo| {
            if let Some(tree) = tip_mut(repo) {
                tree.insert(path.to_owned(), file);
            }
        })
    }
}

impl Sandbox {
    /// Many files on the default branch at once, for large repositories: no patches, no commit, no delivery.
    #[track_caller]
    pub fn add_files<P: Into<String>>(&self, repo: &str, files: impl IntoIterator<Item = (P, String)>) {
        let mut world = self.lock();
        let repo = world.repo_named(repo);
        if let Some(tree) = tip_mut(world.repo_mut(repo)) {
            tree.extend(files.into_iter().map(|(path, text)| (path.into(), File::text(&text))));
        }
    }

    /// `author` pushes a commit straight to the default branch: `push`. Returns the new tip.
    #[track_caller]
    pub fn push_to_default(&self, repo: &str, author: &str, describe: impl FnOnce(Files) -> Files) -> String {
        let mut world = self.lock();
        let repo = world.repo_named(repo);
        let author = world.ensure_account(author, Kind::User);
        let branch = world.repo(repo).default_branch.clone();
        let before = world.tip(repo, &branch);
        let mut changes = BTreeMap::new();
        describe(Files::default()).apply(&mut changes);
        let after = world.advance(repo, &branch, &changes);
        world.count_commits(repo, &branch, author, 1);
        let sender = world.show_user(author);
        let payload = json!({
            "ref": format!("refs/heads/{branch}"), "before": before, "after": after, "created": false,
            "deleted": false, "forced": false, "base_ref": null, "commits": [], "head_commit": null,
            "repository": world.show_repo(world.repo(repo), None), "sender": sender,
            "pusher": {"name": world.login(author), "email": null},
        });
        world.announce(repo, "push", &payload);
        after
    }

    /// A recursive listing of a tree is cut off after this many entries; 100,000 at the start, as GitHub documents.
    pub fn truncate_trees(&self, limit: usize) {
        self.lock().truncate_trees = limit;
    }
}

fn tip_mut(repo: &mut Repo) -> Option<&mut Tree> {
    let tip = repo.branches.get(&repo.default_branch)?;
    repo.trees.get_mut(tip).map(Arc::make_mut)
}

impl World {
    /// The tip of a branch, which is made from the default one if need be.
    pub fn tip(&mut self, repo: i64, branch: &str) -> String {
        if let Some(sha) = self.repo(repo).branches.get(branch) {
            return sha.clone();
        }
        let sha = self.next_sha();
        let repo = self.repo_mut(repo);
        let tree = repo.branches.get(&repo.default_branch).and_then(|tip| repo.trees.get(tip)).cloned();
        repo.trees.insert(sha.clone(), tree.unwrap_or_default());
        repo.branches.insert(branch.to_owned(), sha.clone());
        sha
    }

    /// A commit of `changes` on top of a branch; returns the new tip.
    pub fn advance(&mut self, repo: i64, branch: &str, changes: &BTreeMap<String, Change>) -> String {
        let tip = self.tip(repo, branch);
        let (sha, at) = (self.next_sha(), self.stamp());
        let repo = self.repo_mut(repo);
        let mut base = repo.trees.get(&tip).map(|tree| Tree::clone(tree)).unwrap_or_default();
        let tree = apply(&mut base, changes);
        repo.trees.insert(sha.clone(), Arc::new(tree));
        repo.branches.insert(branch.to_owned(), sha.clone());
        repo.updated_at = at;
        sha
    }

    /// Commits that came to a branch: those of the default branch make contributors.
    pub fn count_commits(&mut self, repo: i64, branch: &str, author: i64, commits: usize) {
        let repo = self.repo_mut(repo);
        if repo.default_branch == branch {
            *repo.contributions.entry(author).or_default() += i64::try_from(commits).unwrap_or_default();
        }
    }
}

/// The tree after `changes`; what they take for granted is put into `base` if it is not there.
pub fn apply(base: &mut Tree, changes: &BTreeMap<String, Change>) -> Tree {
    for (path, change) in changes {
        if let Some(old) = &change.old {
            base.entry(change.from.as_ref().unwrap_or(path).clone()).or_insert_with(|| File::text(old));
        }
    }
    let mut head = base.clone();
    for (path, change) in changes {
        if let Some(from) = &change.from {
            head.remove(from);
        }
        match &change.new {
            Some(new) => {
                let mode = head.get(path).map_or(Mode::Plain, |file| file.mode);
                head.insert(path.clone(), File::new(mode, new.as_bytes()))
            }
            None => head.remove(path),
        };
    }
    head
}
