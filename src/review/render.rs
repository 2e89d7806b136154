//! Every sentence of a review.
//!
//! What an author wrote (paths, reasons) appears only as inert text: it pings nobody, closes nothing, commands no bot,
//! and holds no secret. Whatever happens, the hidden marker is the last line, so that a review can be recognised.

mod context;
mod fit;
mod inert;
mod marker;

use std::collections::BTreeMap;

pub use self::marker::{find_marker, marker, marker_key};
use self::{
    fit::{MAX_BODY, fit, width},
    inert::{code, text},
};
use super::{
    context::Context,
    judge::{FEW, Judgement, Why},
    rules::{place::Left, secret},
};
use crate::{
    domain::{
        pull_request::PullRequest,
        review::{Finding, Severity, Verdict},
    },
    github::NewComment,
};

/// Names in one list; the others are counted.
const MAX_NAMES: usize = 20;

/// A suggestion longer than this is left out: a cut one would damage the file.
const MAX_SUGGESTION: usize = 10_000;

/// A review, written.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// One paragraph for lists.
    pub summary: String,
    /// The review's body, hidden marker last.
    pub body: String,
    /// The comments that go with it.
    pub comments: Vec<NewComment>,
}

/// Writes the review; `key` goes into its hidden marker.
pub fn render(pull: &PullRequest, judgement: &Judgement, context: &Context, key: &str) -> Rendered {
    let told = Told::new(judgement);
    let mut sections = vec![headline(pull, judgement, &told)];
    sections.extend(findings(&told));
    sections.extend(context::section(context));
    sections.extend(coverage(pull, judgement));
    sections.extend(suppressed(judgement));
    sections.extend(troubles(judgement));
    let sections: Vec<String> = sections.iter().map(|section| secret::redact(section).into_owned()).collect();
    Rendered {
        summary: secret::redact(&summary(judgement, &told)).into_owned(),
        body: fit(&sections, &marker(key), MAX_BODY),
        comments: told.inline.iter().filter_map(|(finding, others)| comment(finding, others)).collect(),
    }
}

/// Findings by where they are told; each with those it speaks for.
struct Told<'a> {
    inline: Vec<(&'a Finding, Vec<&'a Finding>)>,
    body: Vec<(&'a Finding, Vec<&'a Finding>)>,
    blocks: usize,
    warnings: usize,
}

impl<'a> Told<'a> {
    fn new(judgement: &'a Judgement) -> Self {
        let all = &judgement.findings;
        let count = |severity| all.iter().filter(|finding| finding.severity == severity).count();
        let mut told =
            Self { inline: vec![], body: vec![], blocks: count(Severity::Block), warnings: count(Severity::Warn) };
        let mut by_rule: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in all {
            by_rule.entry(&finding.rule).or_default().push(finding);
        }
        for finding in all {
            let same = by_rule.get(finding.rule.as_str()).map(Vec::as_slice).unwrap_or_default();
            let first = same.first().is_some_and(|first| std::ptr::eq(*first, finding));
            if same.len() > FEW && !first {
                continue;
            }
            let others = if same.len() > FEW { same[1..].to_vec() } else { Vec::new() };
            if finding.inline { &mut told.inline } else { &mut told.body }.push((finding, others));
        }
        told
    }
}

fn headline(pull: &PullRequest, judgement: &Judgement, told: &Told<'_>) -> String {
    let mut line = match judgement.verdict {
        Verdict::RequestChanges => {
            let problems = match told.blocks {
                1 => "1 problem needs fixing".to_owned(),
                n => format!("{n} problems need fixing"),
            };
            let also = match told.warnings {
                0 => String::new(),
                1 => " 1 more thing is worth a look.".to_owned(),
                n => format!(" {n} more things are worth a look."),
            };
            format!("**{problems} before this is merged.**{also}")
        }
        Verdict::NeedsDiscussion if told.warnings > 0 => match told.warnings {
            1 => "**1 thing is worth a look before this is merged.** Nothing blocks.".to_owned(),
            n => format!("**{n} things are worth a look before this is merged.** Nothing blocks."),
        },
        Verdict::NeedsDiscussion if !judgement.coverage.is_complete() => {
            "**Not everything could be read, so this is no approval.** Nothing speaks against what was read; please look \
             at the rest yourself."
                .to_owned()
        }
        Verdict::NeedsDiscussion if judgement.coverage.nothing_was_read() && judgement.troubles.is_empty() => {
            "**There was nothing to read, so this is no approval.** Every changed file is of a kind that is left out."
                .to_owned()
        }
        Verdict::NeedsDiscussion => {
            "**The checks did not all finish, so this is no approval.** Nothing speaks against the change so far.".to_owned()
        }
        Verdict::Approve => format!("**No problems found.** {}", extent(pull, judgement)),
    };
    if told.body.is_empty() && !told.inline.is_empty() {
        line.push_str(if told.inline.len() == 1 {
            " See the comment on the line."
        } else {
            " See the comments on the lines."
        });
    }
    line
}

