//! Runs the cases of a test file against one broker, or says by name which it could not run and why.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::class_path::ClassPath;
use crate::cluster::{Cluster, Options};
use crate::error::Error;

/// A test that needs a broker. It fails by a panic.
pub struct Case {
    name: String,
    run: Run,
}

enum Run {
    Shared(Box<dyn FnOnce(&Cluster) + Send>),
    Own(Box<dyn FnOnce() + Send>),
}

impl Case {
    /// One that shares a broker with the others of the file: its topics and groups have [`unique`](crate::unique) names.
    pub fn new(name: impl Into<String>, run: impl FnOnce(&Cluster) + Send + 'static) -> Self {
        Case {
            name: name.into(),
            run: Run::Shared(Box::new(run)),
        }
    }

    /// One that starts brokers of its own, as it kills them or sets them otherwise. Of these one runs at a time.
    pub fn own(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Self {
        Case {
            name: name.into(),
            run: Run::Own(Box::new(run)),
        }
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish()
    }
}

/// The `main` of a test file without harness: its cases against one broker.
///
/// Without Java each case is reported as ignored, with the reason; with `CI=true` it fails.
pub fn main(cases: Vec<Case>) -> ExitCode {
    main_with(Options::default(), cases)
}

/// The same with another kind of cluster.
pub fn main_with(options: Options, cases: Vec<Case>) -> ExitCode {
    let shared = Arc::new(Shared {
        options,
        cluster: OnceLock::new(),
        own: Mutex::new(()),
    });
    let trials = cases.into_iter().map(|case| {
        let shared = Arc::clone(&shared);
        Trial::ignorable_test(case.name, move || shared.run(case.run))
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    if let Some(Ok(cluster)) = shared.cluster.get() {
        cluster.end();
    }
    conclusion.exit_code()
}

/// Ends the case that calls it, which is reported as ignored for this reason: what it needs is not there.
///
/// # Panics
///
/// Always, in a way that [`main`] knows.
pub fn ignore(reason: &str) -> ! {
    resume_unwind(Box::new(Ignored(reason.to_owned())))
}

struct Ignored(String);

struct Shared {
    options: Options,
    cluster: OnceLock<Result<Cluster, Error>>,
    own: Mutex<()>,
}

impl Shared {
    fn run(&self, run: Run) -> Result<Completion, Failed> {
        match run {
            Run::Shared(run) => match self.cluster.get_or_init(|| self.options.clone().shared()) {
                Ok(cluster) => unless_ignored(|| run(cluster)),
                Err(error) => without(error),
            },
            Run::Own(run) => {
                if let Err(error) = ClassPath::of_brokers() {
                    return without(&error);
                }
                let _one_at_a_time = self.own.lock().unwrap_or_else(PoisonError::into_inner);
                unless_ignored(run)
            }
        }
    }
}

fn unless_ignored(run: impl FnOnce()) -> Result<Completion, Failed> {
    // A case that panics is not looked at again.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(()) => Ok(Completion::Completed),
        Err(panic) => match panic.downcast::<Ignored>() {
            Ok(ignored) => Ok(Completion::ignored_with(ignored.0)),
            Err(panic) => resume_unwind(panic),
        },
    }
}

fn without(error: &Error) -> Result<Completion, Failed> {
    let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
    if error.is_missing() && !must {
        Ok(Completion::ignored_with(error))
    } else {
        Err(Failed::from(format!("no broker: {error}")))
    }
}
