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

    /// Those of a directory with a `pom.xml`, and in front of them the classes of the Java sources in its `src`, which are compiled
    /// where they have changed.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of); [`Error::Missing`] without `javac`, [`Error::Javac`] when it refuses a source or warns.
    pub fn of_project(project: &Path) -> Result<Self, Error> {
        let libraries = Self::of(&project.join("pom.xml"), &[])?;
        let directory = project.join("src");
        let unreadable = |what: &Path| Error::io(format!("{} cannot be read", what.display()));
        let mut sources: Vec<PathBuf> = fs::read_dir(&directory)
            .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
            .map_err(unreadable(&directory))?;
        sources.retain(|s| s.extension().is_some_and(|e| e == "java"));
        sources.sort();
        let mut hasher = DefaultHasher::new();
        libraries.as_str().hash(&mut hasher);
        for source in &sources {
            fs::read(source)
                .map_err(unreadable(source))?
                .hash(&mut hasher);
        }
        let kept = build_dir().join("kafka-broker");
        let classes = kept.join(format!("{:016x}.classes", hasher.finish()));
        if !classes.is_dir() {
            // Under its own name only when it is complete: other processes look for it too.
            let new = classes.with_extension(std::process::id().to_string());
            compile(&directory, &sources, &libraries, &new)?;
            let made = fs::rename(&new, &classes);
            if !classes.is_dir() {
                made.map_err(Error::io(format!("{} cannot be made", classes.display())))?;
            }
        }
        Ok(libraries.with(&classes))
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

fn compile(
    directory: &Path,
    sources: &[PathBuf],
    libraries: &ClassPath,
    into: &Path,
) -> Result<(), Error> {
    let javac = find("javac").ok_or(Error::Missing { program: "javac" })?;
    let run = Command::new(javac)
        .args(["-Xlint:all", "-Werror", "-cp", libraries.as_str(), "-d"])
        .arg(into)
        .args(sources)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("javac cannot be run"))?;
    if run.status.success() {
        return Ok(());
    }
    let said = [run.stdout, run.stderr].concat();
    Err(Error::Javac {
        sources: directory.to_owned(),
        output: tail(&String::from_utf8_lossy(&said)),
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
