//! The world in GitHub's JSON: for API answers and webhook payloads alike.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    books::{IssueComment, ReviewState},
    change::Row,
    world::{Account, HeadRepo, HookInfo, Issue, Kind, Permission, Pull, PullState, Repo, StoredReview, World},
};

/// What every repository weighs on this GitHub's disk.
pub const DISK_KILOBYTES: i64 = 108;

/// GitHub's way to write a time.
pub fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn node(kind: &str, id: i64) -> String {
    STANDARD.encode(format!("{kind}{id}"))
}

/// The fields of several objects in one.
fn merged(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Map::new();
    for part in parts {
        if let Value::Object(fields) = part {
            all.extend(fields);
        }
    }
    Value::Object(all)
}

impl World {
    /// A short description of an account; null for a deleted one.
    pub fn show_user(&self, id: i64) -> Value {
        let Some(account) = self.accounts.get(&id) else { return Value::Null };
        let Account { login, kind, .. } = account;
        let (api, site) = (&self.api, &self.site);
        let kind = match kind {
            Kind::User => "User",
            Kind::Bot => "Bot",
            Kind::Organization => "Organization",
        };
        json!({
            "login": login, "id": id, "node_id": node(kind, id), "type": kind, "site_admin": false,
            "user_view_type": "public", "gravatar_id": "",
            "avatar_url": format!("{site}/avatars/{id}?v=4"),
            "url": format!("{api}/users/{login}"), "html_url": format!("{site}/{login}"),
            "followers_url": format!("{api}/users/{login}/followers"),
            "following_url": format!("{api}/users/{login}/following{{/other_user}}"),
            "gists_url": format!("{api}/users/{login}/gists{{/gist_id}}"),
            "starred_url": format!("{api}/users/{login}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{api}/users/{login}/subscriptions"),
            "organizations_url": format!("{api}/users/{login}/orgs"),
            "repos_url": format!("{api}/users/{login}/repos"),
            "events_url": format!("{api}/users/{login}/events{{/privacy}}"),
            "received_events_url": format!("{api}/users/{login}/received_events"),
        })
    }

    /// Everything an account may know of itself.
    pub fn show_me(&self, account: &Account) -> Value {
        let more = json!({
            "name": account.name, "email": account.email, "company": null, "blog": "", "location": null,
            "hireable": null, "bio": null, "twitter_username": null, "notification_email": account.email,
            "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": "2011-01-25T18:44:36Z", "updated_at": "2024-01-25T18:44:36Z",
        });
        merged([self.show_user(account.id), more])
    }

    pub fn repo_url(&self, repo: &Repo) -> String {
        format!("{}/repos/{}", self.api, self.full_name(repo))
    }

    fn repo_page(&self, repo: &Repo) -> String {
        format!("{}/{}", self.site, self.full_name(repo))
    }

    /// A repository, with what `viewer` may do in it if somebody asks.
    pub fn show_repo(&self, repo: &Repo, viewer: Option<i64>) -> Value {
        let (api, page, name) = (self.repo_url(repo), self.repo_page(repo), self.full_name(repo));
        let open_issues = repo.issues.values().filter(|issue| issue.closed_at.is_none()).count()
            + repo.pulls.values().filter(|pull| pull.now.open).count();
        let identity = json!({
            "id": repo.id, "node_id": node("Repository", repo.id), "name": repo.name, "full_name": name,
            "private": repo.private, "owner": self.show_user(repo.owner), "html_url": page,
            "description": repo.description, "fork": repo.parent.is_some(), "url": api,
            "default_branch": repo.default_branch, "visibility": if repo.private { "private" } else { "public" },
            "created_at": time(repo.created_at), "updated_at": time(repo.updated_at),
            "pushed_at": time(repo.updated_at), "git_url": format!("git://{}.git", page),
            "ssh_url": format!("git@github.invalid:{name}.git"), "clone_url": format!("{page}.git"), "svn_url": page,
            "homepage": null, "size": DISK_KILOBYTES, "language": null, "license": null, "mirror_url": null, "topics": [],
        });
        let (stars, forks) = (repo.stars, self.forks(repo));
        let counts = json!({
            "stargazers_count": stars, "watchers_count": stars, "forks_count": forks, "open_issues_count": open_issues,
            "forks": forks, "open_issues": open_issues, "watchers": stars, "has_issues": true, "has_projects": true,
            "has_downloads": true, "has_wiki": true, "has_pages": false, "has_discussions": false,
            "archived": false, "disabled": false, "allow_forking": true, "is_template": false,
            "web_commit_signoff_required": false,
        });
        let links = json!({
            "hooks_url": format!("{api}/hooks"), "pulls_url": format!("{api}/pulls{{/number}}"),
            "issues_url": format!("{api}/issues{{/number}}"), "contents_url": format!("{api}/contents/{{+path}}"),
            "commits_url": format!("{api}/commits{{/sha}}"), "trees_url": format!("{api}/git/trees{{/sha}}"),
            "blobs_url": format!("{api}/git/blobs{{/sha}}"), "forks_url": format!("{api}/forks"),
            "branches_url": format!("{api}/branches{{/branch}}"), "languages_url": format!("{api}/languages"),
            "collaborators_url": format!("{api}/collaborators{{/collaborator}}"),
            "issue_comment_url": format!("{api}/issues/comments{{/number}}"),
            "statuses_url": format!("{api}/statuses/{{sha}}"), "labels_url": format!("{api}/labels{{/name}}"),
        });
        let permissions = viewer.and_then(|user| self.permission(repo, Some(user))).map(|can| {
            let (admin, push) = (can == Permission::Admin, can >= Permission::Push);
            json!({"permissions": {"admin": admin, "maintain": admin, "push": push, "triage": push, "pull": true}})
        });
        merged([identity, counts, links, permissions.unwrap_or_default()])
    }

