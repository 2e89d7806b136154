//! The answer to a question that keeps to the rules.

use graphql_parser::query::{Field, Selection, SelectionSet, TypeCondition, Value as Literal};
use serde_json::{Map, Value};

use super::{
    Question, Wrong,
    check::find,
    nodes::{Node, Out},
    schema,
};
use crate::sandbox::{ask::Ask, world::World};

/// The data and what is missing from it.
pub fn run(world: &World, ask: &Ask, question: &Question<'_>) -> (Value, Vec<Wrong>) {
    let mut run = Run { world, ask, question, wrongs: Vec::new(), path: Vec::new() };
    let data = run.object(Node::Query, &[&question.query.selection_set]);
    (data, run.wrongs)
}

struct Run<'w, 'q, 'a> {
    world: &'w World,
    ask: &'w Ask,
    question: &'q Question<'a>,
    wrongs: Vec<Wrong>,
    path: Vec<Value>,
}

/// What stands between the brackets behind a field.
pub struct Arguments<'q, 'a> {
    question: &'q Question<'a>,
    field: &'q Field<'a, String>,
}

impl Arguments<'_, '_> {
    /// Its value; null if it has none.
    pub fn get(&self, name: &str) -> Value {
        argument(self.question, self.field, name)
    }
}

/// The value of an argument, variables replaced; null if it has none.
pub fn argument(question: &Question<'_>, field: &Field<'_, String>, name: &str) -> Value {
    let given = field.arguments.iter().find(|(argument, _)| argument == name);
    given.map_or(Value::Null, |(_, value)| literal(question, value))
}

fn literal(question: &Question<'_>, value: &Literal<'_, String>) -> Value {
    match value {
        Literal::Variable(name) => question.variables.get(name).cloned().unwrap_or_else(|| {
            let defined = question.query.variable_definitions.iter().find(|definition| definition.name == *name);
            let default = defined.and_then(|definition| definition.default_value.as_ref());
            default.map_or(Value::Null, |value| literal(question, value))
        }),
        Literal::Int(number) => number.as_i64().into(),
        Literal::Float(number) => (*number).into(),
        Literal::String(text) | Literal::Enum(text) => text.as_str().into(),
        Literal::Boolean(flag) => (*flag).into(),
        Literal::Null => Value::Null,
        Literal::List(items) => items.iter().map(|item| literal(question, item)).collect(),
        Literal::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), literal(question, value))).collect::<Map<_, _>>().into()
        }
    }
}

impl<'w, 'q, 'a> Run<'w, 'q, 'a> {
    fn object(&mut self, node: Node<'w>, sets: &[&'q SelectionSet<'a, String>]) -> Value {
        let mut wanted: Vec<(&'q str, Vec<&'q Field<'a, String>>)> = Vec::new();
        for set in sets {
            self.collect(&node, set, &mut wanted);
        }
        let mut shown = Map::new();
        for (key, fields) in wanted {
            self.path.push(key.into());
            let value = self.field(&node, &fields);
            self.path.pop();
            shown.insert(key.to_owned(), value);
        }
        shown.into()
    }

    /// The fields that apply to `node`, those of one key together.
    fn collect(
        &self,
        node: &Node<'w>,
        set: &'q SelectionSet<'a, String>,
        wanted: &mut Vec<(&'q str, Vec<&'q Field<'a, String>>)>,
    ) {
        for selection in &set.items {
            match selection {
                Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name).as_str();
                    match wanted.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, fields)) => fields.push(field),
                        None => wanted.push((key, vec![field])),
                    }
                }
                Selection::InlineFragment(inline) => {
                    let fits = |TypeCondition::On(on): &TypeCondition<'a, String>| schema::fits(node.kind(), on);
                    if inline.type_condition.as_ref().is_none_or(fits) {
                        self.collect(node, &inline.selection_set, wanted);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = find(&self.question.fragments, &spread.fragment_name) else { continue };
                    let TypeCondition::On(on) = &fragment.type_condition;
                    if schema::fits(node.kind(), on) {
                        self.collect(node, &fragment.selection_set, wanted);
                    }
                }
            }
        }
    }

    fn field(&mut self, node: &Node<'w>, fields: &[&'q Field<'a, String>]) -> Value {
        let Some(field) = fields.first() else { return Value::Null };
        if field.name == "__typename" {
            return node.kind().into();
        }
        let sets: Vec<_> = fields.iter().map(|field| &field.selection_set).collect();
        let arguments = Arguments { question: self.question, field };
        match node.field(self.world, self.ask, &field.name, &arguments) {
            Out::Leaf(value) => value,
            Out::One(node) => self.object(node, &sets),
            Out::Many(nodes) => {
                let mut shown = Vec::new();
                for (at, node) in nodes.into_iter().enumerate() {
                    self.path.push(at.into());
                    shown.push(self.object(node, &sets));
                    self.path.pop();
                }
                shown.into()
            }
            Out::Missing(wrong) => {
                self.wrongs.push(wrong.at(&self.path));
                Value::Null
            }
        }
    }
}
