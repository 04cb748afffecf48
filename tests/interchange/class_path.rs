//! The Java sources beside this file, compiled on the class path that Maven resolves.

use std::path::Path;
use std::sync::OnceLock;

use kafka_broker::ClassPath;

/// The class path of the compiled sources; or why there is none.
pub(crate) fn class_path() -> Result<&'static ClassPath, String> {
    static COMPILED: OnceLock<Result<ClassPath, String>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange");
        ClassPath::of_project(&project).map_err(|e| e.to_string())
    });
    compiled.as_ref().map_err(Clone::clone)
}
