//! The site people see: signing in, and one page for each pull request, so that the links in answers lead somewhere.

use super::{
    ask::Ask,
    books::ReviewState,
    change::Row,
    reply::Reply,
    sign_in,
    world::{Pr, StoredReview, World},
};

/// The answer of a page of the site.
pub fn answer(world: &mut World, ask: &mut Ask) -> Reply {
    let path = ask.segments.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let page = match (ask.method.as_str(), path.as_slice()) {
        ("GET", ["login", "oauth", "authorize"]) => return sign_in::authorize(world, ask),
        ("POST", ["login", "oauth", "access_token"]) => return sign_in::access_token(world, ask),
        ("GET", [owner, name, "pull", number]) => pull_page(world, &format!("{owner}/{name}"), number),
        _ => None,
    };
    page.unwrap_or_else(|| {
        ask.complain("no such page");
        Reply::text(404, "text/html", "<h1>Not Found</h1>")
    })
}

/// A pull request with its reviews and its diff. Open to all: nobody signs in to look at a sandbox.
fn pull_page(world: &World, full_name: &str, number: &str) -> Option<Reply> {
    let repo = world.find_repo(full_name)?;
    let pull = repo.pulls.get(&number.parse().ok()?)?;
    let state = match (pull.now.open, pull.now.merged_at) {
        (_, Some(_)) => "merged",
        (true, None) if pull.now.draft => "draft",
        (true, None) => "open",
        (false, None) => "closed",
    };
    let title = escape(&format!("{} #{}", pull.now.title, pull.number));
    let submitted = pull.reviews.iter().filter(|review| review.state != ReviewState::Pending);
    let reviews: String = submitted.map(|review| review_part(world, review)).collect();
    let pr = Pr { repo: repo.id, number: pull.number };
    let files: String = world.pull(pr).now.rows.iter().map(file_part).collect();
    let about = escape(&format!(
        "{full_name}: {state}, {} wants to merge {} into {}",
        world.login(pull.author),
        pull.branch,
        pull.now.base_ref
    ));
    let style = "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}\
                 pre{background:#8881;padding:.8rem;overflow:auto;white-space:pre-wrap}";
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{style}</style>\
         <h1>{title}</h1><p>{about}</p><h2>Reviews</h2>{reviews}<h2>Files</h2>{files}</html>"
    );
    Some(Reply::text(200, "text/html; charset=utf-8", html))
}

fn review_part(world: &World, review: &StoredReview) -> String {
    let comments = review.comments.iter().map(|comment| {
        format!("<h4>{}:{}</h4><pre>{}</pre>", escape(&comment.path), comment.line, escape(&comment.body))
    });
    format!(
        "<article id=pullrequestreview-{}><h3>{}: {}</h3><pre>{}</pre>{}</article>",
        review.id,
        escape(world.login(review.user)),
        review.state.as_str(),
        escape(&review.body),
        comments.collect::<String>()
    )
}

fn file_part(row: &Row) -> String {
    let patch = row.patch.as_deref().unwrap_or("(no text to show)");
    format!("<h3>{}</h3><pre>{}</pre>", escape(&row.path), escape(patch))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
