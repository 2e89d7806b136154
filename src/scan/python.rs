//! pip, Poetry, uv, PDM, Pipenv and conda.

use super::{
    draft::{Draft, Source, at, names},
    project::{File, Project, file_name, folder, outermost, upward, within},
};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("django", "Django"),
    ("djangorestframework", "Django REST framework"),
    ("flask", "Flask"),
    ("fastapi", "FastAPI"),
    ("starlette", "Starlette"),
    ("aiohttp", "aiohttp"),
    ("tornado", "Tornado"),
    ("sanic", "Sanic"),
    ("litestar", "Litestar"),
    ("sqlalchemy", "SQLAlchemy"),
    ("alembic", "Alembic"),
    ("pydantic", "Pydantic"),
    ("celery", "Celery"),
    ("pytest", "pytest"),
    ("hypothesis", "Hypothesis"),
    ("torch", "PyTorch"),
    ("tensorflow", "TensorFlow"),
    ("jax", "JAX"),
    ("transformers", "Transformers"),
    ("langchain*", "LangChain"),
    ("numpy", "NumPy"),
    ("pandas", "pandas"),
    ("polars", "Polars"),
    ("scikit-learn", "scikit-learn"),
    ("scipy", "SciPy"),
    ("apache-airflow", "Airflow"),
    ("dagster", "Dagster"),
    ("scrapy", "Scrapy"),
    ("streamlit", "Streamlit"),
    ("click", "Click"),
    ("typer", "Typer"),
    ("sphinx", "Sphinx"),
];

const LOCKS: &[(&str, &str)] = &[
    ("poetry.lock", "poetry"),
    ("uv.lock", "uv"),
    ("pdm.lock", "pdm"),
    ("Pipfile.lock", "pipenv"),
    ("Pipfile", "pipenv"),
];

