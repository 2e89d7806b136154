//! Whether a question keeps to the schema, by the rules every GraphQL server checks before it answers.

use std::collections::{BTreeMap, BTreeSet};

use graphql_parser::query::{
    Field, FragmentDefinition, Selection, SelectionSet, Type, TypeCondition, Value, VariableDefinition,
};
use serde_json::Value as Json;

use super::{Question, Wrong, schema};

/// Everything that is wrong with it.
pub fn problems(question: &Question<'_>) -> Vec<Wrong> {
    let mut check = Check {
        question,
        wrongs: Vec::new(),
        used_variables: BTreeSet::new(),
        used_fragments: BTreeSet::new(),
        inside: Vec::new(),
    };
    check.variables();
    check.selections(&question.query.selection_set, "Query");
    check.leftovers();
    check.wrongs
}

struct Check<'q, 'a> {
    question: &'q Question<'a>,
    wrongs: Vec<Wrong>,
    used_variables: BTreeSet<String>,
    used_fragments: BTreeSet<String>,
    /// The fragments that are being read, for those that contain themselves.
    inside: Vec<String>,
}

impl<'q, 'a> Check<'q, 'a> {
    fn wrong(&mut self, message: impl Into<String>) {
        self.wrongs.push(Wrong::invalid(message));
    }

    fn variables(&mut self) {
        let question = self.question;
        for definition in &question.query.variable_definitions {
            let name = &definition.name;
            let given = question.variables.get(name);
            match given {
                None if matches!(definition.var_type, Type::NonNullType(_)) && definition.default_value.is_none() => {
                    self.wrong(format!("Variable ${name} of type {} was provided invalid value", definition.var_type));
                }
                Some(value) if !json_fits(value, &definition.var_type) => {
                    self.wrong(format!("Variable ${name} of type {} was provided invalid value", definition.var_type));
                }
                _ => {}
            }
        }
        for name in question.variables.keys() {
            if self.variable(name).is_none() {
                self.wrong(format!("Variable ${name} is given but not declared"));
            }
        }
    }

    fn variable(&self, name: &str) -> Option<&'q VariableDefinition<'a, String>> {
        self.question.query.variable_definitions.iter().find(|definition| definition.name == name)
    }

    fn leftovers(&mut self) {
        let question = self.question;
        for definition in &question.query.variable_definitions {
            if !self.used_variables.contains(&definition.name) {
                self.wrong(format!("Variable ${} is declared but not used", definition.name));
            }
        }
        for fragment in &question.fragments {
            if !self.used_fragments.contains(&fragment.name) {
                self.wrong(format!("Fragment {} was defined, but not used", fragment.name));
            }
        }
    }

