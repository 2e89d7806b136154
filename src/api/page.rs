//! Pages for people: one file each, everything inline, and a policy that lets nothing else run.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use poem::{IntoResponse, Response, http::header};
use sha2::{Digest, Sha256};

/// A page that is the same for everybody. What it shows of anybody it asks the API for.
#[derive(Debug, Clone)]
pub(super) struct Page {
    html: Bytes,
    policy: String,
}

/// What a page may do with styles beside its own sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Styles {
    /// Nothing.
    OwnSheetOnly,
    /// Style attributes, which Swagger UI uses everywhere.
    Attributes,
}

impl Page {
    pub(super) fn new(html: String, styles: Styles) -> Self {
        let styles = match styles {
            Styles::OwnSheetOnly => hashes(&html, "style"),
            Styles::Attributes => "'unsafe-inline'".to_owned(),
        };
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {styles}; img-src data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hashes(&html, "script")
        );
        Self { html: html.into(), policy }
    }

    /// The page, to be asked for anew each time.
    pub(super) fn answer(&self) -> Response {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, &self.policy)
            .header(header::CACHE_CONTROL, "no-cache")
            .body(self.html.clone())
            .into_response()
    }
}

/// The policy's words for every inline block of this kind: exactly these texts may run.
fn hashes(html: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
    let mut words = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(&open) {
        let Some((block, after)) = rest[at..].split_once(&close) else { break };
        if let Some((_, text)) = block.split_once('>') {
            words.push(format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text))));
        }
        rest = after;
    }
    if words.is_empty() { "'none'".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_scripts_of_a_page_may_run() {
        let page = |html: &str| Page::new(html.to_owned(), Styles::OwnSheetOnly).policy;
        // echo -n 'alert(1)' | openssl dgst -sha256 -binary | base64
        let alert = "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='";
        let policy = page("<style>p{}</style><script>alert(1)</script><p>alert(2)</p>");
        assert!(policy.contains(&format!("script-src {alert};")), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(page("<p>no script</p>").contains("script-src 'none'; style-src 'none'"));
        assert_eq!(
            hashes("<script>a</script><script charset=\"x\">b</script>", "script").matches("sha256-").count(),
            2
        );
    }
}
