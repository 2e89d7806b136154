// Two things hold, or this fails and says why: every question in src/github/queries is valid against GitHub's public
// GraphQL schema, and the excerpt of that schema which the sandbox serves says nothing that GitHub's does not.
//
//   npm ci --prefix tests/graphql && node tests/graphql/check.mjs

import { readdirSync, readFileSync } from "node:fs";
import { schema } from "@octokit/graphql-schema";
import { buildSchema, isEnumType, isInterfaceType, isObjectType, isScalarType, parse, validate } from "graphql";

const root = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, root), "utf8");
// GitHub's own file defines two fields twice; that is not ours to mend.
const github = buildSchema(schema.idl, { assumeValidSDL: true });
let wrong = 0;

function report(name, problems) {
  wrong += problems.length;
  console.log(`${problems.length === 0 ? "ok   " : "wrong"} ${name}`);
  for (const problem of problems) console.log(`      ${problem}`);
}

function ofQuestion(text) {
  try {
    const place = ({ line, column }) => `${line}:${column} `;
    return validate(github, parse(text)).map((error) => (error.locations ?? []).map(place).join("") + error.message);
  } catch (error) {
    return [error.message];
  }
}

// What a field or argument is, and what it is if nothing is given.
const sign = ({ type, defaultValue }) => `${type}${defaultValue === undefined ? "" : ` = ${JSON.stringify(defaultValue)}`}`;

function compare(where, ours, theirs) {
  if (theirs === undefined) return [`${where}: GitHub has no such thing`];
  if (sign(ours) !== sign(theirs)) return [`${where}: ${sign(ours)}, but GitHub says ${sign(theirs)}`];
  const known = new Map((theirs.args ?? []).map((argument) => [argument.name, argument]));
  return (ours.args ?? []).flatMap((argument) => compare(`${where}(${argument.name})`, argument, known.get(argument.name)));
}

function ofType(ours) {
  const theirs = github.getType(ours.name);
  if (theirs?.constructor !== ours.constructor) return [`${ours.name}: GitHub has no such type`];
  if (isScalarType(ours)) return [];
  if (isEnumType(ours)) {
    return ours.getValues().filter(({ name }) => !theirs.getValue(name)).map(({ name }) => `${ours.name}.${name}: unknown`);
  }
  const interfaces = new Set(isObjectType(theirs) || isInterfaceType(theirs) ? theirs.getInterfaces().map(String) : []);
  const strange = isObjectType(ours) ? ours.getInterfaces().map(String).filter((name) => !interfaces.has(name)) : [];
  const fields = Object.values(ours.getFields());
  return [
    ...strange.map((name) => `${ours.name}: is no ${name}`),
    ...fields.flatMap((field) => compare(`${ours.name}.${field.name}`, field, theirs.getFields()[field.name])),
  ];
}

const questions = readdirSync(new URL("src/github/queries/", root)).filter((name) => name.endsWith(".graphql")).sort();
for (const name of questions) report(`src/github/queries/${name}`, ofQuestion(read(`src/github/queries/${name}`)));
if (questions.length === 0) report("src/github/queries", ["there are no questions"]);

const excerpt = buildSchema(read("src/sandbox/graphql/schema.graphql"));
const types = Object.values(excerpt.getTypeMap()).filter(({ name }) => !name.startsWith("__"));
report("src/sandbox/graphql/schema.graphql", types.flatMap(ofType));

process.exit(wrong > 0 ? 1 : 0);
