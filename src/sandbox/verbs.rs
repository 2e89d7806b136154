//! What people do to pull requests. Each verb changes the world at once and queues the deliveries that follow.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    Pr, Sandbox,
    change::{Files, NewPull, Row},
    files::apply,
    world::{HeadRepo, Kind, Pull, PullState, World},
};

impl Sandbox {
    /// Somebody opens a pull request: `pull_request.opened`.
    #[track_caller]
    pub fn open_pull(&self, repo: &str, describe: impl FnOnce(NewPull) -> NewPull) -> Pr {
        let new = describe(NewPull::default());
        let mut world = self.lock();
        let repo = world.repo_named(repo);
        let pr = world.open_pull(repo, new);
        world.announce_pull(pr, "opened", json!({}));
        pr
    }

    /// New commits on the head branch: `pull_request.synchronize` (nothing is said of a closed pull request). Returns
    /// the new head.
    #[track_caller]
    pub fn push(&self, pr: Pr, describe: impl FnOnce(Files) -> Files) -> String {
        self.move_head(pr, describe(Files::default()), true)
    }

    /// The head branch is rewritten: as [`Sandbox::push`], but the earlier commits no longer belong to the pull request.
    #[track_caller]
    pub fn force_push(&self, pr: Pr, describe: impl FnOnce(Files) -> Files) -> String {
        self.move_head(pr, describe(Files::default()), false)
    }

    fn move_head(&self, pr: Pr, files: Files, keep_history: bool) -> String {
        let mut world = self.lock();
        let before = world.pull(pr).now.head.clone();
        let pull = world.pull_mut(pr);
        files.apply(&mut pull.changes);
        if !keep_history {
            pull.history.clear();
            pull.now.commits = 0;
        }
        let after = world.commit(pr);
        if world.pull(pr).now.open {
            world.announce_pull(pr, "synchronize", json!({"before": before, "after": after}));
        }
        after
    }

    /// `pull_request.edited` with `changes.title.from`.
    #[track_caller]
    pub fn edit_title(&self, pr: Pr, title: &str) {
        let from = self.lock().pull(pr).now.title.clone();
        let changes = json!({"changes": {"title": {"from": from}}});
        self.update(pr, "edited", changes, |state| state.title = title.to_owned());
    }

    /// `pull_request.edited` with `changes.body.from`.
    #[track_caller]
    pub fn edit_body(&self, pr: Pr, body: &str) {
        let from = self.lock().pull(pr).now.body.clone();
        let changes = json!({"changes": {"body": {"from": from}}});
        self.update(pr, "edited", changes, |state| state.body = Some(body.to_owned()));
    }

    /// The pull request now goes to another branch: `pull_request.edited` with `changes.base`. The branch is made if it
    /// does not exist.
    #[track_caller]
    pub fn change_base(&self, pr: Pr, base: &str) {
        let (from, sha) = {
            let mut world = self.lock();
            let from = world.pull(pr).now.base_ref.clone();
            (json!({"ref": {"from": from}, "sha": {"from": world.pull(pr).now.base_sha}}), world.tip(pr.repo, base))
        };
        self.update(pr, "edited", json!({"changes": {"base": from}}), |state| {
            state.base_ref = base.to_owned();
            state.base_sha = sha;
        });
    }

    /// Closed without merging: `pull_request.closed`.
    #[track_caller]
    pub fn close(&self, pr: Pr) {
        self.update(pr, "closed", json!({}), |state| {
            state.open = false;
            state.closed_at = Some(state.updated_at);
        });
    }