    /// How many repositories were forked from this one.
    pub fn forks(&self, repo: &Repo) -> usize {
        self.repos.values().filter(|fork| fork.parent == Some(repo.id) && !fork.deleted).count()
    }

    /// A webhook; its secret is masked, as GitHub does.
    pub fn show_hook(&self, repo: &Repo, hook: &HookInfo) -> Value {
        let url = format!("{}/hooks/{}", self.repo_url(repo), hook.id);
        let mut config = json!({"url": hook.url, "content_type": hook.content_type, "insecure_ssl": hook.insecure_ssl});
        if hook.secret.is_some() {
            config["secret"] = "********".into();
        }
        let (status, message) = match hook.last_status {
            None => ("unused", Value::Null),
            Some(200..=299) => ("active", "OK".into()),
            Some(code) => ("failure", format!("Invalid HTTP Response: {code}").into()),
        };
        json!({
            "type": "Repository", "id": hook.id, "name": "web", "active": hook.active, "events": hook.events,
            "config": config, "created_at": time(hook.created_at), "updated_at": time(hook.updated_at), "url": url,
            "test_url": format!("{url}/test"), "ping_url": format!("{url}/pings"),
            "deliveries_url": format!("{url}/deliveries"),
            "last_response": {"code": hook.last_status, "status": status, "message": message},
        })
    }

    /// The payload of a ping.
    pub fn show_ping(&self, repo: i64, hook: &HookInfo) -> Value {
        let repo = self.repo(repo);
        json!({
            "zen": "Design for failure.", "hook_id": hook.id, "hook": self.show_hook(repo, hook),
            "repository": self.show_repo(repo, None), "sender": self.show_user(repo.owner),
        })
    }

