//! From the changed files to findings, coverage and a verdict.
//!
//! Pure, and never lenient by accident: whatever could not be read, and whatever rule failed, keeps the verdict from
//! being an approval. A finding is `inline` only where GitHub will take it, because one bad line loses the whole review.

mod coverage;
mod ignore;

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use self::{coverage::Survey, ignore::Ignore};
pub use self::{
    coverage::{Unread, Why},
    ignore::Suppressed,
};
use super::rules::{self, Change, Fix, Hit, Rule, place::Place, secret};
use crate::domain::{
    diff::{Anchors, LineKind, Patch},
    pull_request::{ChangedFile, PullRequest},
    review::{Coverage, Finding, ReviewEvent, Severity, Side, Verdict},
};

/// More findings of one rule than this become one comment with a list.
pub const FEW: usize = 3;

/// Comments on lines per review.
const MAX_INLINE: usize = 20;

/// Findings of one rule that are kept. Whoever has more knows what to do after a hundred.
const MAX_PER_RULE: usize = 100;

/// What was concluded.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What to tell the author, heaviest first. `inline` is set only where the anchor is one GitHub accepts.
    pub findings: Vec<Finding>,
    /// How much was read.
    pub coverage: Coverage,
    /// The conclusion.
    pub verdict: Verdict,
    /// What went wrong while judging: rules that panicked, numbers that do not fit. Never empty together with
    /// [`Verdict::Approve`].
    pub troubles: Vec<String>,
    /// Why each file outside [`Coverage::full`] is there.
    pub unread: Vec<Unread>,
    /// Findings that a `nectr:ignore` took away; told all the same.
    pub suppressed: Vec<Suppressed>,
}

/// Judges a change from what GitHub listed.
pub fn judge(pull: &PullRequest, files: &[ChangedFile]) -> Judgement {
    judge_by(rules::ALL, pull, files)
}

/// What GitHub is told: our own pull request only ever gets a comment; an approval is sent only where it is allowed and the
/// change does not come from a fork.
pub fn event(verdict: Verdict, own: bool, may_approve: bool, from_fork: bool) -> ReviewEvent {
    match verdict {
        _ if own => ReviewEvent::Comment,
        Verdict::RequestChanges => ReviewEvent::RequestChanges,
        Verdict::Approve if may_approve && !from_fork => ReviewEvent::Approve,
        Verdict::Approve | Verdict::NeedsDiscussion => ReviewEvent::Comment,
    }
}

fn judge_by(rules: &[Rule], pull: &PullRequest, files: &[ChangedFile]) -> Judgement {
    let Survey { coverage, unread, readable, mut troubles } = coverage::survey(pull, files);
    let mut found = Found::default();
    let mut failed = Vec::new();
    for (file, patch) in &readable {
        let (path, text) = (file.path.as_str(), file.patch.as_deref().unwrap_or_default());
        let change = Change { path, place: Place::of(path), text, patch };
        for rule in rules {
            // A bug in one rule must not cost the others' findings.
            match catch_unwind(AssertUnwindSafe(|| (rule.check)(&change))) {
                Ok(hits) if hits.is_empty() => {}
                Ok(hits) => found.add(rule, &change, hits),
                Err(_) => failed.push(rule.id),
            }
        }
    }
    for rule in rules {
        let files = failed.iter().filter(|id| **id == rule.id).count();
        if files > 0 {
            let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
            troubles.push(format!("The rule `{}` failed on {files}.", rule.id));
        }
    }
    let (findings, suppressed) = found.settle(&mut troubles);
    let verdict = verdict(&findings, &coverage, &troubles);
    Judgement { findings, coverage, verdict, troubles, unread, suppressed }
}

fn verdict(findings: &[Finding], coverage: &Coverage, troubles: &[String]) -> Verdict {
    let heaviest = findings.iter().map(|finding| finding.severity).max();
    if heaviest == Some(Severity::Block) {
        Verdict::RequestChanges
    } else if heaviest == Some(Severity::Warn)
        || !coverage.is_complete()
        || coverage.nothing_was_read()
        || !troubles.is_empty()
    {
        Verdict::NeedsDiscussion
    } else {
        Verdict::Approve
    }
}

