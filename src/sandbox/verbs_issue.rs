//! What people do to issues. Each verb changes the world at once and queues the `issues` deliveries that follow.

use serde_json::{Value, json};

use super::{
    Pr, Sandbox,
    closing::closing,
    world::{Gone, Issue, Kind, World},
};

impl Sandbox {
    /// `author` opens an issue: `issues.opened`. Returns its number.
    #[track_caller]
    pub fn open_issue(&self, repo: &str, author: &str, title: &str) -> i64 {
        let mut world = self.lock();
        let repo = world.repo_named(repo);
        let author = world.ensure_account(author, Kind::User);
        let number = world.add_issue(repo, author, title);
        world.announce_issue(repo, number, "opened", json!({}));
        number
    }

    /// `issues.edited` with `changes.title.from`.
    #[track_caller]
    pub fn edit_issue(&self, repo: &str, number: i64, title: &str) {
        self.update_issue(repo, number, "edited", |issue| {
            let from = std::mem::replace(&mut issue.title, title.to_owned());
            json!({"changes": {"title": {"from": from}}})
        });
    }

    /// `issues.edited` with `changes.body.from`.
    #[track_caller]
    pub fn edit_issue_body(&self, repo: &str, number: i64, body: &str) {
        self.update_issue(repo, number, "edited", |issue| {
            let from = issue.body.replace(body.to_owned());
            json!({"changes": {"body": {"from": from.unwrap_or_default()}}})
        });
    }

    /// `issues.labeled`.
    #[track_caller]
    pub fn label_issue(&self, repo: &str, number: i64, label: &str) {
        self.update_issue(repo, number, "labeled", |issue| {
            issue.labels.push(label.to_owned());
            json!({"label": show_label(label)})
        });
    }

    /// `issues.unlabeled`.
    #[track_caller]
    pub fn unlabel_issue(&self, repo: &str, number: i64, label: &str) {
        self.update_issue(repo, number, "unlabeled", |issue| {
            issue.labels.retain(|known| known != label);
            json!({"label": show_label(label)})
        });
    }

    /// `issues.closed`.
    #[track_caller]
    pub fn close_issue(&self, repo: &str, number: i64) {
        self.update_issue(repo, number, "closed", |issue| {
            issue.closed_at = Some(issue.updated_at);
            json!({})
        });
    }

    /// `issues.reopened`.
    #[track_caller]
    pub fn reopen_issue(&self, repo: &str, number: i64) {
        self.update_issue(repo, number, "reopened", |issue| {
            issue.closed_at = None;
            json!({})
        });
    }

    /// `issues.deleted`: from now on it is 410.
    #[track_caller]
    pub fn delete_issue(&self, repo: &str, number: i64) {
        self.update_issue(repo, number, "deleted", |_| json!({}));
        let mut world = self.lock();
        let repo = world.repo_named(repo);
        world.remove_issue(repo, number, Gone::Deleted);
    }

    /// The issue moves to another repository: `issues.transferred` here, with `changes.new_issue` and
    /// `changes.new_repository`, and `issues.opened` there. Its old address leads to the new one. Returns its new number.
    #[track_caller]
    pub fn transfer_issue(&self, repo: &str, number: i64, to: &str) -> i64 {
        let mut world = self.lock();
        let (from, to) = (world.repo_named(repo), world.repo_named(to));
        let Some(issue) = world.repo(from).issues.get(&number).cloned() else {
            panic!("there is no issue {number} in {repo}");
        };
        let new = world.add_issue(to, issue.author, &issue.title);
        if let Some(there) = world.repo_mut(to).issues.get_mut(&new) {
            (there.body, there.closed_at, there.created_at) = (issue.body.clone(), issue.closed_at, issue.created_at);
        }
        let show = |world: &World, repo: i64, number: i64| {
            let shown = world.repo(repo);
            let issue = shown.issues.get(&number).map(|issue| world.show_issue(shown, issue));
            (issue.unwrap_or_default(), world.show_repo(shown, None))
        };
        let ((old_issue, old_repository), (new_issue, new_repository)) =
            (show(&world, from, number), show(&world, to, new));
        let here = json!({"changes": {"new_issue": new_issue, "new_repository": new_repository}});
        let there = json!({"changes": {"old_issue": old_issue, "old_repository": old_repository}});
        world.announce_issue(from, number, "transferred", here);
        world.announce_issue(to, new, "opened", there);
        world.remove_issue(from, number, Gone::Transferred { repo: to, number: new });
        new
    }