    /// A pull request as lists show it (`full` adds what only the single one has), in the given state.
    pub fn show_pull(&self, repo: &Repo, pull: &Pull, state: &PullState, full: bool) -> Value {
        let number = pull.number;
        let (api, page) = (self.repo_url(repo), self.repo_page(repo));
        let (url, issue) = (format!("{api}/pulls/{number}"), format!("{api}/issues/{number}"));
        let statuses = format!("{api}/statuses/{}", state.head);
        let identity = json!({
            "id": pull.id, "node_id": node("PullRequest", pull.id), "number": number,
            "state": if state.open { "open" } else { "closed" }, "locked": false, "title": state.title,
            "user": self.show_user(pull.author), "body": state.body, "draft": state.draft,
            "created_at": time(pull.created_at), "updated_at": time(state.updated_at),
            "closed_at": state.closed_at.map(time), "merged_at": state.merged_at.map(time),
            "merge_commit_sha": state.merge_commit, "assignee": null, "assignees": [], "requested_reviewers": [],
            "requested_teams": [], "labels": [], "milestone": null, "auto_merge": null, "active_lock_reason": null,
            "author_association": self.association(repo, pull.author),
            "head": self.show_head(repo, pull, state), "base": self.show_base(repo, state),
        });
        let links = json!({
            "url": url, "html_url": format!("{page}/pull/{number}"), "diff_url": format!("{page}/pull/{number}.diff"),
            "patch_url": format!("{page}/pull/{number}.patch"), "issue_url": issue,
            "commits_url": format!("{url}/commits"), "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
            "comments_url": format!("{issue}/comments"), "statuses_url": statuses,
            "_links": {
                "self": {"href": url}, "html": {"href": format!("{page}/pull/{number}")}, "issue": {"href": issue},
                "comments": {"href": format!("{issue}/comments")}, "commits": {"href": format!("{url}/commits")},
                "review_comments": {"href": format!("{url}/comments")}, "statuses": {"href": statuses},
                "review_comment": {"href": format!("{api}/pulls/comments{{/number}}")},
            },
        });
        let counts = full.then(|| {
            let sum = |count: fn(&Row) -> u64| state.rows.iter().map(count).sum::<u64>();
            let comments = repo.comments.iter().filter(|comment| comment.number == number).count();
            let submitted = pull.reviews.iter().filter(|review| review.state != ReviewState::Pending);
            json!({
                "merged": state.merged_at.is_some(), "mergeable": state.open.then_some(true),
                "rebaseable": state.open.then_some(true), "mergeable_state": "clean",
                "merged_by": state.merged_by.map(|user| self.show_user(user)), "comments": comments,
                "review_comments": submitted.map(|review| review.comments.len()).sum::<usize>(),
                "maintainer_can_modify": false, "commits": state.commits, "additions": sum(|row| row.additions),
                "deletions": sum(|row| row.deletions), "changed_files": state.rows.len(),
            })
        });
        merged([identity, links, counts.unwrap_or_default()])
    }

    fn show_head(&self, repo: &Repo, pull: &Pull, state: &PullState) -> Value {
        let (owner, source) = match pull.head_repo {
            HeadRepo::Base => (repo.owner, Some(repo)),
            HeadRepo::Fork(id) => (pull.author, self.repos.get(&id).filter(|fork| !fork.deleted)),
            HeadRepo::Gone => (pull.author, None),
        };
        let label = format!("{}:{}", self.login(owner), pull.branch);
        let source = source.map(|repo| self.show_repo(repo, None));
        json!({
            "label": label, "ref": pull.branch, "sha": state.head, "user": self.show_user(owner), "repo": source,
        })
    }

    fn show_base(&self, repo: &Repo, state: &PullState) -> Value {
        json!({
            "label": format!("{}:{}", self.login(repo.owner), state.base_ref), "ref": state.base_ref,
            "sha": state.base_sha, "user": self.show_user(repo.owner), "repo": self.show_repo(repo, None),
        })
    }