fn findings(told: &Told<'_>) -> Option<String> {
    if told.body.is_empty() {
        return None;
    }
    let intro = match (told.inline.len(), told.body.iter().all(|(finding, _)| finding.severity == Severity::Info)) {
        (_, true) => "For your information:",
        (0, false) => "What and where:",
        (_, false) => "Besides the comments on the lines:",
    };
    let items = told.body.iter().map(|(finding, others)| {
        let weight = match finding.severity {
            Severity::Block => "**Fix:** ",
            Severity::Warn => "**Look:** ",
            Severity::Info => "",
        };
        format!("- {} {weight}{}{} (`{}`)", place(finding), finding.message, also_at(others), finding.rule)
    });
    Some(format!("{intro}\n\n{}", items.collect::<Vec<_>>().join("\n")))
}

/// What was read, and if not all, what not and why.
fn coverage(pull: &PullRequest, judgement: &Judgement) -> Option<String> {
    let all = &judgement.coverage;
    let said = judgement.verdict == Verdict::Approve && !all.full.is_empty();
    let mut parts = if said { Vec::new() } else { vec![extent(pull, judgement)] };

    let (mut unread, mut left): (Vec<Group<'_>>, Vec<Group<'_>>) = (Vec::new(), Vec::new());
    for file in &judgement.unread {
        let (reason, on_purpose) = reason(file.why);
        let groups = if on_purpose { &mut left } else { &mut unread };
        match groups.iter_mut().find(|group| group.reason == reason) {
            Some(group) => group.paths.push(&file.path),
            None => groups.push(Group { reason, paths: vec![&file.path] }),
        }
    }
    let mut unread: Vec<String> = unread.iter().map(Group::item).collect();
    if all.missing > 0 {
        let files = if all.missing == 1 { "1 file".to_owned() } else { format!("{} files", all.missing) };
        unread.push(format!("- {files} that GitHub counts but did not list"));
    }
    if all.uncounted > 0 {
        let lines = if all.uncounted == 1 { "1 line".to_owned() } else { format!("{} lines", all.uncounted) };
        unread.push(format!("- {lines} by which GitHub's totals and its list of files differ"));
    }
    if !unread.is_empty() {
        parts.push(format!("Could not be read:\n\n{}", unread.join("\n")));
    }
    if !left.is_empty() {
        let items: Vec<_> = left.iter().map(Group::item).collect();
        parts.push(format!("Left out on purpose:\n\n{}", items.join("\n")));
    }
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

/// Files that were not read for one reason.
struct Group<'a> {
    reason: &'static str,
    paths: Vec<&'a str>,
}

impl Group<'_> {
    fn item(&self) -> String {
        format!("- {}: {}", self.reason, names(self.paths.iter().map(|path| code(path))))
    }
}

/// Why, and whether that is on purpose.
fn reason(why: Why) -> (&'static str, bool) {
    match why {
        Why::Left(Left::Lock) => ("lock files", true),
        Why::Left(Left::Vendored) => ("code of others", true),
        Why::Left(Left::Generated) => ("generated", true),
        Why::Left(Left::Minified) => ("minified", true),
        Why::NoText => ("binary or empty", true),
        Why::TooLarge => ("too large for GitHub to show", false),
        Why::Doubtful => ("shown without changes, though GitHub's totals say there are some", false),
        Why::Malformed(_) => ("a patch that makes no sense", false),
        Why::Incomplete => ("read in part, because the patch and GitHub's count of its lines differ", false),
    }
}

fn suppressed(judgement: &Judgement) -> Option<String> {
    let items = judgement.suppressed.iter().map(|item| {
        let place = code(&format!("{}:{}", item.path, item.line));
        format!("- {place} (`{}`): {}", item.rule, text(&item.reason))
    });
    list("Silenced by `nectr:ignore`:", items.collect())
}

fn troubles(judgement: &Judgement) -> Option<String> {
    list("What went wrong here:", judgement.troubles.iter().map(|trouble| format!("- {trouble}")).collect())
}

