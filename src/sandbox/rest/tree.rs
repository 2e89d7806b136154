//! Files and trees at a commit, branch or tag.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::super::{
    ask::Ask,
    reply::{Outcome, Reply, not_found, problem},
    world::{World, digest},
};

/// Above this GitHub gives a file's metadata only.
const MAX_INLINE: usize = 1_000_000;

/// `GET contents/{path}`: a file, or what a folder holds.
pub fn contents(world: &mut World, ask: &mut Ask, repo: i64, path: &str) -> Outcome {
    ask.allow_query(&["ref"]);
    let repo = world.repo(repo);
    if repo.branches.is_empty() {
        return Err(problem(404, "This repository is empty."));
    }
    let reference = ask.param("ref").unwrap_or(&repo.default_branch);
    let tree = world.tree(repo, reference);
    let tree = tree.ok_or_else(|| problem(404, &format!("No commit found for the ref {reference}")))?;
    let url = |path: &str| format!("{}/contents/{path}?ref={reference}", world.repo_url(repo));
    if let Some(bytes) = tree.get(path).map(|file| &file.bytes) {
        if ask.accepts("application/vnd.github.raw") || ask.accepts("application/vnd.github.v3.raw") {
            return Ok(Reply::text(200, "application/vnd.github.raw; charset=utf-8", bytes.to_vec()));
        }
        let mut file = entry(path, "file", bytes.len(), &url(path));
        file["sha"] = digest(bytes).into();
        let (encoding, content) = if bytes.len() > MAX_INLINE {
            ("none", String::new())
        } else {
            ("base64", wrapped(&STANDARD.encode(bytes)))
        };
        file["encoding"] = encoding.into();
        file["content"] = content.into();
        return Ok(Reply::json(200, &file));
    }
    let folder = if path.is_empty() { String::new() } else { format!("{}/", path.trim_end_matches('/')) };
    let mut entries: Vec<Value> = Vec::new();
    let mut last = String::new();
    for (name, file) in tree.iter().filter(|(name, _)| name.starts_with(&folder)) {
        let inside = &name[folder.len()..];
        let first = inside.split('/').next().unwrap_or(inside);
        if first != last {
            last = first.to_owned();
            let kind = if first == inside { "file" } else { "dir" };
            let full = format!("{folder}{first}");
            entries.push(entry(&full, kind, if kind == "file" { file.bytes.len() } else { 0 }, &url(&full)));
        }
    }
    if entries.is_empty() && !path.is_empty() { Err(not_found()) } else { Ok(Reply::json(200, &entries.into())) }
}

/// `GET git/trees/{ref}`: one folder, or with `recursive` everything below it, as far as GitHub lists.
pub fn tree(world: &mut World, ask: &mut Ask, repo: i64, reference: &str) -> Outcome {
    ask.allow_query(&["recursive"]);
    let (limit, recursive) = (world.truncate_trees, ask.param("recursive").is_some());
    if world.repo(repo).branches.is_empty() {
        return Err(problem(409, "Git Repository is empty."));
    }
    let (sha, folders, prefix) = world.folder(repo, reference).ok_or_else(not_found)?;
    let url = format!("{}/git", world.repo_url(world.repo(repo)));
    let (entries, truncated) = folders.list(&prefix, recursive.then_some(limit), &url);
    // Written by hand: a hundred thousand entries would be slow as values.
    let body = format!(
        r#"{{"sha":"{sha}","url":"{url}/trees/{sha}","tree":[{}],"truncated":{truncated}}}"#,
        entries.join(",")
    );
    Ok(Reply::text(200, "application/json; charset=utf-8", body))
}

fn entry(path: &str, kind: &str, size: usize, url: &str) -> Value {
    json!({
        "type": kind, "name": path.rsplit('/').next(), "path": path, "size": size, "sha": digest(path.as_bytes()),
        "url": url, "git_url": null, "html_url": null, "download_url": null,
        "_links": {"self": url, "git": null, "html": null},
    })
}

/// Base64 in lines of 60, as GitHub writes it.
fn wrapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 60 + 1);
    for (at, c) in text.chars().enumerate() {
        out.push(c);
        if at % 60 == 59 {
            out.push('\n');
        }
    }
    out.push('\n');
    out
}
