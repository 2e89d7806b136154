//! Pull requests, read.

use super::super::{
    Pr, Sandbox,
    ask::Ask,
    diff_media,
    reply::{Outcome, Reply, page_of},
    world::{Pull, World},
};

/// Files GitHub lists of a pull request, however many there are.
const MAX_FILES: usize = 3_000;

impl Sandbox {
    /// After this many lines of patches in one answer, further rows of a file list come back hollow: 0 changes and no
    /// patch, as GitHub does at about 20,000. None: never.
    pub fn truncate_rows_after(&self, lines: Option<usize>) {
        self.lock().truncate_rows_after = lines;
    }
}

pub fn list(world: &mut World, ask: &mut Ask, repo: i64) -> Outcome {
    ask.allow_query(&["state", "head", "base", "sort", "direction", "per_page", "page"]);
    let state = ask.choice("state", &["open", "closed", "all"], "open")?;
    let sort = ask.choice("sort", &["created", "updated", "popularity", "long-running"], "created")?;
    let default = if ask.param("sort").is_none() || sort == "created" { "desc" } else { "asc" };
    let direction = ask.choice("direction", &["asc", "desc"], default)?;
    let repo = world.repo(repo);
    let (base, head) = (ask.param("base"), ask.param("head"));
    let wanted = |pull: &&Pull| {
        let shown = pull.shown();
        (state == "all" || shown.open == (state == "open"))
            && base.is_none_or(|base| base == shown.base_ref)
            && head.is_none_or(|head| head.rsplit(':').next() == Some(pull.branch.as_str()))
    };
    let mut found: Vec<&Pull> = repo.pulls.values().filter(wanted).collect();
    match sort {
        "updated" => found.sort_by_key(|pull| pull.shown().updated_at),
        _ => found.sort_by_key(|pull| pull.number),
    }
    if direction == "desc" {
        found.reverse();
    }
    Ok(page_of(ask, &world.api, &found, |pull| world.show_pull(repo, pull, pull.shown(), false)))
}

/// A pull request, as JSON or as a diff.
pub fn get(world: &mut World, ask: &mut Ask, pr: Pr) -> Outcome {
    let (repo, pull) = (world.repo(pr.repo), world.pull(pr));
    if ["application/vnd.github.diff", "application/vnd.github.v3.diff"].iter().any(|media| ask.accepts(media)) {
        return diff_media::diff(&pull.shown().rows);
    }
    Ok(Reply::json(200, &world.show_pull(repo, pull, pull.shown(), true)))
}

pub fn files(world: &mut World, ask: &mut Ask, pr: Pr) -> Outcome {
    ask.allow_query(&["per_page", "page"]);
    let (repo, pull) = (world.repo(pr.repo), world.pull(pr));
    let (head, rows) = (&pull.shown().head, &pull.shown().rows);
    let mut lines = 0;
    let limit = world.truncate_rows_after.unwrap_or(usize::MAX);
    Ok(page_of(ask, &world.api, &rows[..rows.len().min(MAX_FILES)], |row| {
        let hollow = lines >= limit;
        lines += row.patch.as_ref().map_or(0, |patch| patch.lines().count());
        world.show_row(repo, head, row, hollow)
    }))
}