fn list(intro: &str, mut items: Vec<String>) -> Option<String> {
    let more = items.len().saturating_sub(MAX_NAMES);
    items.truncate(MAX_NAMES);
    if more > 0 {
        items.push(format!("- and {more} more"));
    }
    (!items.is_empty()).then(|| format!("{intro}\n\n{}", items.join("\n")))
}

fn summary(judgement: &Judgement, told: &Told<'_>) -> String {
    let mut rules: Vec<_> = judgement.findings.iter().filter(|finding| finding.severity > Severity::Info).collect();
    rules.dedup_by(|a, b| a.rule == b.rule);
    let rules = rules.iter().map(|finding| finding.rule.as_str()).collect::<Vec<_>>().join(", ");
    let start = match judgement.verdict {
        Verdict::Approve => "No problems found.".to_owned(),
        Verdict::RequestChanges if told.warnings > 0 => {
            format!("Changes requested: {} to fix and {} worth a look ({rules}).", told.blocks, told.warnings)
        }
        Verdict::RequestChanges => format!("Changes requested: {} to fix ({rules}).", told.blocks),
        Verdict::NeedsDiscussion if told.warnings > 0 => format!("Worth a look: {} ({rules}).", told.warnings),
        Verdict::NeedsDiscussion if !judgement.coverage.is_complete() => "Not everything could be read.".to_owned(),
        Verdict::NeedsDiscussion if judgement.coverage.nothing_was_read() && judgement.troubles.is_empty() => {
            "Nothing to read.".to_owned()
        }
        Verdict::NeedsDiscussion => "Not all checks finished.".to_owned(),
    };
    format!("{start} {}.", files_read(judgement))
}

/// `Read all 3 changed files at 0123456 (+12 −4 lines).`
fn extent(pull: &PullRequest, judgement: &Judgement) -> String {
    let head = code(pull.head.short());
    format!("{} at {head} (+{} −{} lines).", files_read(judgement), pull.additions, pull.deletions)
}

fn files_read(judgement: &Judgement) -> String {
    let all = &judgement.coverage;
    let listed = all.full.len() + all.partial.len() + all.listed.len() + all.excluded.len();
    let total = listed as u64 + all.missing;
    match (all.full.len() as u64, total) {
        (0, 0) => "No files changed".to_owned(),
        (1, 1) => "Read the changed file".to_owned(),
        (read, total) if read == total => format!("Read all {total} changed files"),
        (read, 1) => format!("Read {read} of 1 changed file"),
        (read, total) => format!("Read {read} of {total} changed files"),
    }
}

fn comment(finding: &Finding, others: &[&Finding]) -> Option<NewComment> {
    let mut parts = vec![match finding.severity {
        Severity::Block => format!("**Needs fixing before merging.** {}{}", finding.message, also_at(others)),
        Severity::Warn => format!("**Worth a look.** {}{}", finding.message, also_at(others)),
        Severity::Info => format!("{}{}", finding.message, also_at(others)),
    }];
    parts.extend(finding.suggestion.as_deref().filter(|text| width(text) <= MAX_SUGGESTION).map(suggestion));
    let rule = &finding.rule;
    parts.push(format!(
        "<sub>Rule `{rule}`. If this is meant, say why on the line: `nectr:ignore {rule} <reason>`</sub>"
    ));
    let parts: Vec<String> = parts.iter().map(|part| secret::redact(part).into_owned()).collect();
    Some(NewComment {
        path: finding.path.clone(),
        line: finding.line?,
        // GitHub refuses a range of one line.
        start_line: finding.start_line.filter(|start| Some(*start) < finding.line),
        side: finding.side,
        body: fit(&parts, "", MAX_BODY),
    })
}

/// GitHub's block for "replace these lines by this". Empty text deletes them.
fn suggestion(replacement: &str) -> String {
    let fence = "`".repeat(inert::longest_run(replacement).max(2) + 1);
    let end = if replacement.is_empty() || replacement.ends_with('\n') { "" } else { "\n" };
    format!("{fence}suggestion\n{replacement}{end}{fence}")
}

fn place(finding: &Finding) -> String {
    match (finding.start_line, finding.line) {
        (Some(start), Some(line)) if start < line => code(&format!("{}:{start}-{line}", finding.path)),
        (_, Some(line)) => code(&format!("{}:{line}", finding.path)),
        (_, None) => code(&finding.path),
    }
}

fn also_at(others: &[&Finding]) -> String {
    if others.is_empty() {
        return String::new();
    }
    format!(" The same at {}.", names(others.iter().map(|finding| place(finding))))
}

/// `a, b and c`, or `a, b and 7 more`.
fn names(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<_> = names.collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