    fn association(&self, repo: &Repo, user: i64) -> &'static str {
        match self.permission(repo, Some(user)) {
            _ if repo.owner == user => "OWNER",
            Some(Permission::Admin | Permission::Push) => "COLLABORATOR",
            _ => "NONE",
        }
    }

    /// One row of a pull request's file list. `hollow`: as GitHub shows it once an answer has grown too long.
    pub fn show_row(&self, repo: &Repo, commit: &str, row: &Row, hollow: bool) -> Value {
        let (additions, deletions) = if hollow { (0, 0) } else { (row.additions, row.deletions) };
        let page = self.repo_page(repo);
        let mut file = json!({
            "sha": row.sha, "filename": row.path, "status": row.status, "additions": additions,
            "deletions": deletions, "changes": additions + deletions,
            "blob_url": format!("{page}/blob/{commit}/{}", row.path),
            "raw_url": format!("{page}/raw/{commit}/{}", row.path),
            "contents_url": format!("{}/contents/{}?ref={commit}", self.repo_url(repo), row.path),
        });
        if let Some(previous) = &row.previous {
            file["previous_filename"] = previous.as_str().into();
        }
        if let Some(patch) = row.patch.as_ref().filter(|_| !hollow) {
            file["patch"] = patch.as_str().into();
        }
        file
    }

    pub fn show_review(&self, repo: &Repo, number: i64, review: &StoredReview) -> Value {
        let page = format!("{}/pull/{number}#pullrequestreview-{}", self.repo_page(repo), review.id);
        let pull = format!("{}/pulls/{number}", self.repo_url(repo));
        let mut shown = json!({
            "id": review.id, "node_id": node("PullRequestReview", review.id), "user": self.show_user(review.user),
            "body": review.body, "state": review.state.as_str(), "html_url": page, "pull_request_url": pull,
            "author_association": self.association(repo, review.user), "commit_id": review.commit,
            "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
        });
        if let Some(at) = review.submitted_at {
            shown["submitted_at"] = time(at).into();
        }
        shown
    }

    /// The comments on lines that belong to a review.
    pub fn show_review_comments(&self, repo: &Repo, number: i64, review: &StoredReview) -> Vec<Value> {
        let api = self.repo_url(repo);
        let show = |comment: &super::Comment| {
            json!({
                "id": comment.id, "node_id": node("PullRequestReviewComment", comment.id), "path": comment.path,
                "pull_request_review_id": review.id, "commit_id": review.commit, "body": comment.body,
                "original_commit_id": review.commit, "user": self.show_user(review.user), "line": comment.line,
                "side": comment.side.as_str(), "original_line": comment.line, "diff_hunk": "@@",
                "start_line": comment.start.map(|(line, _)| line), "subject_type": "line", "position": 1,
                "start_side": comment.start.map(|(_, side)| side.as_str()), "original_position": 1,
                "original_start_line": comment.start.map(|(line, _)| line),
                "created_at": review.submitted_at.map(time), "updated_at": review.submitted_at.map(time),
                "url": format!("{api}/pulls/comments/{}", comment.id),
                "html_url": format!("{}/pull/{number}#discussion_r{}", self.repo_page(repo), comment.id),
                "pull_request_url": format!("{api}/pulls/{number}"),
                "author_association": self.association(repo, review.user),
                "_links": {},
            })
        };
        review.comments.iter().map(show).collect()
    }

    pub fn show_issue(&self, repo: &Repo, issue: &Issue) -> Value {
        let (number, id) = (issue.number, issue.id);
        let url = format!("{}/issues/{number}", self.repo_url(repo));
        let label = |(at, name): (usize, &String)| {
            json!({
                "id": id * 100 + i64::try_from(at).unwrap_or_default(), "node_id": node("Label", id), "name": name,
                "color": "ededed", "default": false, "description": null,
                "url": format!("{}/labels/{name}", self.repo_url(repo)),
            })
        };
        let comments = repo.comments.iter().filter(|comment| comment.number == number).count();
        json!({
            "id": id, "node_id": node("Issue", id), "number": number, "title": issue.title, "body": issue.body,
            "user": self.show_user(issue.author), "state": if issue.closed_at.is_some() { "closed" } else { "open" },
            "state_reason": issue.closed_at.map(|_| "completed"), "comments": comments, "locked": false,
            "labels": issue.labels.iter().enumerate().map(label).collect::<Vec<_>>(), "assignee": null,
            "assignees": [], "milestone": null, "active_lock_reason": null, "closed_by": null, "url": url,
            "created_at": time(issue.created_at), "updated_at": time(issue.updated_at),
            "closed_at": issue.closed_at.map(time), "repository_url": self.repo_url(repo),
            "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"), "timeline_url": format!("{url}/timeline"),
            "html_url": format!("{}/issues/{number}", self.repo_page(repo)),
            "author_association": self.association(repo, issue.author),
        })
    }

    /// A pull request as the issue it also is.
    pub fn show_pull_as_issue(&self, repo: &Repo, pull: &Pull) -> Value {
        let state = pull.shown();
        let issue = Issue {
            id: pull.id,
            number: pull.number,
            author: pull.author,
            title: state.title.clone(),
            body: state.body.clone(),
            labels: Vec::new(),
            created_at: pull.created_at,
            updated_at: state.updated_at,
            closed_at: state.closed_at,
        };
        let url = format!("{}/pulls/{}", self.repo_url(repo), pull.number);
        let html = format!("{}/pull/{}", self.repo_page(repo), pull.number);
        let link = json!({"url": url, "html_url": html, "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"), "merged_at": state.merged_at.map(time)});
        merged([self.show_issue(repo, &issue), json!({"pull_request": link, "draft": state.draft, "html_url": html})])
    }

    pub fn show_issue_comment(&self, repo: &Repo, comment: &IssueComment) -> Value {
        let api = self.repo_url(repo);
        json!({
            "id": comment.id, "node_id": node("IssueComment", comment.id), "body": comment.body,
            "user": self.show_user(comment.user), "url": format!("{api}/issues/comments/{}", comment.id),
            "html_url":
                format!("{}/issues/{}#issuecomment-{}", self.repo_page(repo), comment.number, comment.id),
            "issue_url": format!("{api}/issues/{}", comment.number), "created_at": time(comment.created_at),
            "updated_at": time(comment.created_at), "performed_via_github_app": null,
            "author_association": self.association(repo, comment.user),
        })
    }
}
