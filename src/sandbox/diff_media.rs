//! A pull request as one unified diff, within GitHub's limits.

use serde_json::json;

use super::{
    change::Row,
    reply::{Outcome, Reply},
};

/// Limits of the `diff` media type; above any of them GitHub answers 406.
const MAX_FILES: usize = 300;
const MAX_LINES: usize = 20_000;
const MAX_BYTES: usize = 1_000_000;

pub fn diff(rows: &[Row]) -> Outcome {
    if rows.len() > MAX_FILES {
        return Err(too_large(&format!("files ({MAX_FILES})")));
    }
    let text: String = rows.iter().map(file).collect();
    let hidden: u64 = rows.iter().filter(|row| row.patch.is_none()).map(|row| row.additions + row.deletions).sum();
    let lines = text.lines().count() + usize::try_from(hidden).unwrap_or(usize::MAX);
    if lines > MAX_LINES || text.len() > MAX_BYTES {
        return Err(too_large(&format!("lines ({MAX_LINES})")));
    }
    Ok(Reply::text(200, "application/vnd.github.v3.diff; charset=utf-8", text))
}

fn too_large(what: &str) -> Reply {
    let message = format!(
        "Sorry, the diff exceeded the maximum number of {what}. Consider using 'List pull requests files' API or \
         locally cloning the repository instead."
    );
    let error = json!({"resource": "PullRequest", "field": "diff", "code": "too_large"});
    let docs = "https://docs.github.com/rest/pulls/pulls#list-pull-requests-files";
    Reply::json(406, &json!({"message": message, "errors": [error], "documentation_url": docs, "status": "406"}))
}

fn file(row: &Row) -> String {
    let old = row.previous.as_deref().unwrap_or(&row.path);
    let new = &row.path;
    let sha = &row.sha[..7];
    let mut out = format!("diff --git a/{old} b/{new}\n");
    let (from, to) = match row.status {
        "added" => (None, Some(new)),
        "removed" => (Some(old), None),
        _ => (Some(old), Some(new)),
    };
    out.push_str(&match row.status {
        "added" => format!("new file mode 100644\nindex 0000000..{sha}\n"),
        "removed" => format!("deleted file mode 100644\nindex {sha}..0000000\n"),
        "renamed" if row.patch.is_none() => format!("similarity index 100%\nrename from {old}\nrename to {new}\n"),
        "renamed" => format!("similarity index 80%\nrename from {old}\nrename to {new}\nindex 1234567..{sha} 100644\n"),
        _ => format!("index 1234567..{sha} 100644\n"),
    });
    let name = |side: char, path: Option<&str>| path.map_or("/dev/null".to_owned(), |path| format!("{side}/{path}"));
    let (from, to) = (name('a', from), name('b', to.map(String::as_str)));
    match &row.patch {
        Some(patch) => out.push_str(&format!("--- {from}\n+++ {to}\n{patch}\n")),
        None if row.status != "renamed" => out.push_str(&format!("Binary files {from} and {to} differ\n")),
        None => {}
    }
    out
}
