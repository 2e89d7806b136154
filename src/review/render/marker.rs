//! The hidden last line by which nectr recognises a review of its own, and which one it is.

use std::fmt::Write as _;

use crate::domain::CommitSha;

const OPEN: &str = "<!-- nectr:v1 ";
const CLOSE: &str = " -->";

/// What tells this review from others of its pull request: the commit it is about, and the branch it is compared with.
pub fn marker_key(head: &CommitSha, base_ref: &str) -> String {
    format!("review head={} base={}", encode(&head.0), encode(base_ref))
}

/// The hidden marker around a key: an HTML comment, the last line of the body.
pub fn marker(key: &str) -> String {
    format!("{OPEN}{key}{CLOSE}")
}

/// The key in the marker that `body` carries, if it is one of ours. Only the last line counts: text that merely shows a
/// marker is none.
pub fn find_marker(body: &str) -> Option<&str> {
    let last = body.trim_end().lines().next_back()?.trim();
    last.strip_prefix(OPEN)?.strip_suffix(CLOSE)
}

/// Percent-encodes everything that could end a comment, split the key, or not survive a trip.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut dash = false;
    for byte in text.bytes() {
        // A second hyphen in a row could become the end of the comment.
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/') || byte == b'-' && !dash;
        dash = byte == b'-';
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(base: &str) -> String {
        marker_key(&CommitSha("0123abc".to_owned()), base)
    }

    #[test]
    fn a_marker_is_found_again_as_it_was_made() {
        for base in
            ["main", "release/1.x", "a-->b", "--", "é ü", "100%", "%2D", "a\nb", "", "base=x", "a b", "--!>", "<!--"]
        {
            let key = key(base);
            let marker = marker(&key);
            assert_eq!(marker.matches("-->").count(), 1, "{marker}");
            assert_eq!(marker.matches("--").count(), 2, "{marker}");
            assert!(key.is_ascii() && !key.contains('\n'), "{key}");
            assert_eq!(find_marker(&format!("Hello.\n\n{marker}")), Some(key.as_str()));
            assert_eq!(
                find_marker(&format!("Hello.\r\n\r\n{marker}\r\n")),
                Some(key.as_str()),
                "as a browser would send it"
            );
        }
    }

    #[test]
    fn different_bases_have_different_keys() {
        let bases = ["a-b", "a--b", "a%2Db", "a b", "a%20b", "a/b"];
        let keys: std::collections::HashSet<_> = bases.iter().map(|base| key(base)).collect();
        assert_eq!(keys.len(), bases.len());
        assert_eq!(key("main"), "review head=0123abc base=main");
    }

    #[test]
    fn only_the_last_line_is_a_marker() {
        let marker = marker("review head=a base=b");
        for body in [
            format!("{marker}\nmore"),
            format!("`{marker}`"),
            format!("> {marker}"),
            String::new(),
            "Hello.".to_owned(),
        ] {
            assert_eq!(find_marker(&body), None, "{body}");
        }
        assert_eq!(find_marker("<!-- nectr:v2 x -->"), None);
    }
}