/// What runs without being installed, by how the tool is called.
const TOOLS: &[(&str, &str)] = &[
    ("pytest", "pytest"),
    ("ruff", "ruff check"),
    ("black", "black --check ."),
    ("mypy", "mypy ."),
    ("flake8", "flake8"),
    ("pylint", "pylint"),
    ("pyright", "pyright"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let mut manifests = project.files(is_manifest);
    manifests.retain(|file| file_name(file.path) != "setup.cfg" || file.text.contains("[metadata]"));
    let mut found: Vec<(&str, Vec<String>)> = Vec::new();
    for file in &manifests {
        let dependencies: Vec<String> = match file_name(file.path) {
            "pyproject.toml" => pyproject(draft, file),
            "Pipfile" => pipfile(draft, file),
            "setup.cfg" => requirements(file.text),
            "setup.py" => quoted(file.text),
            "environment.yml" | "environment.yaml" => conda(draft, file),
            _ => requirements(file.text),
        };
        draft.depends_on(FRAMEWORKS, dependencies.iter().map(String::as_str));
        found.push((file.folder, dependencies));
        let name = file_name(file.path);
        if matches!(name, "setup.py" | "setup.cfg" | "Pipfile") {
            draft.package(file.folder, None, "python");
        }
    }
    for file in &manifests {
        managers(project, draft, file);
    }
    for path in project.paths().filter(|path| path.ends_with(".py")) {
        let (folder, name) = (folder(path), file_name(path));
        let near = folder.is_empty() || matches!(folder, "src" | "app" | "backend" | "server" | "api");
        let starts = match name {
            "manage.py" => true,
            "main.py" | "app.py" | "wsgi.py" | "asgi.py" => near,
            "__main__.py" => folder.matches('/').count() <= 2,
            _ => false,
        };
        if starts {
            draft.entries.add(path);
        }
    }
    for file in outermost(&manifests) {
        let run = prefix(project, file.folder);
        let below = |folder: &str| folder == file.folder;
        let dependencies: Vec<&String> =
            found.iter().filter(|(folder, _)| below(folder)).flat_map(|(_, all)| all).collect();
        for (tool, command) in TOOLS {
            if dependencies.iter().any(|dependency| dependency == tool) {
                draft.command(Source::Usual, &within(file.folder, &format!("{run}{command}")));
            }
        }
        let mut usual = vec![("tox.ini", "tox"), ("noxfile.py", "nox")];
        if !dependencies.iter().any(|dependency| *dependency == "pytest") {
            usual.push(("manage.py", "python manage.py test"));
        }
        for (_, command) in usual.into_iter().filter(|(name, _)| project.has_in(file.folder, name)) {
            draft.command(Source::Usual, &within(file.folder, &format!("{run}{command}")));
        }
    }
}

fn is_manifest(name: &str) -> bool {
    matches!(name, "pyproject.toml" | "setup.py" | "setup.cfg" | "Pipfile" | "environment.yml" | "environment.yaml")
        || name.starts_with("requirements") && name.ends_with(".txt")
}

fn managers(project: &Project<'_>, draft: &mut Draft, file: &File<'_>) {
    let name = file_name(file.path);
    if name.starts_with("environment.") {
        return draft.managers.add("conda");
    }
    let tool = |tool: &str| name == "pyproject.toml" && file.text.contains(&format!("[tool.{tool}"));
    let stated = ["poetry", "uv", "pdm", "hatch"].into_iter().find(|name| tool(name));
    match locked(project, file.folder).or(stated) {
        Some(manager) => draft.managers.add(manager),
        None => draft.managers.add("pip"),
    }
}

fn locked(project: &Project<'_>, within: &str) -> Option<&'static str> {
    upward(within).find_map(|folder| LOCKS.iter().find(|(lock, _)| project.has_in(folder, lock))).map(|(_, name)| *name)
}

/// How a tool of the project's environment is started.
fn prefix(project: &Project<'_>, folder: &str) -> String {
    locked(project, folder).map(|manager| format!("{manager} run ")).unwrap_or_default()
}

fn pyproject(draft: &mut Draft, file: &File<'_>) -> Vec<String> {
    let Some(table) = draft.toml(file) else { return Vec::new() };
    let mut found = Vec::new();
    let mut listed = |value: Option<&toml::Value>| {
        let words = value.and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str);
        found.extend(words.filter_map(dependency));
    };
    listed(at(&table, &["project", "dependencies"]));
    for path in
        [&["project", "optional-dependencies"][..], &["dependency-groups"], &["tool", "pdm", "dev-dependencies"]]
    {
        for group in names(&table, path) {
            listed(at(&table, &[path, &[group]].concat()));
        }
    }
    listed(at(&table, &["tool", "uv", "dev-dependencies"]));
    found.extend(names(&table, &["tool", "poetry", "dependencies"]).filter_map(dependency));
    found.extend(names(&table, &["tool", "poetry", "dev-dependencies"]).filter_map(dependency));
    for group in names(&table, &["tool", "poetry", "group"]) {
        found.extend(names(&table, &["tool", "poetry", "group", group, "dependencies"]).filter_map(dependency));
    }
    let text = |path: &[&str]| at(&table, path).and_then(toml::Value::as_str);
    let name = text(&["project", "name"]).or(text(&["tool", "poetry", "name"]));
    if name.is_some() || table.contains_key("project") {
        draft.package(file.folder, name, "python");
    }
    for path in [&["project", "scripts"][..], &["tool", "poetry", "scripts"]] {
        for script in names(&table, path).take(20) {
            draft.entries.add(format!("{}: {script}", file.path));
        }
    }
    let python = text(&["project", "requires-python"]).or(text(&["tool", "poetry", "dependencies", "python"]));
    if let Some(version) = python {
        draft.conventions.add(format!("Python {version}"));
    }
    found
}

fn pipfile(draft: &mut Draft, file: &File<'_>) -> Vec<String> {
    let Some(table) = draft.toml(file) else { return Vec::new() };
    names(&table, &["packages"]).chain(names(&table, &["dev-packages"])).filter_map(dependency).collect()
}

fn conda(draft: &mut Draft, file: &File<'_>) -> Vec<String> {
    let Some(read) = draft.yaml(file) else { return Vec::new() };
    let listed = read.get("dependencies").and_then(serde_json::Value::as_array);
    let words =
        listed.into_iter().flatten().flat_map(|entry| match entry.get("pip").and_then(serde_json::Value::as_array) {
            Some(pip) => pip.iter().collect(),
            None => vec![entry],
        });
    words.filter_map(serde_json::Value::as_str).filter_map(dependency).collect()
}

/// The packages of a requirements file, one a line.
fn requirements(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '-', '[']));
    lines.filter_map(dependency).take(2_000).collect()
}

/// What stands in quotes and may be a package: `setup.py` is a program, and nobody runs it here.
fn quoted(text: &str) -> Vec<String> {
    let Some((_, required)) = text.split_once("install_requires") else { return Vec::new() };
    let required = required.split(']').next().unwrap_or_default();
    required.split(['"', '\'']).skip(1).step_by(2).filter_map(dependency).take(500).collect()
}

/// The package of a requirement, as PyPI writes it.
fn dependency(requirement: &str) -> Option<String> {
    let name = requirement.trim().split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).next()?;
    (1..=100).contains(&name.len()).then(|| name.to_ascii_lowercase().replace(['_', '.'], "-"))
}
