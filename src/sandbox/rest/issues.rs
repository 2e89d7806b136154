//! Issues (pull requests are issues too) and their conversations.

use super::{
    super::{
        IssueComment, Pr,
        ask::{Ask, Is},
        reply::{Outcome, Reply, not_found, page_of, problem, validation},
        world::{Gone, Permission, World},
    },
    review_rules as rules, unknown,
};

pub fn route(world: &mut World, ask: &mut Ask, method: &str, repo: i64, rest: &[&str]) -> Outcome {
    match (method, rest) {
        ("GET", []) => list(world, ask, repo),
        (_, ["comments", id]) => one_comment(world, ask, method, repo, id),
        (_, [number, rest @ ..]) => {
            let number = number.parse::<i64>().map_err(|_| not_found())?;
            let shown = world.repo(repo);
            if let Some(gone) = shown.gone_issues.get(&number) {
                return Err(moved(world, ask, *gone, rest));
            }
            let known = shown.issues.contains_key(&number) || shown.pulls.contains_key(&number);
            match (method, rest) {
                _ if !known => Err(not_found()),
                ("GET", []) => get(world, repo, number),
                ("GET", ["comments"]) => comments(world, ask, repo, number),
                ("POST", ["comments"]) => comment(world, ask, repo, number),
                _ => unknown(ask),
            }
        }
        _ => unknown(ask),
    }
}

/// The answer about an issue that is not here any more.
fn moved(world: &World, ask: &Ask, gone: Gone, rest: &[&str]) -> Reply {
    match gone {
        Gone::Deleted => problem(410, "This issue was deleted"),
        // Nobody learns of a repository they may not see by where an issue went.
        Gone::Transferred { repo, .. } if world.see(ask, repo).is_err() => not_found(),
        Gone::Transferred { repo, number } => {
            let tail: String = rest.iter().map(|part| format!("/{part}")).collect();
            let status = if ask.method == http::Method::GET { 301 } else { 307 };
            Reply::redirect(status, format!("{}/repositories/{repo}/issues/{number}{tail}", world.api))
        }
    }
}

/// Pull requests are among them.
fn list(world: &World, ask: &mut Ask, repo: i64) -> Outcome {
    ask.allow_query(&["state", "sort", "direction", "since", "per_page", "page"]);
    let state = ask.choice("state", &["open", "closed", "all"], "open")?;
    let sort = ask.choice("sort", &["created", "updated", "comments"], "created")?;
    let direction = ask.choice("direction", &["asc", "desc"], "desc")?;
    let since = ask.param("since").and_then(|since| since.parse::<chrono::DateTime<chrono::Utc>>().ok());
    let repo = world.repo(repo);
    let issues = repo.issues.values().map(|issue| (issue.updated_at, issue.number, world.show_issue(repo, issue)));
    let pulls = repo.pulls.values();
    let pulls = pulls.map(|pull| (pull.shown().updated_at, pull.number, world.show_pull_as_issue(repo, pull)));
    let mut found: Vec<_> = issues
        .chain(pulls)
        .filter(|(updated, _, shown)| {
            (state == "all" || shown["state"] == state) && since.is_none_or(|since| *updated >= since)
        })
        .collect();
    found.sort_by_key(|(updated, number, _)| (if sort == "updated" { Some(*updated) } else { None }, *number));
    if direction == "desc" {
        found.reverse();
    }
    Ok(page_of(ask, &world.api, &found, |(.., shown)| shown.clone()))
}

fn get(world: &World, repo: i64, number: i64) -> Outcome {
    let repo = world.repo(repo);
    let issue = repo.issues.get(&number).map(|issue| world.show_issue(repo, issue));
    let pull = repo.pulls.get(&number).map(|pull| world.show_pull_as_issue(repo, pull));
    Ok(Reply::json(200, &issue.or(pull).ok_or_else(not_found)?))
}

fn comments(world: &mut World, ask: &mut Ask, repo: i64, number: i64) -> Outcome {
    ask.allow_query(&["since", "per_page", "page"]);
    let repo = world.repo(repo);
    let found: Vec<&IssueComment> = repo.comments.iter().filter(|comment| comment.number == number).collect();
    Ok(page_of(ask, &world.api, &found, |comment| world.show_issue_comment(repo, comment)))
}

fn comment(world: &mut World, ask: &mut Ask, repo: i64, number: i64) -> Outcome {
    let user = world.may_write(ask, repo)?;
    let body = read_body(ask)?;
    world.admit_content(user)?;
    let (id, created_at) = (world.next_id(), world.stamp());
    let author = world.login(user).to_owned();
    world.repo_mut(repo).comments.push(IssueComment { id, number, author, body, user, created_at });
    if world.repo(repo).pulls.contains_key(&number) {
        world.touch(Pr { repo, number });
    }
    show(world, repo, id, 201)
}

fn one_comment(world: &mut World, ask: &mut Ask, method: &str, repo: i64, id: &str) -> Outcome {
    let id = id.parse::<i64>().map_err(|_| not_found())?;
    let author = world.repo(repo).comments.iter().find(|comment| comment.id == id).ok_or_else(not_found)?.user;
    if method != "GET" {
        let user = world.may_write(ask, repo)?;
        if user != author && world.see(ask, repo)? < Permission::Push {
            return Err(problem(403, "Must have admin rights to Repository."));
        }
    }
    match method {
        "GET" => show(world, repo, id, 200),
        "PATCH" => {
            let body = read_body(ask)?;
            world.repo_mut(repo).comments.iter_mut().filter(|c| c.id == id).for_each(|c| c.body.clone_from(&body));
            show(world, repo, id, 200)
        }
        "DELETE" => {
            world.repo_mut(repo).comments.retain(|comment| comment.id != id);
            Ok(Reply::empty(204))
        }
        _ => unknown(ask),
    }
}

fn read_body(ask: &mut Ask) -> Result<String, Reply> {
    let fields = ask.fields(&[("body", Is::Text)])?;
    let text = rules::body("IssueComment", fields.need("body")?)?;
    if text.trim().is_empty() { Err(validation("IssueComment", "body", "body can't be blank")) } else { Ok(text) }
}

fn show(world: &World, repo: i64, id: i64, status: u16) -> Outcome {
    let repo = world.repo(repo);
    let comment = repo.comments.iter().find(|comment| comment.id == id).ok_or_else(not_found)?;
    Ok(Reply::json(status, &world.show_issue_comment(repo, comment)))
}
