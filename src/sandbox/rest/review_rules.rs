//! What GitHub demands of a review before it stores any of it.

use serde_json::Value;

use super::super::{
    Comment, Pr,
    anchor::{self, Anchor},
    ask::{Fields, Is},
    books::ReviewState,
    change::Row,
    reply::{Reply, invalid, unprocessable, validation},
    world::World,
};
use crate::domain::review::Side;

/// Characters of a body.
const MAX_BODY: usize = 65_536;
const COMMENT: [(&str, Is); 6] = [
    ("path", Is::Text),
    ("body", Is::Text),
    ("line", Is::Whole),
    ("side", Is::Text),
    ("start_line", Is::Whole),
    ("start_side", Is::Text),
];

/// The state a submitted review gets.
pub fn event(word: &str) -> Result<ReviewState, Reply> {
    match word {
        "APPROVE" => Ok(ReviewState::Approved),
        "REQUEST_CHANGES" => Ok(ReviewState::ChangesRequested),
        "COMMENT" => Ok(ReviewState::Commented),
        odd => Err(invalid(&format!(
            "For 'properties/event', \"{odd}\" is not a member of [\"APPROVE\", \"REQUEST_CHANGES\", \"COMMENT\"]."
        ))),
    }
}

/// Nobody judges their own pull request, and what is not an approval says why.
pub fn may_submit(world: &World, pr: Pr, user: i64, state: ReviewState, body: &str) -> Result<(), Reply> {
    let own = world.pull(pr).author == user;
    match state {
        ReviewState::Approved if own => Err(unprocessable(&["Can not approve your own pull request"])),
        ReviewState::ChangesRequested if own => {
            Err(unprocessable(&["Can not request changes on your own pull request"]))
        }
        ReviewState::ChangesRequested | ReviewState::Commented if body.trim().is_empty() => {
            Err(unprocessable(&["Review body can't be blank"]))
        }
        _ => Ok(()),
    }
}

/// A text GitHub stores.
pub fn body(resource: &str, text: &str) -> Result<String, Reply> {
    if text.chars().count() > MAX_BODY {
        return Err(validation(resource, "body", "body is too long (maximum is 65536 characters)"));
    }
    Ok(text.to_owned())
}

/// Reads the comments of a new review; the first bad one refuses all, without saying which.
pub fn comments(list: &[Value], rows: &[Row]) -> Result<Vec<Comment>, Reply> {
    list.iter().map(|item| comment(item, rows)).collect()
}

fn comment(item: &Value, rows: &[Row]) -> Result<Comment, Reply> {
    let Value::Object(map) = item else { return Err(invalid("For 'properties/comments/items', not an object.")) };
    let fields = Fields::check(map.clone(), &COMMENT)?;
    let path = fields.need("path")?;
    let text = body("PullRequestReviewComment", fields.need("body")?)?;
    if text.trim().is_empty() {
        return Err(unprocessable(&["Pull request review comment body can't be blank"]));
    }
    let side = |name: &str| match fields.text(name) {
        None => Ok(None),
        Some(word) => {
            [Side::Left, Side::Right].into_iter().find(|side| side.as_str() == word).map(Some).ok_or_else(|| {
                invalid(&format!("For 'properties/{name}', \"{word}\" is not a member of [LEFT, RIGHT]."))
            })
        }
    };
    let end_side = side("side")?.unwrap_or(Side::Right);
    let line = fields.whole("line").ok_or_else(|| invalid("\"line\" wasn't supplied."))?;
    let start = match (fields.whole("start_line"), side("start_side")?) {
        (Some(start), start_side) => Some((start, start_side.unwrap_or(end_side))),
        (None, None) => None,
        (None, Some(_)) => return Err(unprocessable(&["Pull request review thread start line can't be blank"])),
    };
    let row = rows.iter().find(|row| row.path == path);
    let row = row.ok_or_else(|| unprocessable(&["Pull request review thread path is invalid"]))?;
    anchor::check(row.patch.as_deref(), Anchor { line, side: end_side, start }).map_err(|why| unprocessable(&[why]))?;
    Ok(Comment { id: 0, path: path.to_owned(), line, side: end_side, start, body: text })
}
