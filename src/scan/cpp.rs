//! CMake, Meson, Conan and vcpkg: C and C++.

use serde_json::Value;

use super::{
    draft::{Draft, Source, string},
    project::{File, Project, outermost, within},
};

/// By the name without regard to case.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("qt*", "Qt"),
    ("boost*", "Boost"),
    ("gtest*", "GoogleTest"),
    ("googletest", "GoogleTest"),
    ("benchmark", "Google Benchmark"),
    ("catch2*", "Catch2"),
    ("doctest", "doctest"),
    ("cppunit", "CppUnit"),
    ("cmocka", "CMocka"),
    ("fmt", "fmt"),
    ("spdlog", "spdlog"),
    ("nlohmann*", "nlohmann/json"),
    ("eigen*", "Eigen"),
    ("opencv*", "OpenCV"),
    ("openssl", "OpenSSL"),
    ("curl", "curl"),
    ("libcurl", "curl"),
    ("protobuf", "Protocol Buffers"),
    ("grpc", "gRPC"),
    ("sdl2", "SDL"),
    ("sdl3", "SDL"),
    ("glfw*", "GLFW"),
    ("vulkan*", "Vulkan"),
    ("cuda*", "CUDA"),
    ("absl", "Abseil"),
    ("abseil", "Abseil"),
    ("asio", "Asio"),
    ("sqlite3", "SQLite"),
    ("wxwidgets", "wxWidgets"),
    ("gtk*", "GTK"),
    ("pybind11", "pybind11"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let lists = project.named("CMakeLists.txt");
    for file in &lists {
        cmake(draft, file);
    }
    for file in outermost(&lists) {
        for command in ["cmake -B build", "cmake --build build"] {
            draft.command(Source::Usual, &within(file.folder, command));
        }
        if lists.iter().any(|file| file.text.contains("enable_testing") || file.text.contains("include(CTest)")) {
            draft.command(Source::Usual, &within(file.folder, "ctest --test-dir build"));
        }
    }
    let builds = project.named("meson.build");
    for file in &builds {
        meson(draft, file);
    }
    for file in outermost(&builds) {
        for command in ["meson setup build", "meson compile -C build", "meson test -C build"] {
            draft.command(Source::Usual, &within(file.folder, command));
        }
    }
    for file in project.named("conanfile.txt") {
        draft.managers.add("conan");
        let requirements = file.text.lines().map(str::trim).filter(|line| line.contains('/') && !line.starts_with('#'));
        depends_on(draft, requirements.filter_map(|line| line.split('/').next()).take(500));
    }
    if project.has_anywhere("conanfile.py") {
        draft.managers.add("conan");
    }
    for file in project.named("vcpkg.json") {
        draft.managers.add("vcpkg");
        let Some(manifest) = draft.json(&file) else { continue };
        let listed = manifest.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        depends_on(draft, listed.filter_map(|entry| entry.as_str().or(string(entry, &["name"]))).take(500));
    }
}

fn depends_on<'n>(draft: &mut Draft, names: impl Iterator<Item = &'n str>) {
    for name in names {
        draft.depends_on(FRAMEWORKS, [name.to_ascii_lowercase().as_str()]);
    }
}

fn cmake(draft: &mut Draft, file: &File<'_>) {
    for (command, arguments) in calls(file.text, '#') {
        let words: Vec<_> = arguments.split_whitespace().map(|word| word.trim_matches('"')).take(50).collect();
        match (command.to_ascii_lowercase().as_str(), words.as_slice()) {
            ("project", [name, ..]) => {
                draft.package(file.folder, Some(name).copied().filter(|name| is_plain(name)), "cmake")
            }
            ("find_package" | "fetchcontent_declare", [name, ..]) => depends_on(draft, std::iter::once(*name)),
            ("set", [variable @ ("CMAKE_CXX_STANDARD" | "CMAKE_C_STANDARD"), version, ..]) if is_plain(version) => {
                let language = if variable.contains("CXX") { "C++" } else { "C" };
                draft.conventions.add(format!("{language}{version}"));
            }
            ("target_compile_features", words) => {
                for word in words.iter().filter_map(|word| word.strip_prefix("cxx_std_")) {
                    draft.conventions.add(format!("C++{word}"));
                }
            }
            ("add_executable", [name, ..]) if is_plain(name) => draft.entries.add(format!("{}: {name}", file.path)),
            _ => {}
        }
    }
}

fn meson(draft: &mut Draft, file: &File<'_>) {
    for (function, arguments) in calls(file.text, '#') {
        let first = arguments.split('\'').nth(1);
        match (function, first) {
            ("project", name) => {
                draft.package(file.folder, name, "meson");
                let standard = arguments
                    .split('\'')
                    .find_map(|word| word.strip_prefix("cpp_std=").or(word.strip_prefix("c_std=")));
                if let Some(standard) = standard {
                    draft.conventions.add(standard.replace("c++", "C++"));
                }
            }
            ("dependency" | "subproject", Some(name)) => depends_on(draft, std::iter::once(name)),
            ("executable", Some(name)) => draft.entries.add(format!("{}: {name}", file.path)),
            _ => {}
        }
    }
}

/// Calls of functions, `name(arguments)`, without comments and without looking into nested parentheses.
fn calls(text: &str, comment: char) -> Vec<(&str, String)> {
    let mut calls = Vec::new();
    let mut lines = text.lines().take(10_000);
    while let Some(line) = lines.next() {
        let line = line.split(comment).next().unwrap_or_default();
        let Some((head, mut rest)) = line.split_once('(') else { continue };
        let name = head.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).find(|word| !word.is_empty());
        let mut arguments = String::new();
        // A call that goes on for more than a page is a list of files.
        for _ in 0..40 {
            match rest.split_once(')') {
                Some((last, _)) => {
                    arguments.push_str(last);
                    break;
                }
                None => {
                    arguments.push_str(rest);
                    arguments.push(' ');
                    let Some(next) = lines.next() else { break };
                    rest = next.split(comment).next().unwrap_or_default();
                }
            }
        }
        calls.extend(name.map(|name| (name, arguments)));
    }
    calls
}

fn is_plain(word: &str) -> bool {
    !word.is_empty() && !word.contains(['$', '{'])
}