/// Findings on the way, with what tells that two of them are the same.
#[derive(Default)]
struct Found {
    findings: Vec<(Finding, Option<u64>)>,
    suppressed: Vec<Suppressed>,
}

impl Found {
    fn add(&mut self, rule: &Rule, change: &Change<'_>, hits: Vec<Hit>) {
        let anchors = Anchors::new(change.patch);
        for hit in hits {
            let mut severity = hit.severity;
            if change.place.test && !rule.on_tests {
                severity = lower(severity);
            }
            let mut message = hit.message;
            match Ignore::at(&anchors, hit.line, rule.id) {
                // The pull request itself asks not to be blocked: somebody else should agree.
                Some(ignore) if ignore.added && severity == Severity::Block => {
                    severity = Severity::Warn;
                    message.push_str(" (This would block, but the same change adds a `nectr:ignore` for it.)");
                }
                Some(ignore) => {
                    self.suppressed.push(ignore.suppresses(rule.id, change.path, hit.line));
                    continue;
                }
                None => {}
            }
            let anchored = anchors.check(Side::Right, None, hit.line).is_ok();
            let finding = Finding {
                rule: rule.id.to_owned(),
                severity,
                path: change.path.to_owned(),
                line: Some(hit.line),
                start_line: None,
                side: Side::Right,
                message,
                suggestion: hit
                    .fix
                    .filter(|_| anchored)
                    .and_then(|fix| suggestion(fix, &anchors, hit.line, change.patch)),
                inline: anchored && severity > Severity::Info,
            };
            self.findings.push((finding, hit.key));
        }
    }

    /// Sorts, tells each thing once, and decides what is said on the lines.
    fn settle(mut self, troubles: &mut Vec<String>) -> (Vec<Finding>, Vec<Suppressed>) {
        self.findings.sort_by(|(a, _), (b, _)| {
            b.severity.cmp(&a.severity).then_with(|| (&a.path, a.line, &a.rule).cmp(&(&b.path, b.line, &b.rule)))
        });
        let mut told = HashSet::new();
        self.findings.retain(|(finding, key)| key.is_none_or(|key| told.insert((finding.rule.clone(), key))));

        let mut counts: HashMap<String, usize> = HashMap::new();
        for (finding, _) in &self.findings {
            *counts.entry(finding.rule.clone()).or_default() += 1;
        }
        let mut kept: HashMap<String, usize> = HashMap::new();
        let mut fixed = HashSet::new();
        let mut inline = 0;
        let mut findings = Vec::new();
        for (mut finding, _) in self.findings {
            let nth = kept.entry(finding.rule.clone()).or_default();
            *nth += 1;
            let grouped = counts.get(&finding.rule).is_some_and(|count| *count > FEW) && *nth > 1;
            if *nth > MAX_PER_RULE {
                continue;
            }
            finding.inline &= !grouped && inline < MAX_INLINE;
            inline += usize::from(finding.inline);
            // GitHub applies one suggestion per line.
            if finding.suggestion.is_some() && !fixed.insert((finding.path.clone(), finding.line)) {
                finding.suggestion = None;
            }
            findings.push(finding);
        }
        let mut many: Vec<_> = counts.into_iter().filter(|(_, count)| *count > MAX_PER_RULE).collect();
        many.sort();
        troubles.extend(many.into_iter().map(|(rule, count)| {
            format!("The rule `{rule}` found {count} places; only the first {MAX_PER_RULE} are kept.")
        }));
        (findings, self.suppressed)
    }
}

fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Block => Severity::Warn,
        Severity::Warn | Severity::Info => Severity::Info,
    }
}

/// What replaces the line, if that is certain: the line says what the rule read, the text changes, line ends survive,
/// and nothing secret is repeated.
fn suggestion(fix: Fix, anchors: &Anchors<'_>, line: u32, patch: &Patch<'_>) -> Option<String> {
    let current = anchors.line(Side::Right, line).filter(|line| line.kind == LineKind::Added)?;
    let crlf = patch.lines().any(|line| line.text.ends_with('\r'));
    let same = current.text == fix.was && fix.becomes != fix.was && !fix.becomes.contains('\n');
    let quiet = matches!(secret::redact(&fix.becomes), std::borrow::Cow::Borrowed(_));
    (same && !crlf && quiet).then_some(fix.becomes)
}

#[cfg(test)]
mod tests;
