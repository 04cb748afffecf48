//! The repository's files, without what is built or generated.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository.
pub(crate) struct File {
    /// Its path from the root, with slashes.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(PartialEq, Eq, Clone, Copy)]
pub(crate) enum Kind {
    Rust,
    Markdown,
    Other,
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file, in the order of paths.
pub(crate) fn all() -> Vec<File> {
    let mut files = Vec::new();
    collect(&root(), &root(), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
        let path = entry.expect("a folder's entry can be read").path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if path.is_dir() {
            if name != "target" && name != ".git" {
                collect(root, &path, files);
            }
            continue;
        }
        let kind = match path.extension().and_then(|e| e.to_str()) {
            Some("rs") => Kind::Rust,
            Some("md") => Kind::Markdown,
            Some("toml" | "yml" | "sh" | "snap" | "stderr" | "json" | "txt") => Kind::Other,
            _ if name == "LICENSE" || name == "run" => Kind::Other,
            _ => continue,
        };
        let text = fs::read_to_string(&path).expect("a text file is UTF-8");
        let path = path.strip_prefix(root).expect("it lies below the root");
        let path = path.to_str().expect("paths are UTF-8").replace('\\', "/");
        files.push(File { path, kind, text });
    }
}
