//! `pull_request.opened` as large as GitHub sends it: three times a repository with all its addresses, and its people.

use serde_json::{Map, Value, json};

/// The repository the payload is of.
pub const REPO_ID: i64 = 186_853_002;
/// Its name.
pub const REPO: &str = "acme/shop";

const OF_PERSON: &[(&str, &str)] = &[
    ("url", ""),
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
    ("organizations_url", "/orgs"),
    ("repos_url", "/repos"),
    ("events_url", "/events{/privacy}"),
    ("received_events_url", "/received_events"),
];

const OF_REPOSITORY: &[(&str, &str)] = &[
    ("url", ""),
    ("forks_url", "/forks"),
    ("keys_url", "/keys{/key_id}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("teams_url", "/teams"),
    ("hooks_url", "/hooks"),
    ("issue_events_url", "/issues/events{/number}"),
    ("events_url", "/events"),
    ("assignees_url", "/assignees{/user}"),
    ("branches_url", "/branches{/branch}"),
    ("tags_url", "/tags"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("trees_url", "/git/trees{/sha}"),
    ("statuses_url", "/statuses/{sha}"),
    ("languages_url", "/languages"),
    ("stargazers_url", "/stargazers"),
    ("contributors_url", "/contributors"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("commits_url", "/commits{/sha}"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("comments_url", "/comments{/number}"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("contents_url", "/contents/{+path}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("merges_url", "/merges"),
    ("archive_url", "/{archive_format}{/ref}"),
    ("downloads_url", "/downloads"),
    ("issues_url", "/issues{/number}"),
    ("pulls_url", "/pulls{/number}"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("labels_url", "/labels{/name}"),
    ("releases_url", "/releases{/id}"),
    ("deployments_url", "/deployments"),
];

/// About 24 KB.
pub fn opened() -> Vec<u8> {
    let api = format!("https://api.github.com/repos/{REPO}");
    let html = format!("https://github.com/{REPO}");
    let branch = |name: &str, sha: &str| json!({"label": format!("acme:{name}"), "ref": name, "sha": sha, "user": person("acme"), "repo": repository(&api, &html)});
    let (head, base) = ("ec26c3e57ca3a959ca5aad62de7213c562f8c821", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e");
    let links = ["self", "html", "issue", "comments", "review_comments", "review_comment", "commits", "statuses"];
    let links: Map<_, _> =
        links.iter().map(|name| ((*name).to_owned(), json!({"href": format!("{api}/{name}/2")}))).collect();
    let pull = json!({
        "url": format!("{api}/pulls/2"), "id": 279_147_437, "node_id": "MDExOlB1bGxSZXF1ZXN0Mjc5MTQ3NDM3",
        "html_url": format!("{html}/pull/2"), "diff_url": format!("{html}/pull/2.diff"), "patch_url": format!("{html}/pull/2.patch"),
        "issue_url": format!("{api}/issues/2"), "number": 2, "state": "open", "locked": false,
        "title": "Prices are rounded once, at the end", "user": person("sam"),
        "body": "Rounding every line made the sum differ from the total.\n\nFixes #1.",
        "created_at": "2026-03-01T12:00:00Z", "updated_at": "2026-03-01T12:00:00Z", "closed_at": null, "merged_at": null,
        "merge_commit_sha": null, "assignee": person("ada"), "assignees": [person("ada")], "requested_reviewers": [person("octavia")],
        "requested_teams": [], "labels": [], "milestone": null, "draft": false,
        "commits_url": format!("{api}/pulls/2/commits"), "review_comments_url": format!("{api}/pulls/2/comments"),
        "statuses_url": format!("{api}/statuses/{head}"), "head": branch("rounding", head), "base": branch("main", base),
        "_links": links, "author_association": "OWNER", "auto_merge": null, "active_lock_reason": null, "merged": false,
        "mergeable": null, "rebaseable": null, "mergeable_state": "unknown", "merged_by": null, "comments": 0,
        "review_comments": 0, "maintainer_can_modify": false, "commits": 1, "additions": 12, "deletions": 3, "changed_files": 2,
    });
    json!({"action": "opened", "number": 2, "pull_request": pull, "repository": repository(&api, &html), "sender": person("sam")})
        .to_string()
        .into_bytes()
}

fn person(login: &str) -> Value {
    let id = login.bytes().fold(21_031_067_u32, |id, byte| id.wrapping_mul(31).wrapping_add(byte.into()) % 90_000_000);
    let mut person = json!({
        "login": login, "id": id, "node_id": format!("MDQ6VXNlcj{id}"),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"), "gravatar_id": "",
        "html_url": format!("https://github.com/{login}"), "type": "User", "site_admin": false,
    });
    for (name, rest) in OF_PERSON {
        person[*name] = format!("https://api.github.com/users/{login}{rest}").into();
    }
    person
}

fn repository(api: &str, html: &str) -> Value {
    let mut repository = json!({
        "id": REPO_ID, "node_id": "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=", "name": "shop", "full_name": REPO, "private": false,
        "owner": person("acme"), "html_url": html, "description": "Everything a shop needs", "fork": false,
        "created_at": "2024-05-15T15:19:25Z", "updated_at": "2026-02-28T15:19:27Z", "pushed_at": "2026-03-01T11:58:31Z",
        "git_url": format!("git://github.com/{REPO}.git"), "ssh_url": format!("git@github.com:{REPO}.git"),
        "clone_url": format!("{html}.git"), "svn_url": html, "homepage": null, "size": 1204, "stargazers_count": 3,
        "watchers_count": 3, "language": "Rust", "has_issues": true, "has_projects": true, "has_downloads": true,
        "has_wiki": true, "has_pages": false, "forks_count": 1, "mirror_url": null, "archived": false, "disabled": false,
        "open_issues_count": 2, "license": null, "allow_forking": true, "is_template": false, "topics": ["shop", "prices"],
        "visibility": "public", "forks": 1, "open_issues": 2, "watchers": 3, "default_branch": "main",
        "allow_squash_merge": true, "allow_merge_commit": true, "allow_rebase_merge": true, "delete_branch_on_merge": false,
    });
    for (name, rest) in OF_REPOSITORY {
        repository[*name] = format!("{api}{rest}").into();
    }
    repository
}
