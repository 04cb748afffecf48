//! Resolves class paths through Maven, once for each `pom.xml` and set of properties.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, tail};

/// Where Java finds the classes of a `pom.xml`'s dependencies.
#[derive(Debug, Clone)]
pub struct ClassPath(String);

impl ClassPath {
    /// Those of the brokers: `KAFKA_VERSION`, or the version in this crate's `pom.xml`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] without Java or Maven, [`Error::Maven`] when Maven fails, [`Error::Io`].
    pub fn of_brokers() -> Result<Self, Error> {
        Self::of_version(std::env::var("KAFKA_VERSION").ok().as_deref())
    }

    pub(crate) fn of_version(version: Option<&str>) -> Result<Self, Error> {
        let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("pom.xml");
        let version = version.map(|v| ("kafka.version", v));
        Self::of(&pom, version.as_slice())
    }

    /// Those of another `pom.xml`, with Maven properties set for it. It has to name a version of `maven-dependency-plugin`.
    ///
    /// The answer is kept in the build directory; of several processes one asks Maven and the others wait.
    ///
    /// # Errors
    ///
    /// As [`of_brokers`](Self::of_brokers).
    pub fn of(pom: &Path, properties: &[(&str, &str)]) -> Result<Self, Error> {
        java()?;
        let text = fs::read(pom).map_err(Error::io(format!("{} cannot be read", pom.display())))?;
        let mut hasher = DefaultHasher::new();
        (&text, properties, pom).hash(&mut hasher);
        let dir = build_dir().join("kafka-broker");
        fs::create_dir_all(&dir).map_err(Error::io(format!("{} cannot be made", dir.display())))?;
        let kept = dir.join(format!("{:016x}.classpath", hasher.finish()));
        if let Some(found) = read(&kept) {
            return Ok(found);
        }
        let lock = dir.join("lock");
        let lock = File::create(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(Error::io(format!("{} cannot be locked", lock.display())))?;
        let found = match read(&kept) {
            Some(found) => found,
            None => resolve(pom, properties, &kept)?,
        };
        drop(lock);
        Ok(found)
    }

    /// The same with a directory or an archive in front.
    #[must_use]
    pub fn with(&self, entry: &Path) -> Self {
        ClassPath(format!("{}:{}", entry.display(), self.0))
    }

    /// What `java -cp` takes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was resolved before, unless an archive has gone since.
fn read(kept: &Path) -> Option<ClassPath> {
    let found = fs::read_to_string(kept).ok()?;
    let there = !found.is_empty() && found.split(':').all(|entry| Path::new(entry).exists());
    there.then_some(ClassPath(found))
}

fn resolve(pom: &Path, properties: &[(&str, &str)], kept: &Path) -> Result<ClassPath, Error> {
    let maven = find("mvn").ok_or(Error::Missing { program: "mvn" })?;
    let output = kept.with_extension("new");
    let run = Command::new(maven)
        .args(["-q", "-B", "-f"])
        .arg(pom)
        .args(properties.iter().map(|(k, v)| format!("-D{k}={v}")))
        .arg("dependency:build-classpath")
        .args(["-Dmdep.pathSeparator=:", "-Dmdep.fileSeparator=/"])
        .arg(format!("-Dmdep.outputFile={}", output.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("Maven cannot be run"))?;
    if !run.status.success() {
        return Err(Error::Maven {
            pom: pom.to_owned(),
            output: tail(&String::from_utf8_lossy(&run.stdout)),
        });
    }
    fs::rename(&output, kept).map_err(Error::io(format!("{} cannot be made", kept.display())))?;
    read(kept).ok_or_else(|| Error::Maven {
        pom: pom.to_owned(),
        output: "an archive that it names does not exist".to_owned(),
    })
}

/// Java, by `JAVA_HOME` or on the PATH.
pub(crate) fn java() -> Result<PathBuf, Error> {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    home.filter(|java| java.is_file())
        .or_else(|| find("java"))
        .ok_or(Error::Missing { program: "java" })
}

fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program.as_ref()))
        .find(|file| file.is_file())
}

/// Cargo's `target`: the nearest directory above this program that Cargo has marked.
fn build_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
        .map_or_else(std::env::temp_dir, Path::to_owned)
}
