//! `POST /graphql`: the questions nectr asks, answered from the world by the rules of GitHub's own schema.
//!
//! A question is checked against an excerpt of that schema before anything is looked up: a field, argument, type or
//! variable that is not in it is refused in GitHub's manner and entered in [`Sandbox::unknown_calls`].

mod check;
mod limits;
mod nodes;
mod resolve;
mod schema;

use graphql_parser::query::{Definition, Document, FragmentDefinition, OperationDefinition, Query, parse_query};
use serde_json::{Map, Value, json};

use super::{
    Sandbox,
    ask::{Ask, Is},
    limits::Purse,
    reply::{Outcome, Reply, problem},
    world::World,
};

/// Where GitHub Enterprise Server has it, below the root.
pub const PATH: &str = "/api/graphql";
/// By which name tests know it, as the API's other paths: from its root.
pub const SHORT_PATH: &str = "/graphql";

/// What is wrong with a question or with a part of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    kind: Option<&'static str>,
    message: String,
    path: Vec<Value>,
}

impl Wrong {
    /// Against the schema: a mistake of whoever asks.
    fn invalid(message: impl Into<String>) -> Self {
        Self { kind: None, message: message.into(), path: Vec::new() }
    }

    fn of(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind: Some(kind), message: message.into(), path: Vec::new() }
    }

    fn at(mut self, path: &[Value]) -> Self {
        self.path = path.to_vec();
        self
    }

    fn show(&self) -> Value {
        let mut shown = Map::new();
        if let Some(kind) = self.kind {
            shown.insert("type".to_owned(), kind.into());
        }
        if !self.path.is_empty() {
            shown.insert("path".to_owned(), self.path.clone().into());
        }
        shown.insert("message".to_owned(), self.message.as_str().into());
        shown.into()
    }
}

/// A question that can be answered: one query and the fragments it uses.
struct Question<'a> {
    query: Query<'a, String>,
    fragments: Vec<FragmentDefinition<'a, String>>,
    variables: Map<String, Value>,
}

impl Sandbox {
    /// `token` has this many questions left until `reset`. GitHub counts them apart from requests to the REST API.
    pub fn graphql_rate_limit(&self, token: &str, remaining: u32, reset: chrono::DateTime<chrono::Utc>) {
        self.lock().limits.set(Purse::GraphQl, token, remaining, reset);
    }

    /// Questions for pages of more rows than this are too much for GitHub, as those about many large pull requests are:
    /// 502. None: nothing is too much, as at the start.
    pub fn largest_page(&self, rows: Option<u8>) {
        self.lock().largest_page = rows.map(i64::from);
    }
}

/// The answer to a question.
pub fn answer(world: &mut World, ask: &mut Ask) -> Reply {
    let outcome = world.identify(ask).and_then(|()| world.signed_in(ask));
    if let Err(refusal) = outcome {
        return refusal;
    }
    let reply = match world.check_rate(Purse::GraphQl, ask) {
        Ok(()) => serve(world, ask).unwrap_or_else(|refusal| refusal),
        Err(_) => {
            let who = ask.user.unwrap_or_default();
            let message = format!("API rate limit exceeded for user ID {who}.");
            Reply::json(200, &json!({"errors": [Wrong::of("RATE_LIMITED", message).show()]}))
        }
    };
    let reply = world.charge(Purse::GraphQl, ask, reply);
    let request = world.next_id();
    reply.with("x-github-request-id", format!("SAND:{request:X}")).with("x-github-media-type", "github.v4")
}

fn serve(world: &World, ask: &mut Ask) -> Outcome {
    if ask.method != http::Method::POST {
        ask.complain("no such route");
        return Err(problem(404, "Not Found"));
    }
    let fields = ask.fields(&[("query", Is::Text), ("variables", Is::Object), ("operationName", Is::Text)])?;
    ask.complain_of_leftovers();
    let text = fields
        .text("query")
        .ok_or_else(|| problem(400, "A query attribute must be specified and must be a string."))?;
    let variables = fields.object("variables").cloned().unwrap_or_default();
    let question = match read(text, variables) {
        Ok(question) => question,
        Err(wrong) => return Ok(refuse(ask, &[wrong])),
    };
    let wrongs = check::problems(&question);
    if !wrongs.is_empty() {
        return Ok(refuse(ask, &wrongs));
    }
    match limits::problem(&question, world.largest_page) {
        Some(limits::Problem::Asker(wrong)) => return Ok(refuse(ask, &[wrong])),
        Some(limits::Problem::TooMuch) => {
            let message = "Something went wrong while executing your query. This may be the result of a timeout, or it \
                           could be a GitHub bug.";
            let body = json!({"data": null, "errors": [Wrong::invalid(message).show()]});
            return Err(Reply::json(502, &body));
        }
        None => {}
    }
    let (data, wrongs) = resolve::run(world, ask, &question);
    let mut body = json!({"data": data});
    if !wrongs.is_empty() {
        body["errors"] = wrongs.iter().map(Wrong::show).collect();
    }
    Ok(Reply::json(200, &body))
}

/// One query, no more, with its fragments.
fn read(text: &str, variables: Map<String, Value>) -> Result<Question<'_>, Wrong> {
    let document: Document<'_, String> = parse_query(text).map_err(|error| Wrong::invalid(error.to_string()))?;
    let (mut queries, mut fragments) = (Vec::new(), Vec::new());
    for definition in document.definitions {
        match definition {
            Definition::Fragment(fragment) => fragments.push(fragment),
            Definition::Operation(OperationDefinition::Query(query)) => queries.push(query),
            Definition::Operation(OperationDefinition::SelectionSet(selection_set)) => queries.push(Query {
                position: selection_set.span.0,
                name: None,
                variable_definitions: Vec::new(),
                directives: Vec::new(),
                selection_set,
            }),
            Definition::Operation(_) => return Err(Wrong::invalid("only queries are known here")),
        }
    }
    match (queries.pop(), queries.is_empty()) {
        (Some(query), true) => Ok(Question { query, fragments, variables }),
        _ => Err(Wrong::invalid("exactly one query is expected")),
    }
}

/// A question that breaks the rules: told so, and written down.
fn refuse(ask: &mut Ask, wrongs: &[Wrong]) -> Reply {
    for wrong in wrongs {
        ask.complain(wrong.message.clone());
    }
    Reply::json(200, &json!({"errors": wrongs.iter().map(Wrong::show).collect::<Vec<_>>()}))
}