    /// Merged by the repository's owner: its changes come to the base branch, `pull_request.closed` with `merged`, and
    /// `issues.closed` for each issue of the repository that its text fixes, if that is the default branch.
    #[track_caller]
    pub fn merge(&self, pr: Pr) {
        let (by, commit) = {
            let mut world = self.lock();
            let pull = world.pull(pr);
            let (base, changes) = (pull.now.base_ref.clone(), pull.changes.clone());
            let (author, commits) = (pull.author, pull.now.commits);
            let commit = world.advance(pr.repo, &base, &changes);
            world.count_commits(pr.repo, &base, author, commits);
            (world.repo(pr.repo).owner, commit)
        };
        self.update(pr, "closed", json!({}), |state| {
            state.open = false;
            state.closed_at = Some(state.updated_at);
            state.merged_at = Some(state.updated_at);
            state.merged_by = Some(by);
            state.merge_commit = Some(commit);
        });
        self.lock().close_what_it_fixes(pr);
    }

    /// `pull_request.reopened`.
    #[track_caller]
    pub fn reopen(&self, pr: Pr) {
        self.update(pr, "reopened", json!({}), |state| {
            state.open = true;
            state.closed_at = None;
        });
    }

    /// `pull_request.converted_to_draft`.
    #[track_caller]
    pub fn convert_to_draft(&self, pr: Pr) {
        self.update(pr, "converted_to_draft", json!({}), |state| state.draft = true);
    }

    /// `pull_request.ready_for_review`.
    #[track_caller]
    pub fn ready_for_review(&self, pr: Pr) {
        self.update(pr, "ready_for_review", json!({}), |state| state.draft = false);
    }

    /// An action nectr has no use for: `pull_request.labeled`.
    #[track_caller]
    pub fn label(&self, pr: Pr, name: &str) {
        let label = json!({"label": {"id": 1, "name": name, "color": "ededed", "default": false}});
        self.update(pr, "labeled", label, |_| {});
    }

    /// From now on the API shows the pull request as it is now, whatever happens to it, until [`Sandbox::catch_up`].
    #[track_caller]
    pub fn lag(&self, pr: Pr) {
        let mut world = self.lock();
        let pull = world.pull_mut(pr);
        pull.lagging = Some(Box::new(pull.now.clone()));
    }

    /// The API shows the truth about the pull request again.
    #[track_caller]
    pub fn catch_up(&self, pr: Pr) {
        self.lock().pull_mut(pr).lagging = None;
    }

    /// The newest head commit.
    #[track_caller]
    pub fn head_of(&self, pr: Pr) -> String {
        self.lock().pull(pr).now.head.clone()
    }

    /// The patches of its files as of the newest head, by path; files without one are left out.
    #[track_caller]
    pub fn patches(&self, pr: Pr) -> Vec<String> {
        self.lock().pull(pr).now.rows.iter().filter_map(|row| row.patch.clone()).collect()
    }

    /// What a `pull_request` delivery with this action would carry now, without sending one.
    #[track_caller]
    pub fn payload(&self, pr: Pr, action: &str) -> Value {
        self.lock().pull_payload(pr, action, json!({}))
    }

    #[track_caller]
    fn update(&self, pr: Pr, action: &str, more: Value, edit: impl FnOnce(&mut PullState)) {
        let mut world = self.lock();
        let at = world.stamp();
        let state = &mut world.pull_mut(pr).now;
        state.updated_at = at;
        edit(state);
        world.announce_pull(pr, action, more);
    }
}

impl World {
    fn open_pull(&mut self, repo: i64, new: NewPull) -> Pr {
        let author = self.ensure_account(new.author.as_deref().unwrap_or("sam"), Kind::User);
        let base_ref = new.base.unwrap_or_else(|| self.repo(repo).default_branch.clone());
        let base_sha = self.tip(repo, &base_ref);
        let head_repo = match (new.fork, new.fork_gone) {
            (_, true) => HeadRepo::Gone,
            (true, _) => HeadRepo::Fork(self.fork(repo, author)),
            _ => HeadRepo::Base,
        };
        let (id, at) = (self.next_id(), self.stamp());
        let number = self.next_number(repo);
        let now = PullState {
            title: new.title,
            body: new.body,
            open: true,
            draft: new.draft,
            merged_at: None,
            merged_by: None,
            merge_commit: None,
            closed_at: None,
            updated_at: at,
            base_ref,
            base_sha,
            head: String::new(),
            rows: Arc::default(),
            commits: 0,
        };
        let mut changes = BTreeMap::new();
        new.files.apply(&mut changes);
        let pull = Pull {
            id,
            number,
            author,
            branch: new.branch.unwrap_or_else(|| format!("change-{number}")),
            head_repo,
            created_at: at,
            now,
            lagging: None,
            changes,
            history: Vec::new(),
            reviews: Vec::new(),
        };
        self.repo_mut(repo).pulls.insert(number, pull);
        let pr = Pr { repo, number };
        self.commit(pr);
        pr
    }

