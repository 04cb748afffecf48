//! The Java sources beside this file, compiled on the class path that Maven resolves.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use kafka_broker::ClassPath;

/// The class path of the compiled sources; or why there is none.
pub(crate) fn class_path() -> Result<&'static ClassPath, String> {
    static COMPILED: OnceLock<Result<ClassPath, String>> = OnceLock::new();
    COMPILED.get_or_init(compile).as_ref().map_err(Clone::clone)
}

fn compile() -> Result<ClassPath, String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange");
    let libraries = ClassPath::of(&project.join("pom.xml"), &[]).map_err(|e| e.to_string())?;
    let mut sources: Vec<PathBuf> = fs::read_dir(project.join("src"))
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(|e| format!("tests/interchange/src: {e}"))?;
    sources.retain(|s| s.extension().is_some_and(|e| e == "java"));
    sources.sort();
    let mut hasher = DefaultHasher::new();
    libraries.as_str().hash(&mut hasher);
    for source in &sources {
        fs::read(source)
            .map_err(|e| format!("{}: {e}", source.display()))?
            .hash(&mut hasher);
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let classes = target.join(format!("interchange-{:016x}", hasher.finish()));
    if !classes.is_dir() {
        // Under its own name only when it is complete: other processes look for it too.
        let new = classes.with_extension(format!("{}", std::process::id()));
        let output = Command::new("javac")
            .args(["-Xlint:all", "-Werror", "-cp", libraries.as_str(), "-d"])
            .arg(&new)
            .args(&sources)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("javac, of a JDK, cannot be run: {e}"))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(format!("javac: {}", String::from_utf8_lossy(&said)));
        }
        if fs::rename(&new, &classes).is_err() && !classes.is_dir() {
            return Err(format!("{} cannot be made", classes.display()));
        }
    }
    Ok(libraries.with(&classes))
}