    fn selections(&mut self, set: &'q SelectionSet<'a, String>, kind: &str) {
        let mut keys: BTreeMap<&str, &Field<'a, String>> = BTreeMap::new();
        for selection in &set.items {
            match selection {
                Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name);
                    if let Some(other) = keys.insert(key, field)
                        && (other.name != field.name || other.arguments != field.arguments)
                    {
                        self.wrong(format!("Field '{key}' has a field conflict"));
                    }
                    self.field(field, kind);
                }
                Selection::InlineFragment(inline) => {
                    self.no_directives(&inline.directives);
                    let on = inline.type_condition.as_ref().map_or(kind, |TypeCondition::On(on)| on);
                    self.on(on, kind, &inline.selection_set);
                }
                Selection::FragmentSpread(spread) => {
                    self.no_directives(&spread.directives);
                    self.spread(&spread.fragment_name, kind);
                }
            }
        }
    }

    fn spread(&mut self, name: &str, kind: &str) {
        let Some(fragment) = find(&self.question.fragments, name) else {
            return self.wrong(format!("Fragment {name} was used, but not defined"));
        };
        if self.inside.iter().any(|open| open == name) {
            return self.wrong(format!("Fragment {name} contains an infinite loop"));
        }
        self.used_fragments.insert(name.to_owned());
        self.inside.push(name.to_owned());
        let TypeCondition::On(on) = &fragment.type_condition;
        self.on(on, kind, &fragment.selection_set);
        self.inside.pop();
    }

    fn on(&mut self, on: &str, kind: &str, set: &'q SelectionSet<'a, String>) {
        if schema::fields(on).is_none() {
            self.wrong(format!("No such type {on}, so it can't be a fragment condition"));
        } else if !schema::overlap(on, kind) {
            self.wrong(format!("Fragment on {on} can't be spread inside {kind}"));
        } else {
            self.selections(set, on);
        }
    }

    fn field(&mut self, field: &'q Field<'a, String>, kind: &str) {
        self.no_directives(&field.directives);
        let name = &field.name;
        if name == "__typename" {
            return;
        }
        let Some(known) = schema::field(kind, name) else {
            return self.wrong(format!("Field '{name}' doesn't exist on type '{kind}'"));
        };
        for (argument, value) in &field.arguments {
            match known.arguments.iter().find(|known| known.name == *argument) {
                Some(known) => self.value(value, &known.value_type, known.default_value.is_some()),
                None => self.wrong(format!("Field '{name}' doesn't accept argument '{argument}'")),
            }
        }
        for required in known.arguments.iter().filter(|known| matches!(known.value_type, Type::NonNullType(_))) {
            if !field.arguments.iter().any(|(argument, _)| *argument == required.name) {
                self.wrong(format!("Field '{name}' is missing required arguments: {}", required.name));
            }
        }
        let inner = schema::inner(&known.field_type);
        match (schema::fields(inner).is_some(), field.selection_set.items.is_empty()) {
            (true, true) => self.wrong(format!("Field must have selections (field '{name}' returns {inner})")),
            (false, false) => {
                self.wrong(format!("Selections can't be made on scalars (field '{name}' returns {inner})"))
            }
            (true, false) => self.selections(&field.selection_set, inner),
            (false, true) => {}
        }
    }

    fn no_directives(&mut self, directives: &[graphql_parser::query::Directive<'a, String>]) {
        if let Some(directive) = directives.first() {
            self.wrong(format!("Directive @{} is not known here", directive.name));
        }
    }

    /// `has_default`: the place has a default of its own, so that a variable without a value does no harm.
    fn value(&mut self, value: &'q Value<'a, String>, wanted: &Type<'static, String>, has_default: bool) {
        if let Value::Variable(name) = value {
            self.used_variables.insert(name.clone());
            let Some(definition) = self.variable(name) else {
                return self.wrong(format!("Variable ${name} is used but not declared"));
            };
            let sure = definition.default_value.is_some() || has_default;
            if !may_stand(&definition.var_type, wanted, sure) {
                self.wrong(format!(
                    "Type mismatch on variable ${name}: {} where {wanted} is expected",
                    definition.var_type
                ));
            }
            return;
        }
        let fits = match (wanted, value) {
            (Type::NonNullType(_), Value::Null) => false,
            (Type::NonNullType(inside), _) => return self.value(value, inside, has_default),
            (_, Value::Null) => true,
            (Type::ListType(inside), Value::List(items)) => {
                return items.iter().for_each(|item| self.value(item, inside, false));
            }
            // One value may stand for a list of one.
            (Type::ListType(inside), _) => return self.value(value, inside, false),
            (Type::NamedType(name), Value::Object(fields)) => return self.object(name, fields),
            (Type::NamedType(name), Value::Enum(word)) => {
                schema::enumeration(name).is_some_and(|known| known.values.iter().any(|value| value.name == *word))
            }
            (Type::NamedType(name), Value::Int(number)) => {
                name == "Int" && number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
            }
            (Type::NamedType(name), Value::String(_)) => {
                matches!(name.as_str(), "String" | "ID" | "DateTime" | "GitObjectID")
            }
            (Type::NamedType(name), Value::Boolean(_)) => name == "Boolean",
            _ => false,
        };
        if !fits {
            self.wrong(format!("{value} is no {wanted}"));
        }
    }

    fn object(&mut self, name: &str, given: &'q BTreeMap<String, Value<'a, String>>) {
        let Some(known) = schema::input(name) else { return self.wrong(format!("{name} is no input type")) };
        for (field, value) in given {
            match known.fields.iter().find(|known| known.name == *field) {
                Some(known) => self.value(value, &known.value_type, known.default_value.is_some()),
                None => self.wrong(format!("InputObject '{name}' doesn't accept argument '{field}'")),
            }
        }
        for required in known.fields.iter().filter(|known| matches!(known.value_type, Type::NonNullType(_))) {
            if !given.contains_key(&required.name) {
                self.wrong(format!("Argument '{}' on InputObject '{name}' is required", required.name));
            }
        }
    }
}

pub fn find<'q, 'a>(
    fragments: &'q [FragmentDefinition<'a, String>],
    name: &str,
) -> Option<&'q FragmentDefinition<'a, String>> {
    fragments.iter().find(|fragment| fragment.name == name)
}

/// Whether a variable of one type may stand where another is expected. `sure`: there is a value in any case.
fn may_stand(variable: &Type<'_, String>, wanted: &Type<'static, String>, sure: bool) -> bool {
    match (variable, wanted) {
        (Type::NonNullType(variable), Type::NonNullType(wanted)) => may_stand(variable, wanted, false),
        (variable, Type::NonNullType(wanted)) => sure && may_stand(variable, wanted, false),
        (Type::NonNullType(variable), wanted) => may_stand(variable, wanted, false),
        (Type::ListType(variable), Type::ListType(wanted)) => may_stand(variable, wanted, false),
        (Type::NamedType(variable), Type::NamedType(wanted)) => variable == wanted,
        _ => false,
    }
}

/// Whether a value of the request's JSON is of this type.
fn json_fits(value: &Json, kind: &Type<'_, String>) -> bool {
    match kind {
        Type::NonNullType(inside) => !value.is_null() && json_fits(value, inside),
        _ if value.is_null() => true,
        Type::ListType(inside) => match value {
            Json::Array(items) => items.iter().all(|item| json_fits(item, inside)),
            one => json_fits(one, inside),
        },
        Type::NamedType(name) => match name.as_str() {
            "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "String" | "ID" | "DateTime" | "GitObjectID" => value.is_string(),
            "Boolean" => value.is_boolean(),
            name => match (schema::enumeration(name), schema::input(name)) {
                (Some(known), _) => known.values.iter().any(|word| value == word.name.as_str()),
                (_, Some(known)) => value.as_object().is_some_and(|given| {
                    given.keys().all(|field| known.fields.iter().any(|known| known.name == *field))
                        && known
                            .fields
                            .iter()
                            .all(|field| json_fits(given.get(&field.name).unwrap_or(&Json::Null), &field.value_type))
                }),
                _ => false,
            },
        },
    }
}