    /// The next number of issues and pull requests, which share one sequence.
    pub fn next_number(&mut self, repo: i64) -> i64 {
        let repo = self.repo_mut(repo);
        repo.last_number += 1;
        repo.last_number
    }

    fn fork(&mut self, repo: i64, owner: i64) -> i64 {
        let (owner, name) = (self.login(owner).to_owned(), self.repo(repo).name.clone());
        let fork = self.ensure_repo(&owner, &name);
        if fork != repo {
            let private = self.repo(repo).private;
            let fork = self.repo_mut(fork);
            (fork.parent, fork.private) = (Some(repo), private);
        }
        fork
    }

    /// Makes a commit of what the pull request changes by now, as its new head.
    fn commit(&mut self, pr: Pr) -> String {
        let (sha, at) = (self.next_sha(), self.stamp());
        let repo = self.repo_mut(pr.repo);
        let Some(pull) = repo.pulls.get_mut(&pr.number) else { return sha };
        let rows: Arc<Vec<Row>> = Arc::new(pull.changes.iter().map(|(path, change)| change.row(path)).collect());
        pull.now.head.clone_from(&sha);
        pull.now.rows = rows.clone();
        pull.now.commits += 1;
        pull.now.updated_at = at;
        pull.history.push((sha.clone(), rows));
        let base = Arc::make_mut(repo.trees.entry(pull.now.base_sha.clone()).or_default());
        let head = apply(base, &pull.changes);
        repo.trees.insert(sha.clone(), Arc::new(head));
        repo.updated_at = at;
        if pull.head_repo == HeadRepo::Base {
            let branch = pull.branch.clone();
            repo.branches.insert(branch, sha.clone());
        }
        sha
    }

    /// Something was said about the pull request: it counts as updated.
    pub fn touch(&mut self, pr: Pr) {
        let at = self.stamp();
        self.pull_mut(pr).now.updated_at = at;
    }

    /// `pull_request_review.submitted` and the like, for webhooks that subscribe to it.
    pub fn announce_review(&mut self, pr: Pr, id: i64, action: &str) {
        let (repo, pull) = (self.repo(pr.repo), self.pull(pr));
        let Some(review) = pull.reviews.iter().find(|review| review.id == id) else { return };
        let mut shown = self.show_review(repo, pr.number, review);
        shown["state"] = review.state.as_str().to_ascii_lowercase().into();
        let payload = json!({
            "action": action, "review": shown, "pull_request": self.show_pull(repo, pull, &pull.now, false),
            "repository": self.show_repo(repo, None), "sender": self.show_user(review.user),
        });
        self.announce(pr.repo, "pull_request_review", &payload);
    }

    fn announce_pull(&mut self, pr: Pr, action: &str, more: Value) {
        let payload = self.pull_payload(pr, action, more);
        self.announce(pr.repo, "pull_request", &payload);
    }

    fn pull_payload(&self, pr: Pr, action: &str, more: Value) -> Value {
        let (repo, pull) = (self.repo(pr.repo), self.pull(pr));
        let sender = if pull.now.merged_at.is_some() { repo.owner } else { pull.author };
        let mut payload = json!({
            "action": action, "number": pr.number, "pull_request": self.show_pull(repo, pull, &pull.now, true),
            "repository": self.show_repo(repo, None), "sender": self.show_user(sender),
        });
        if let Value::Object(more) = more {
            more.into_iter().for_each(|(name, value)| payload[name] = value);
        }
        payload
    }
}
