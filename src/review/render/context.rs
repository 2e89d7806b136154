//! What the project knows, in a few lines: only what helps, and nothing that pings anybody.

use super::{
    inert::{code, text},
    names,
};
use crate::{
    domain::{
        graph::{CoChange, IssueFact, Related},
        pull_request::PrState,
    },
    review::context::{Context, Overlap},
};

/// The section, if there is anything to tell. Numbers of other pull requests stand in code spans: a plain `#n` would
/// put a note into the history of each.
pub(super) fn section(context: &Context) -> Option<String> {
    let mut lines: Vec<String> = context.issues.iter().map(issue).collect();
    lines.extend(people(context));
    lines.extend(context.overlaps.iter().map(overlap));
    lines.extend(related(&context.related));
    lines.extend(co_changes(&context.co_changes));
    (!lines.is_empty()).then(|| format!("Good to know:\n\n{}", lines.join("\n")))
}

fn issue(issue: &IssueFact) -> String {
    let state = if issue.open { "open" } else { "already closed" };
    // The pull request links it anyway.
    format!("- Linked issue #{}: {} ({state}).", issue.issue.number, text(&issue.title))
}

fn people(context: &Context) -> Option<String> {
    let owners = names(context.owners.iter().map(|owner| code(owner)));
    let experts = names(context.experts.iter().map(|expert| code(&expert.login)));
    let owns = if context.owners.len() == 1 { "owns" } else { "own" };
    let knows = if context.experts.len() == 1 { "knows" } else { "know" };
    match (owners.is_empty(), experts.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("- {owners} {owns} these files.")),
        (true, false) => Some(format!("- {experts} {knows} these files: lately merged changes to them.")),
        (false, false) => Some(format!("- {owners} {owns} these files; {experts} lately merged changes to them.")),
    }
}

fn overlap(overlap: &Overlap) -> String {
    let (number, author) = (code(&format!("#{}", overlap.number)), code(&overlap.author));
    let paths = names(overlap.paths.iter().map(|path| code(path)));
    format!("- {number} by {author} is open and changes the same lines of {paths}: {}.", text(&overlap.title))
}

fn related(related: &[Related]) -> Option<String> {
    let items = related.iter().map(|other| {
        let state = match other.state {
            PrState::Open => "open",
            PrState::Closed => "closed",
            PrState::Merged => "merged",
        };
        format!("{} {} ({state})", code(&format!("#{}", other.number)), text(&other.title))
    });
    (!related.is_empty()).then(|| format!("- Related work on the same files: {}.", names(items)))
}

fn co_changes(co_changes: &[CoChange]) -> Option<String> {
    let items = co_changes.iter().map(|change| {
        format!("{} with {} ({} of {} times)", code(&change.path), code(&change.with), change.both, change.of)
    });
    (!co_changes.is_empty()).then(|| format!("- Usually changed together: {}.", names(items)))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::{
        PrNumber, RepoId,
        graph::{Expert, IssueRef},
    };

    fn expert(login: &str) -> Expert {
        Expert { login: login.to_owned(), weight: 1, pulls: 1, last: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn nothing_known_is_nothing_said() {
        assert_eq!(section(&Context::default()), None);
    }

    #[test]
    fn everything_known_is_a_line_each() {
        let context = Context {
            owners: vec!["acme/web".into()],
            experts: vec![expert("lin"), expert("kim")],
            issues: vec![IssueFact {
                issue: IssueRef { repo: RepoId(1), number: 4 },
                title: "Totals are <b>wrong</b>".into(),
                open: true,
                labels: vec![],
                updated_at: DateTime::UNIX_EPOCH,
            }],
            overlaps: vec![Overlap {
                number: PrNumber(9),
                title: "Round @everyone".into(),
                author: "lin".into(),
                paths: vec!["a.rs".into()],
            }],
            related: vec![Related {
                number: PrNumber(3),
                title: "Add tax".into(),
                state: PrState::Merged,
                shared: 2,
                files: 2,
            }],
            co_changes: vec![CoChange { path: "b.rs".into(), with: "a.rs".into(), both: 9, of: 10 }],
        };
        assert_eq!(
            section(&context).unwrap_or_default(),
            "Good to know:\n\n\
             - Linked issue #4: Totals are &lt;b&gt;wrong&lt;/b&gt; (open).\n\
             - `acme/web` owns these files; `lin` and `kim` lately merged changes to them.\n\
             - `#9` by `lin` is open and changes the same lines of `a.rs`: Round @\u{200b}everyone.\n\
             - Related work on the same files: `#3` Add tax (merged).\n\
             - Usually changed together: `b.rs` with `a.rs` (9 of 10 times)."
        );
    }

    #[test]
    fn one_person_is_spoken_of_in_the_singular() {
        let context = Context { experts: vec![expert("lin")], ..Context::default() };
        let said = section(&context).unwrap_or_default();
        assert!(said.ends_with("- `lin` knows these files: lately merged changes to them."), "{said}");
    }
}
