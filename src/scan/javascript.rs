//! npm, Yarn, pnpm and Bun.

use serde_json::Value;

use super::{
    commands::by_name,
    draft::{Draft, Source, keys, string},
    project::{File, Project, join, outermost, upward, within},
};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("react", "React"),
    ("react-native", "React Native"),
    ("expo", "Expo"),
    ("next", "Next.js"),
    ("@remix-run/react", "Remix"),
    ("gatsby", "Gatsby"),
    ("vue", "Vue"),
    ("nuxt", "Nuxt"),
    ("@angular/core", "Angular"),
    ("svelte", "Svelte"),
    ("@sveltejs/kit", "SvelteKit"),
    ("solid-js", "Solid"),
    ("preact", "Preact"),
    ("astro", "Astro"),
    ("electron", "Electron"),
    ("express", "Express"),
    ("koa", "Koa"),
    ("hono", "Hono"),
    ("@nestjs/core", "NestJS"),
    ("fastify", "Fastify"),
    ("@hapi/hapi", "hapi"),
    ("@apollo/server", "Apollo"),
    ("@trpc/server", "tRPC"),
    ("prisma", "Prisma"),
    ("@prisma/client", "Prisma"),
    ("typeorm", "TypeORM"),
    ("drizzle-orm", "Drizzle"),
    ("sequelize", "Sequelize"),
    ("mongoose", "Mongoose"),
    ("@reduxjs/toolkit", "Redux"),
    ("redux", "Redux"),
    ("tailwindcss", "Tailwind CSS"),
    ("vite", "Vite"),
    ("webpack", "webpack"),
    ("turbo", "Turborepo"),
    ("nx", "Nx"),
    ("jest", "Jest"),
    ("vitest", "Vitest"),
    ("mocha", "Mocha"),
    ("@playwright/test", "Playwright"),
    ("cypress", "Cypress"),
    ("storybook", "Storybook"),
    ("three", "three.js"),
    ("d3", "D3"),
    ("jquery", "jQuery"),
];

const LOCKS: &[(&str, &str)] = &[
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
];

/// Where programs start when `package.json` does not say.
const STARTS: &[&str] = &[
    "src/index.ts",
    "src/index.tsx",
    "src/index.js",
    "src/main.ts",
    "src/main.tsx",
    "src/main.js",
    "src/main.jsx",
    "src/server.ts",
    "src/server.js",
    "index.js",
    "server.js",
    "app.js",
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let manifests = project.named("package.json");
    let outer: Vec<_> = outermost(&manifests).iter().map(|file| file.folder).collect();
    for file in &manifests {
        let Some(manifest) = draft.json(file).filter(Value::is_object) else { continue };
        let runner = runner(project, file, &manifest);
        if let Some(runner) = runner {
            draft.managers.add(runner);
        } else if outer.contains(&file.folder) {
            draft.managers.add("npm");
        }
        for table in ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"] {
            draft.depends_on(FRAMEWORKS, keys(&manifest, &[table]));
        }
        draft.package(file.folder, string(&manifest, &["name"]), "npm");
        entries(project, draft, file, &manifest);
        if let Some(version) = string(&manifest, &["engines", "node"]) {
            draft.conventions.add(format!("Node.js {version}"));
        }
        if string(&manifest, &["type"]) == Some("module") {
            draft.conventions.add("JavaScript as ES modules");
        }
        if outer.contains(&file.folder) {
            scripts(draft, file, &manifest, runner.unwrap_or("npm"));
        }
    }
}

/// The package manager: what the manifest states, or whose lock file is nearest.
fn runner(project: &Project<'_>, file: &File<'_>, manifest: &Value) -> Option<&'static str> {
    let stated = string(manifest, &["packageManager"]).and_then(|stated| {
        let name = stated.split('@').next()?;
        ["npm", "pnpm", "yarn", "bun"].into_iter().find(|known| *known == name)
    });
    let locked = || {
        upward(file.folder)
            .find_map(|folder| LOCKS.iter().find(|(lock, _)| project.has_in(folder, lock)))
            .map(|(_, name)| *name)
    };
    stated.or_else(locked)
}

fn scripts(draft: &mut Draft, file: &File<'_>, manifest: &Value, runner: &str) {
    let scripts = manifest.get("scripts").and_then(Value::as_object);
    for (name, body) in scripts.into_iter().flatten().take(100) {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_./".contains(&byte));
        let Some(purpose) = by_name(name).filter(|_| plain) else { continue };
        // What `npm init` writes.
        if body.as_str().is_none_or(|body| body.contains("no test specified")) {
            continue;
        }
        let command = match (runner, name.as_str()) {
            ("npm", "test") => "npm test".to_owned(),
            ("npm" | "bun", name) => format!("{runner} run {name}"),
            (runner, name) => format!("{runner} {name}"),
        };
        draft.command_for(purpose, Source::Named, &within(file.folder, &command));
    }
}

fn entries(project: &Project<'_>, draft: &mut Draft, file: &File<'_>, manifest: &Value) {
    let mut stated = false;
    if let Some(main) = string(manifest, &["main"]).or(string(manifest, &["module"])) {
        draft.entries.add(join(file.folder, main));
        stated = true;
    }
    match manifest.get("bin") {
        Some(Value::String(path)) => {
            let name = string(manifest, &["name"]).unwrap_or_default();
            draft.entries.add(format!("{}: {}", join(file.folder, path), name.rsplit('/').next().unwrap_or(name)));
            stated = true;
        }
        Some(Value::Object(bins)) => {
            for (name, path) in bins.iter().take(20) {
                if let Some(path) = path.as_str() {
                    draft.entries.add(format!("{}: {name}", join(file.folder, path)));
                    stated = true;
                }
            }
        }
        _ => {}
    }
    if !stated && let Some(start) = STARTS.iter().find(|start| project.has_in(file.folder, start)) {
        draft.entries.add(join(file.folder, start));
    }
}
