//! GitHub's limits of one question: pages of 1 to 100 rows, and 500,000 rows in all at worst.

use graphql_parser::query::{Selection, SelectionSet, TypeCondition};

use super::{Question, Wrong, check::find, resolve, schema};

const MOST_ROWS: i64 = 100;
const MOST_NODES: i64 = 500_000;

pub enum Problem {
    /// Whoever asks made a mistake.
    Asker(Wrong),
    /// GitHub would not finish in time.
    TooMuch,
}

/// What GitHub finds too much. `largest`: rows of pull requests it can take today.
pub fn problem(question: &Question<'_>, largest: Option<i64>) -> Option<Problem> {
    let mut count = Count { question, largest, nodes: 0, problem: None };
    count.walk(&question.query.selection_set, "Query", 1);
    let many = || {
        let message = format!(
            "This query requests up to {} possible nodes which exceeds the maximum limit of 500,000.",
            count.nodes
        );
        Problem::Asker(Wrong::of("MAX_NODE_LIMIT_EXCEEDED", message))
    };
    let too_many = count.nodes > MOST_NODES;
    count.problem.take().or_else(|| too_many.then(many))
}

struct Count<'q, 'a> {
    question: &'q Question<'a>,
    largest: Option<i64>,
    nodes: i64,
    problem: Option<Problem>,
}

impl<'q, 'a> Count<'q, 'a> {
    /// `times`: how often this may be in the answer.
    fn walk(&mut self, set: &'q SelectionSet<'a, String>, kind: &str, times: i64) {
        for selection in &set.items {
            match selection {
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = find(&self.question.fragments, &spread.fragment_name) else { continue };
                    let TypeCondition::On(on) = &fragment.type_condition;
                    self.walk(&fragment.selection_set, on, times);
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.type_condition.as_ref().map_or(kind, |TypeCondition::On(on)| on);
                    self.walk(&inline.selection_set, on, times);
                }
                Selection::Field(field) => {
                    let Some(known) = schema::field(kind, &field.name) else { continue };
                    let inner = schema::inner(&known.field_type);
                    let asks_rows = |set: &SelectionSet<'a, String>| {
                        set.items.iter().any(|item| matches!(item, Selection::Field(field) if field.name == "nodes"))
                    };
                    if !schema::is_connection(&known.field_type) || !asks_rows(&field.selection_set) {
                        self.walk(&field.selection_set, inner, times);
                        continue;
                    }
                    let first = resolve::argument(self.question, field, "first").as_i64();
                    let rows = self.rows(&field.name, first);
                    self.nodes = self.nodes.saturating_add(times.saturating_mul(rows));
                    self.walk(&field.selection_set, inner, times.saturating_mul(rows));
                }
            }
        }
    }

    fn rows(&mut self, name: &str, first: Option<i64>) -> i64 {
        let wrong = match first {
            None => Wrong::of(
                "MISSING_PAGINATION_BOUNDARIES",
                format!("You must provide a `first` or `last` value to properly paginate the `{name}` connection."),
            ),
            Some(rows) if rows > MOST_ROWS => Wrong::of(
                "EXCESSIVE_PAGINATION",
                format!(
                    "Requesting {rows} records on the `{name}` connection exceeds the `first` limit of {MOST_ROWS} records."
                ),
            ),
            Some(rows) if rows < 1 => {
                Wrong::of("ARGUMENT_LIMIT", format!("`first` on the `{name}` connection is {rows}"))
            }
            Some(rows) => {
                if name == "pullRequests" && self.largest.is_some_and(|largest| rows > largest) {
                    self.problem.get_or_insert(Problem::TooMuch);
                }
                return rows;
            }
        };
        self.problem.get_or_insert(Problem::Asker(wrong));
        1
    }
}
