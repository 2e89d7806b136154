//! What people do to whole repositories.

use serde_json::{Value, json};

use super::{
    Sandbox,
    world::{Kind, World},
};

impl Sandbox {
    /// The repository gets another name; the old one redirects. `repository.renamed`.
    #[track_caller]
    pub fn rename_repo(&self, full_name: &str, new_name: &str) {
        let mut world = self.lock();
        let id = world.repo_named(full_name);
        let from = world.leave_name(id);
        world.repo_mut(id).name = new_name.to_owned();
        world.announce_repo(id, "renamed", json!({"repository": {"name": {"from": from}}}));
    }

    /// Another branch, which must be there, is the default branch from now on.
    #[track_caller]
    pub fn switch_default_branch(&self, full_name: &str, branch: &str) {
        let mut world = self.lock();
        let id = world.repo_named(full_name);
        let repo = world.repo_mut(id);
        assert!(repo.branches.contains_key(branch), "{full_name} has no branch {branch}");
        repo.default_branch = branch.to_owned();
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