    /// What an `issues` delivery with this action would carry now, without sending one.
    #[track_caller]
    pub fn issue_payload(&self, repo: &str, number: i64, action: &str) -> Value {
        let world = self.lock();
        let repo = world.repo_named(repo);
        world.issue_payload(repo, number, action, json!({}))
    }

    /// `edit` returns what the delivery says beside the issue.
    #[track_caller]
    fn update_issue(&self, repo: &str, number: i64, action: &str, edit: impl FnOnce(&mut Issue) -> Value) {
        let mut world = self.lock();
        let repo = world.repo_named(repo);
        world.change_issue(repo, number, action, edit);
    }
}

impl World {
    fn add_issue(&mut self, repo: i64, author: i64, title: &str) -> i64 {
        let (id, at, number) = (self.next_id(), self.stamp(), self.next_number(repo));
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
        self.repo_mut(repo).issues.insert(number, issue);
        number
    }

    fn remove_issue(&mut self, repo: i64, number: i64, gone: Gone) {
        let repo = self.repo_mut(repo);
        repo.issues.remove(&number);
        repo.gone_issues.insert(number, gone);
    }

    #[track_caller]
    fn change_issue(&mut self, repo: i64, number: i64, action: &str, edit: impl FnOnce(&mut Issue) -> Value) {
        let at = self.stamp();
        let more = match self.repo_mut(repo).issues.get_mut(&number) {
            Some(issue) => {
                issue.updated_at = at;
                edit(issue)
            }
            None => panic!("there is no issue {number} in repository {repo}"),
        };
        self.announce_issue(repo, number, action, more);
    }

    /// A merge into the default branch closes the open issues of the repository that the pull request's text fixes.
    pub fn close_what_it_fixes(&mut self, pr: Pr) {
        let (repo, pull) = (self.repo(pr.repo), self.pull(pr));
        if pull.now.base_ref != repo.default_branch {
            return;
        }
        let is_open = |number: &i64| repo.issues.get(number).is_some_and(|issue| issue.closed_at.is_none());
        let fixed: Vec<i64> = closing(pull.now.body.as_deref().unwrap_or_default())
            .into_iter()
            .filter_map(|(elsewhere, number)| elsewhere.is_none().then_some(number))
            .filter(is_open)
            .collect();
        for number in fixed {
            self.change_issue(pr.repo, number, "closed", |issue| {
                issue.closed_at = Some(issue.updated_at);
                json!({})
            });
        }
    }

    fn announce_issue(&mut self, repo: i64, number: i64, action: &str, more: Value) {
        let payload = self.issue_payload(repo, number, action, more);
        self.announce(repo, "issues", &payload);
    }

    fn issue_payload(&self, repo: i64, number: i64, action: &str, more: Value) -> Value {
        let shown = self.repo(repo);
        let Some(issue) = shown.issues.get(&number) else { return Value::Null };
        let mut payload = json!({
            "action": action, "issue": self.show_issue(shown, issue), "repository": self.show_repo(shown, None),
            "sender": self.show_user(issue.author),
        });
        if let Value::Object(more) = more {
            more.into_iter().for_each(|(name, value)| payload[name] = value);
        }
        payload
    }
}

fn show_label(name: &str) -> Value {
    json!({"id": 1, "name": name, "color": "ededed", "default": false, "description": null})
}
