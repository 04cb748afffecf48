//! The Java side: Maven resolves the class path, `javac` compiles the sources, a child process runs a main class.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// How long a line that must come may take; the first start of a JVM on a busy machine is slow.
const SOON: Duration = Duration::from_secs(90);

/// The class path of the sources beside this file, compiled; or why there is none.
pub(crate) fn class_path() -> Result<&'static str, String> {
    static COMPILED: OnceLock<Result<String, String>> = OnceLock::new();
    COMPILED
        .get_or_init(compile)
        .as_deref()
        .map_err(Clone::clone)
}

fn compile() -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (project, target) = (
        root.join("tests/interchange"),
        root.join("target/interchange"),
    );
    fs::create_dir_all(&target).map_err(|e| format!("{}: {e}", target.display()))?;
    let libraries = libraries(&project, &target)?;
    let classes = target.join("classes");
    let mut sources: Vec<PathBuf> = fs::read_dir(project.join("src"))
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(|e| format!("tests/interchange/src: {e}"))?;
    sources.retain(|s| s.extension().is_some_and(|e| e == "java"));
    run(Command::new("javac")
        .args(["-Xlint:all", "-Werror", "-cp", &libraries, "-d"])
        .arg(&classes)
        .args(&sources))?;
    Ok(format!("{}:{libraries}", classes.display()))
}

/// What Maven resolved for this `pom.xml`, the last time if nothing changed since.
fn libraries(project: &Path, target: &Path) -> Result<String, String> {
    let pom = project.join("pom.xml");
    let (cached, described) = (target.join("class-path"), target.join("class-path.pom.xml"));
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let known = read(&cached);
    let complete = !known.is_empty() && known.split(':').all(|jar| Path::new(jar).exists());
    if complete && read(&described) == read(&pom) {
        return Ok(known);
    }
    let output = format!("-Dmdep.outputFile={}", cached.display());
    run(Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath")
        .arg(output))?;
    fs::copy(&pom, &described).map_err(|e| format!("{}: {e}", described.display()))?;
    Ok(read(&cached))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!(
        "{program} failed:\n{}",
        String::from_utf8_lossy(&said)
    ))
}

/// A running Java application that is spoken to in lines. Killed when dropped.
pub(crate) struct JavaApplication {
    child: Child,
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    log: PathBuf,
}

impl JavaApplication {
    /// Runs a main class; its log goes to a file.
    pub(crate) fn start(main: &str, arguments: &[&str], log: PathBuf) -> Result<Self, String> {
        let file = fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let mut child = Command::new("java")
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .args(["-cp", class_path()?, main])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|e| format!("java: {e}"))?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            // Ends with the process.
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(JavaApplication {
            commands: child.stdin.take(),
            child,
            lines,
            log,
        })
    }

    /// Tells it to do something.
    pub(crate) fn tell(&mut self, command: &str) -> Result<(), String> {
        let written = match &mut self.commands {
            Some(input) => writeln!(input, "{command}").and_then(|()| input.flush()),
            None => Ok(()),
        };
        written.map_err(|e| self.failed(&format!("cannot be told `{command}`: {e}")))
    }

    /// Every line up to one that satisfies `last`, that one not included.
    pub(crate) fn lines_until(
        &mut self,
        what: &str,
        last: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, String> {
        let deadline = Instant::now() + SOON;
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if last(&line) => return Ok(before),
                Ok(line) if line == "state ERROR" => {
                    return Err(self.failed(&format!("failed before it was {what}")));
                }
                Ok(line) => before.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failed(&format!("was not {what} within {SOON:?}")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failed(&format!("ended before it was {what}")));
                }
            }
        }
    }

    /// Closes it in order and waits until it has ended.
    pub(crate) fn close(mut self) -> Result<(), String> {
        self.tell("close")?;
        self.lines_until("closed", |line| line == "closed")?;
        drop(self.commands.take());
        self.child.wait().map_err(|e| format!("java: {e}"))?;
        Ok(())
    }

    fn failed(&self, what: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(40)..).unwrap_or(&[]);
        format!("the Java application {what}; its log ends:\n{}", tail.join("\n"))
    }
}

impl Drop for JavaApplication {
    fn drop(&mut self) {
        // It may have ended already; then both fail, and there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
