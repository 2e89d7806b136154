//! Text that GitHub will take: cut at a border, saying how much is gone, with nothing left open.

use unicode_segmentation::UnicodeSegmentation;

/// GitHub takes 65,536 characters; the rest is room for what it may count differently.
pub(super) const MAX_BODY: usize = 60_000;

/// Room for the sentence that says how much was cut.
const NOTICE: usize = 120;

/// Length as the strictest counter sees it: an emoji is two.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The sections with empty lines between them and `last` as the last line, within `limit`.
pub(super) fn fit(sections: &[String], last: &str, limit: usize) -> String {
    let whole = sections.join("\n\n");
    let end = if last.is_empty() { String::new() } else { format!("\n\n{last}") };
    let room = limit.saturating_sub(width(&end));
    if width(&whole) <= room {
        return whole + &end;
    }
    let kept = cut(&whole, room.saturating_sub(NOTICE));
    let gone = whole[kept.len()..].graphemes(true).count();
    let close = open_fence(kept).map(|fence| format!("\n{fence}")).unwrap_or_default();
    format!("{}{close}\n\n*Cut here: {gone} more characters did not fit.*{end}", kept.trim_end())
}

/// The beginning that fits: up to a section's end if that keeps half, else a line's, else a character's.
fn cut(whole: &str, room: usize) -> &str {
    let mut used = 0;
    let fits = whole.grapheme_indices(true).find_map(|(at, char)| {
        used += width(char);
        (used > room).then_some(at)
    });
    let kept = &whole[..fits.unwrap_or(whole.len())];
    let border = |mark| kept.rfind(mark).filter(|at| *at > kept.len() / 2);
    &kept[..border("\n\n").or_else(|| border("\n")).unwrap_or(kept.len())]
}

/// The fence that is still open at the end, to close it with.
fn open_fence(text: &str) -> Option<String> {
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let line = line.trim_start();
        let rest = line.trim_start_matches('`');
        let run = line.len() - rest.len();
        open = match open {
            None if run >= 3 => Some(run),
            Some(fence) if run >= fence && rest.trim().is_empty() => None,
            open => open,
        };
    }
    open.map(|run| "`".repeat(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(sections: &[&str], last: &str, limit: usize) -> String {
        let sections: Vec<_> = sections.iter().map(|section| (*section).to_owned()).collect();
        let text = fit(&sections, last, limit);
        assert!(width(&text) <= limit, "{} > {limit}", width(&text));
        text
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(fitted(&["a", "b"], "end", 9), "a\n\nb\n\nend");
        assert_eq!(fitted(&["a"], "", 1), "a");
    }

    #[test]
    fn p42_a_cut_is_at_a_section_and_says_how_much() {
        let (a, b) = ("a".repeat(300), "b".repeat(300));
        let text = fitted(&[&a, &b], "end", 600);
        assert_eq!(text, format!("{a}\n\n*Cut here: 302 more characters did not fit.*\n\nend"));
    }

    #[test]
    fn p42_else_at_a_line() {
        let lines = "0123456789\n".repeat(100);
        let text = fitted(&[&lines], "end", 500);
        let kept = text.split("\n\n").next().unwrap_or_default();
        assert!(kept.lines().count() > 10 && kept.lines().all(|line| line.len() == 10), "{text}");
    }

    #[test]
    fn p42_never_through_a_character() {
        for (char, limit) in [("👩‍👩‍👧", 400), ("e\u{301}", 401), ("😀", 402), ("🇫🇷", 403)] {
            let text = fitted(&[&char.repeat(300)], "end", limit);
            let kept = text.split("\n\n").next().unwrap_or_default();
            assert!(!kept.is_empty() && kept.replace(char, "").is_empty(), "{kept}");
        }
    }

    #[test]
    fn p42_an_open_fence_is_closed() {
        let code = format!("text\n````suggestion\n```\n{}", "x\n".repeat(500));
        let text = fitted(&[&code], "end", 600);
        assert!(text.contains("x\n````\n\n*Cut here"), "{text}");
    }
}
