//! From the old text and a patch to the new text: the proof that a patch was read correctly.

use std::fmt;

use super::{LineKind, Patch};

/// The patch does not belong to this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyError {
    /// Line of the old text where they part, from 1.
    pub line: u32,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the patch does not fit at line {} of the old text", self.line)
    }
}

impl std::error::Error for ApplyError {}

impl Patch<'_> {
    /// The new text. Refuses a base that differs from what the patch says about it, in any byte or line number.
    pub fn apply(&self, base: &str) -> Result<String, ApplyError> {
        let mut head = String::with_capacity(base.len());
        let mut rest = base.split_inclusive('\n');
        let (mut old, mut new) = (1_u32, 1_u32);
        for hunk in &self.hunks {
            let first = if hunk.old_count == 0 { hunk.old_start.saturating_add(1) } else { hunk.old_start };
            while old < first {
                let line = rest.next().filter(|line| line.ends_with('\n')).ok_or(ApplyError { line: old })?;
                head.push_str(line);
                (old, new) = (old + 1, new + 1);
            }
            for line in &hunk.lines {
                let fits = line.new.is_none_or(|number| number == new);
                if line.kind.on_old() {
                    let whole = rest.next().unwrap_or_default();
                    let text = whole.strip_suffix('\n');
                    let same = fits && text.unwrap_or(whole) == line.text && text.is_none() == line.no_newline;
                    if !same || whole.is_empty() {
                        return Err(ApplyError { line: old });
                    }
                    old += 1;
                } else if !fits {
                    return Err(ApplyError { line: old });
                }
                if line.kind != LineKind::Removed {
                    head.push_str(line.text);
                    if !line.no_newline {
                        head.push('\n');
                    }
                    new += 1;
                }
            }
        }
        rest.for_each(|line| head.push_str(line));
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fmt::Write as _;

    use super::*;
    use crate::domain::diff::Anchors;

    /// Numbers that look random and are the same on every run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % sides as u64) as usize
        }
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Step {
        Keep,
        Drop,
        Add,
    }

    /// Writes the edit script as git would, with `context` lines around changes.
    fn patch_of(script: &[(Step, String)], context: usize, base_ends: bool, head_ends: bool) -> String {
        let near = |at: usize| {
            script[at.saturating_sub(context)..(at + context + 1).min(script.len())]
                .iter()
                .any(|(step, _)| *step != Step::Keep)
        };
        let last = |of: Step| script.iter().rposition(|(step, _)| *step == Step::Keep || *step == of);
        let (mut out, mut at, mut old, mut new) = (String::new(), 0, 1, 1);
        while at < script.len() {
            if !near(at) {
                (at, old, new) = (at + 1, old + 1, new + 1);
                continue;
            }
            let (mut body, first_old, first_new) = (String::new(), old, new);
            while at < script.len() && near(at) {
                let (step, text) = &script[at];
                let (prefix, bare) = match step {
                    Step::Keep => (' ', last(Step::Drop) == Some(at) && !base_ends),
                    Step::Drop => ('-', last(Step::Drop) == Some(at) && !base_ends),
                    Step::Add => ('+', last(Step::Add) == Some(at) && !head_ends),
                };
                write!(body, "\n{prefix}{text}").unwrap();
                if bare {
                    body.push_str("\n\\ No newline at end of file");
                }
                old += usize::from(*step != Step::Add);
                new += usize::from(*step != Step::Drop);
                at += 1;
            }
            let range = |first: usize, next: usize| match next - first {
                0 => format!("{},0", first - 1),
                1 => first.to_string(),
                count => format!("{first},{count}"),
            };
            if !out.is_empty() {
                out.push('\n');
            }
            write!(out, "@@ -{} +{} @@ x{body}", range(first_old, old), range(first_new, new)).unwrap();
        }
        out
    }

    fn join(lines: impl Iterator<Item = String>, ends: bool) -> String {
        let mut text: String = lines.map(|line| line + "\n").collect();
        if !ends {
            text.pop();
        }
        text
    }

    const TEXTS: [&str; 10] = [
        "",
        " ",
        "-- a/x",
        "++ b/x",
        "@@ -1 +1 @@",
        "\\ No newline at end of file",
        "é\r",
        "a\u{2028}b",
        "\u{c}",
        "fn x()",
    ];

    #[test]
    fn p7_base_and_patch_make_head_byte_for_byte() {
        let mut dice = Dice(0x5eed);
        for round in 0..2_000 {
            let size = 1 + dice.roll(30);
            let mut script: Vec<_> = (0..size)
                .map(|_| {
                    let step = [Step::Keep, Step::Keep, Step::Keep, Step::Drop, Step::Add][dice.roll(5)];
                    (step, TEXTS[dice.roll(TEXTS.len())].to_owned())
                })
                .collect();
            // A last line that both sides keep has one ending; and a lone empty line without ending is no line at all.
            script.push((Step::Drop, "old end".to_owned()));
            script.push((Step::Add, "new end".to_owned()));
            let (base_ends, head_ends) = (dice.roll(2) == 0, dice.roll(2) == 0);
            let side =
                |other: Step| script.iter().filter(move |(step, _)| *step != other).map(|(_, text)| text.clone());
            let base = join(side(Step::Add), base_ends);
            let head = join(side(Step::Drop), head_ends);

            let text = patch_of(&script, dice.roll(4), base_ends, head_ends);
            let patch = Patch::parse(&text).unwrap_or_else(|error| panic!("round {round}: {error}\n{text}"));
            assert_eq!(patch.apply(&base), Ok(head), "round {round}\n{text}");
        }
    }

    #[test]
    fn p7_a_base_that_differs_is_refused() {
        let patch = Patch::parse("@@ -2,2 +2,2 @@\n b\n-c\n+d").unwrap();
        assert_eq!(patch.apply("a\nb\nc\n"), Ok("a\nb\nd\n".to_owned()));
        assert_eq!(patch.apply("a\nb\nx\n"), Err(ApplyError { line: 3 }));
        assert_eq!(patch.apply("a\nb\nc"), Err(ApplyError { line: 3 }), "the line feed at the end counts");
        assert_eq!(patch.apply("a\nb\n"), Err(ApplyError { line: 3 }));
        assert_eq!(patch.apply(""), Err(ApplyError { line: 1 }));
        let shifted = Patch::parse("@@ -2 +3 @@\n-b\n+c").unwrap();
        assert_eq!(shifted.apply("a\nb\n"), Err(ApplyError { line: 3 }), "numbers of the new side count");
    }

    #[test]
    fn nothing_panics_whatever_the_text() {
        const PIECES: [&str; 22] = [
            "@@ -1 +1 @@",
            "@@ -1,3 +1,2 @@",
            "@@ -0,0 +1,2 @@ é",
            "@@ -4294967295 +1 @@",
            "@@ -2,0 +2 @@",
            "@@ -9,1 +8,2 @@",
            "@@",
            "\n",
            "\n",
            "\n",
            "\n+",
            "\n-",
            "\n ",
            "\n\\ No newline",
            "+",
            "-",
            " ",
            "é",
            "\u{202e}",
            "\r",
            ",",
            "99999999999999999999",
        ];
        let mut dice = Dice(0xf0221);
        let mut parsed = 0;
        for _ in 0..60_000 {
            let text: String = (0..dice.roll(14)).map(|_| PIECES[dice.roll(PIECES.len())]).collect();
            if let Ok(patch) = Patch::parse(&text) {
                parsed += usize::from(!patch.hunks.is_empty());
                let _ = patch.apply(["", "a", "\n\n\n", "é\n+\n"][dice.roll(4)]);
                let anchors = Anchors::new(&patch);
                for line in [0, 1, 2, u32::MAX] {
                    let _ = anchors.check(crate::domain::review::Side::Right, Some(line / 2), line);
                }
            }
        }
        assert!(parsed > 100, "the pieces must also make sense sometimes: {parsed}");
    }
}
