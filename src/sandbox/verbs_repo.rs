//! What people do to issues and whole repositories.

use serde_json::{Value, json};

use super::{
    Sandbox,
    world::{Issue, Kind, World},
};

impl Sandbox {
    /// `author` opens an issue: `issues.opened`. Returns its number.
    #[track_caller]
    pub fn open_issue(&self, repo: &str, author: &str, title: &str) -> i64 {
        let mut world = self.lock();
        let repo = world.repo_named(repo);
        let author = world.ensure_account(author, Kind::User);
        let (id, at, number) = (world.next_id(), world.stamp(), world.next_number(repo));
        let issue = Issue {
            id,
            number,
            author,
            title: title.to_owned(),
            body: None,
            labels: Vec::new(),
            created_at: at,
            updated_at: at,
            closed_at: None,
        };
        world.repo_mut(repo).issues.insert(number, issue);
        world.announce_issue(repo, number, "opened");
        number
    }

    /// `issues.edited`.
    #[track_caller]
    pub fn edit_issue(&self, repo: &str, number: i64, title: &str) {
        self.update_issue(repo, number, "edited", |issue| issue.title = title.to_owned());
    }

    /// `issues.labeled`.
    #[track_caller]
    pub fn label_issue(&self, repo: &str, number: i64, label: &str) {
        self.update_issue(repo, number, "labeled", |issue| issue.labels.push(label.to_owned()));
    }

    /// `issues.closed`.
    #[track_caller]
    pub fn close_issue(&self, repo: &str, number: i64) {
        self.update_issue(repo, number, "closed", |issue| issue.closed_at = Some(issue.updated_at));
    }

    /// The repository gets another name; the old one redirects. `repository.renamed`.
    #[track_caller]
    pub fn rename_repo(&self, full_name: &str, new_name: &str) {
        let mut world = self.lock();
        let id = world.repo_named(full_name);
        let from = world.leave_name(id);
        world.repo_mut(id).name = new_name.to_owned();
        world.announce_repo(id, "renamed", json!({"repository": {"name": {"from": from}}}));
    }

    /// The repository moves to another account; the old name redirects. `repository.transferred`.
    #[track_caller]
    pub fn transfer_repo(&self, full_name: &str, new_owner: &str) {
        let mut world = self.lock();
        let id = world.repo_named(full_name);
        let from = world.repo(id).owner;
        world.leave_name(id);
        let owner = world.ensure_account(new_owner, Kind::Organization);
        world.repo_mut(id).owner = owner;
        let from = world.show_user(from);
        world.announce_repo(id, "transferred", json!({"owner": {"from": {"user": from}}}));
    }

    /// The repository and its webhooks go: everything about it is 404. `repository.deleted`.
    #[track_caller]
    pub fn delete_repo(&self, full_name: &str) {
        let mut world = self.lock();
        let id = world.repo_named(full_name);
        world.announce_repo(id, "deleted", Value::Null);
        let repo = world.repo_mut(id);
        repo.deleted = true;
        repo.hooks.clear();
    }

    #[track_caller]
    fn update_issue(&self, repo: &str, number: i64, action: &str, edit: impl FnOnce(&mut Issue)) {
        let mut world = self.lock();
        let repo = world.repo_named(repo);
        let at = world.stamp();
        match world.repo_mut(repo).issues.get_mut(&number) {
            Some(issue) => {
                issue.updated_at = at;
                edit(issue);
            }
            None => panic!("there is no issue {number} in repository {repo}"),
        }
        world.announce_issue(repo, number, action);
    }
}

impl World {
    /// Remembers the repository's present name among its old ones and returns its last part.
    fn leave_name(&mut self, id: i64) -> String {
        let old = self.full_name(self.repo(id)).to_ascii_lowercase();
        let at = self.stamp();
        let repo = self.repo_mut(id);
        repo.old_names.push(old);
        repo.updated_at = at;
        repo.name.clone()
    }

    fn announce_issue(&mut self, repo: i64, number: i64, action: &str) {
        let shown = self.repo(repo);
        let Some(issue) = shown.issues.get(&number) else { return };
        let payload = json!({
            "action": action, "issue": self.show_issue(shown, issue), "repository": self.show_repo(shown, None),
            "sender": self.show_user(issue.author),
        });
        self.announce(repo, "issues", &payload);
    }

    fn announce_repo(&mut self, id: i64, action: &str, changes: Value) {
        let repo = self.repo(id);
        let mut payload = json!({
            "action": action, "repository": self.show_repo(repo, None), "sender": self.show_user(repo.owner),
        });
        if !changes.is_null() {
            payload["changes"] = changes;
        }
        self.announce(id, "repository", &payload);
    }
}
