//! Folders that hold what others wrote or what a build made.

/// Their names, at any depth.
const FOREIGN: &[&str] = &["node_modules", ".git", "dist", "build", "__pycache__", ".next", "vendor"];

/// Whether the file at `path` is below `node_modules`, `.git`, `dist`, `build`, `__pycache__`, `.next` or `vendor`.
pub fn is_foreign(path: &str) -> bool {
    above(path).any(|folder| FOREIGN.contains(&folder))
}

/// The names of the folders that the file at `path` is in, outermost first.
pub fn above(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit_once('/').into_iter().flat_map(|(folders, _)| folders.split('/'))
}
