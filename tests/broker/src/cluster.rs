//! A broker or a cluster of three, to be killed, stopped, paused and started again.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::class_path::ClassPath;
use crate::error::{Error, tail};
use crate::markers::MarkerProxy;
use crate::process::{Process, Program, temp_dir};
use crate::{properties, wire};

/// A busy machine may be slow; a broker that starts at all does so in about three seconds where nothing else runs.
const START: Duration = Duration::from_secs(300);
/// A broker that is asked to stop hands its partitions over first.
const STOP: Duration = Duration::from_secs(60);
/// Other tests look for ports at the same time.
const ATTEMPTS: usize = 3;
const HEAP: &str = "320m";
/// Below the range from which systems take ports for outgoing connections: a client that looks for a dead broker could
/// otherwise be given its port, and connect to itself.
const PORTS: std::ops::Range<u16> = 12_000..32_000;
/// As good as any: the directory decides which cluster a broker belongs to.
const CLUSTER_ID: &str = "a3N0cmVhbXMta2Fma2EtdA";
const LOG4J: &str = "\
status = error
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1}: %m%n
";

/// What kind of cluster to start.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) brokers: usize,
    pub(crate) host: String,
    pub(crate) users: Vec<(String, String)>,
    pub(crate) properties: Vec<(String, String)>,
    encrypted: bool,
    slow_markers: bool,
    version: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options::brokers(1)
    }
}

impl Options {
    /// So many brokers, each of which is a controller too. Of three any one may be killed: topics have three replicas
    /// then, of which two must be in sync.
    pub fn brokers(brokers: usize) -> Self {
        Options {
            brokers: brokers.max(1),
            host: "127.0.0.1".to_owned(),
            users: Vec::new(),
            properties: Vec::new(),
            encrypted: false,
            slow_markers: false,
            version: std::env::var("KAFKA_VERSION").ok(),
        }
    }

    /// The address to listen at, instead of `127.0.0.1`.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// One more listener, by SASL/PLAIN without encryption unless it is [`encrypted`](Self::encrypted), and a user of it. See
    /// [`Cluster::sasl_bootstrap`].
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Encrypts the listener for users by TLS, with certificates of an authority of its own: [`Cluster::authority`].
    #[must_use]
    pub fn encrypted(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// A setting of the brokers; it overrides this crate's.
    #[must_use]
    pub fn property(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Lets the brokers speak to each other by way of this process, so that the markers of transactions can be made to come
    /// late: [`Cluster::delay_markers`].
    #[must_use]
    pub fn slow_markers(mut self) -> Self {
        self.slow_markers = true;
        self
    }

    /// Starts it, whatever `KAFKA_BOOTSTRAP` says, and waits until all brokers see each other.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] without Java; else whatever kept a broker from starting, with the end of its log.
    pub fn start(self) -> Result<Cluster, Error> {
        let class_path = ClassPath::of_version(self.version.as_deref())?;
        let mut attempt = 1;
        loop {
            match Own::start(&self, &class_path) {
                Err(Error::Ended { log, .. })
                    if attempt < ATTEMPTS && log.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                started => return started.map(|own| Cluster(Kind::Own(own))),
            }
        }
    }

    /// The cluster of `KAFKA_BOOTSTRAP`, or else one of its own.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn shared(self) -> Result<Cluster, Error> {
        match std::env::var("KAFKA_BOOTSTRAP") {
            Ok(bootstrap) if !bootstrap.is_empty() => Ok(Cluster(Kind::Other { bootstrap })),
            // Nobody kills it: it may stand still for longer than one that the others are to miss soon.
            _ => self.property("broker.session.timeout.ms", "60000").start(),
        }
    }
}

/// A running cluster. Brokers are counted from 0. It is killed, and its directories deleted, when this is dropped or
/// when the process ends in whatever way.
#[derive(Debug)]
pub struct Cluster(Kind);

#[derive(Debug)]
enum Kind {
    Own(Own),
    Other { bootstrap: String },
}

#[derive(Debug)]
struct Own {
    brokers: Vec<Broker>,
    class_path: ClassPath,
    certificates: Option<Certificates>,
    dir: TempDir,
}

#[derive(Debug)]
struct Broker {
    dir: PathBuf,
    log: PathBuf,
    client: String,
    sasl: Option<String>,
    markers: Option<MarkerProxy>,
    process: Mutex<Option<Process>>,
}

#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    pub(crate) controller: u16,
    pub(crate) sasl: u16,
    pub(crate) brokers: u16,
    /// Where other brokers are to connect to instead of `brokers`.
    pub(crate) proxy: Option<u16>,
}

/// What a user may do. Each includes seeing that the thing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Right {
    /// Read topics.
    ReadTopics,
    /// Write to topics.
    WriteTopics,
    /// Create topics.
    CreateTopics,
    /// See topics.
    DescribeTopics,
    /// Join groups.
    ReadGroups,
    /// Write in transactions.
    WriteTransactions,
}

impl Right {
    /// Kafka's numbers of the type of resource and of the operation.
    fn codes(self) -> (u8, u8) {
        const TOPIC: u8 = 2;
        const GROUP: u8 = 3;
        const TRANSACTIONAL_ID: u8 = 5;
        match self {
            Right::ReadTopics => (TOPIC, 3),
            Right::WriteTopics => (TOPIC, 4),
            Right::CreateTopics => (TOPIC, 5),
            Right::DescribeTopics => (TOPIC, 8),
            Right::ReadGroups => (GROUP, 3),
            Right::WriteTransactions => (TRANSACTIONAL_ID, 4),
        }
    }
}

impl Cluster {
    /// Starts so many brokers: [`Options::brokers`] and [`Options::start`].
    ///
    /// # Errors
    ///
    /// As [`Options::start`].
    pub fn start(brokers: usize) -> Result<Self, Error> {
        Options::brokers(brokers).start()
    }

    /// What clients take as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        match &self.0 {
            Kind::Own(own) => join(own.brokers.iter().map(|b| b.client.as_str())),
            Kind::Other { bootstrap } => bootstrap.clone(),
        }
    }

    /// The same of the listener that asks for a user and a password, if there is one.
    pub fn sasl_bootstrap(&self) -> Option<String> {
        match &self.0 {
            Kind::Own(own) => {
                let addresses: Option<Vec<&str>> =
                    own.brokers.iter().map(|b| b.sasl.as_deref()).collect();
                addresses.map(|a| join(a.into_iter()))
            }
            Kind::Other { .. } => None,
        }
    }

    /// The file with the certificate of the authority that signed the brokers', if they encrypt.
    pub fn authority(&self) -> Option<PathBuf> {
        let certificates = self.own().ok()?.certificates.as_ref()?;
        Some(certificates.authority.clone())
    }

    /// How many brokers of this test it has: none, if it is the one of `KAFKA_BOOTSTRAP`.
    pub fn brokers(&self) -> usize {
        match &self.0 {
            Kind::Own(own) => own.brokers.len(),
            Kind::Other { .. } => 0,
        }
    }

    /// The process id of a broker that runs.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`].
    pub fn pid(&self, broker: usize) -> Result<Option<u32>, Error> {
        Ok(self.broker(broker)?.1.as_ref().map(Process::id))
    }

    /// The directory of a broker's log segments.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`].
    pub fn data_dir(&self, broker: usize) -> Result<PathBuf, Error> {
        Ok(self.broker(broker)?.0.dir.join("data"))
    }

    /// `kill -9` to one broker, and waits until it is gone. Nothing happens to one that is not there.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`], [`Error::Io`].
    pub fn kill(&self, broker: usize) -> Result<(), Error> {
        let (_, mut process) = self.broker(broker)?;
        match process.take() {
            Some(mut process) => process.kill().map(drop),
            None => Ok(()),
        }
    }

    /// Lets one broker end in order: it hands its partitions over first.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`], [`Error::Io`].
    pub fn stop(&self, broker: usize) -> Result<(), Error> {
        let (_, mut process) = self.broker(broker)?;
        match process.take() {
            Some(mut process) => process.stop(STOP).map(drop),
            None => Ok(()),
        }
    }

    /// Starts a broker that was killed or stopped, at its address and with its data, and waits until the others see it and it has
    /// caught up with them: another one may be killed then.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`], or why it did not start.
    pub fn restart(&self, broker: usize) -> Result<(), Error> {
        self.launch(broker)?;
        self.ready(broker)
    }

    /// The first half of [`restart`](Self::restart): does not wait for it.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`], [`Error::Io`].
    pub fn launch(&self, broker: usize) -> Result<(), Error> {
        let (own, mut process) = self.broker(broker)?;
        if process.is_none() {
            *process = Some(own.launch(&self.own()?.class_path)?);
        }
        Ok(())
    }

    /// Waits until a broker answers and sees all that run; if that is all of them, until all replicas are in sync, too.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`], [`Error::Ended`], [`Error::Silent`].
    pub fn ready(&self, broker: usize) -> Result<(), Error> {
        // Checks the index.
        drop(self.broker(broker)?);
        self.own()?.ready(broker)
    }

    /// Stops a broker where it is (`SIGSTOP`): its connections stay open and nothing comes.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`], [`Error::Io`].
    pub fn pause(&self, broker: usize) -> Result<(), Error> {
        let (_, mut process) = self.broker(broker)?;
        process.as_mut().map_or(Ok(()), Process::pause)
    }

    /// Lets a paused broker go on.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`], [`Error::Io`].
    pub fn resume(&self, broker: usize) -> Result<(), Error> {
        let (_, mut process) = self.broker(broker)?;
        process.as_mut().map_or(Ok(()), Process::resume)
    }

    /// From now on, and for those on their way, a transaction's markers come so much later to the partitions that a broker
    /// leads, `__consumer_offsets` excepted: the commit is answered, the group's offsets count it, and its records cannot be read yet.
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`], [`Error::NoBroker`]; [`Error::NoProxy`] without [`Options::slow_markers`].
    pub fn delay_markers(&self, broker: usize, delay: Duration) -> Result<(), Error> {
        let (broker, process) = self.broker(broker)?;
        drop(process);
        let markers = broker.markers.as_ref().ok_or(Error::NoProxy)?;
        markers.delay(delay);
        Ok(())
    }

    /// How many requests with markers were delayed so far.
    pub fn delayed_markers(&self) -> u64 {
        match &self.0 {
            Kind::Own(own) => {
                let markers = own.brokers.iter().filter_map(|b| b.markers.as_ref());
                markers.map(MarkerProxy::delayed).sum()
            }
            Kind::Other { .. } => 0,
        }
    }

    /// The transactions that the brokers which answer coordinate: transactional id and state (`Empty`, `Ongoing`,
    /// `PrepareCommit`, `CompleteAbort` …). Those of a broker that is away are missing.
    pub fn transactions(&self) -> Vec<(String, String)> {
        let bootstrap = self.bootstrap();
        let answers = bootstrap
            .split(',')
            .filter_map(|address| wire::transactions(address).ok());
        answers.flatten().collect()
    }

    /// Allows a user something everywhere, where the brokers were given an authorizer by [`Options::property`].
    ///
    /// # Errors
    ///
    /// [`Error::NotOurs`]; [`Error::Io`] when the broker refuses it.
    pub fn allow(&self, user: &str, right: Right) -> Result<(), Error> {
        self.permit(user, right, true)
    }

    /// Denies a user something everywhere, for good, whatever he is [allowed](Self::allow).
    ///
    /// # Errors
    ///
    /// As [`allow`](Self::allow).
    pub fn deny(&self, user: &str, right: Right) -> Result<(), Error> {
        self.permit(user, right, false)
    }

    fn permit(&self, user: &str, right: Right, allowed: bool) -> Result<(), Error> {
        let own = self.own()?;
        let (resource, operation) = right.codes();
        let permit = wire::Permit {
            user,
            resource,
            operation,
            allowed,
        };
        let what = || Error::io(format!("{right:?} of `{user}` cannot be set"));
        let deadline = Instant::now() + START;
        for (index, broker) in own.brokers.iter().enumerate() {
            if index == 0 {
                permit.set(&broker.client).map_err(what())?;
            }
            // The controller has it before the brokers do.
            while !permit.is_set(&broker.client).map_err(what())? {
                if Instant::now() > deadline {
                    return Err(what()(std::io::ErrorKind::TimedOut.into()));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Kills all brokers and deletes what they wrote. The cluster of `KAFKA_BOOTSTRAP` is left as it is.
    pub(crate) fn end(&self) {
        if let Kind::Own(own) = &self.0 {
            for broker in &own.brokers {
                drop(broker.lock().take());
            }
            // The watchdog deletes what this cannot.
            let _ = fs::remove_dir_all(own.dir.path());
        }
    }

    fn own(&self) -> Result<&Own, Error> {
        match &self.0 {
            Kind::Own(own) => Ok(own),
            Kind::Other { .. } => Err(Error::NotOurs),
        }
    }

    fn broker(&self, broker: usize) -> Result<(&Broker, MutexGuard<'_, Option<Process>>), Error> {
        let brokers = &self.own()?.brokers;
        let found = brokers.get(broker).ok_or(Error::NoBroker {
            broker,
            brokers: brokers.len(),
        })?;
        Ok((found, found.lock()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

impl Own {
    fn start(options: &Options, class_path: &ClassPath) -> Result<Self, Error> {
        let dir = temp_dir()?;
        let mut ports = free_ports(&options.host, options.brokers)?;
        let mut proxies = Vec::new();
        for ports in &mut ports {
            let proxy = options
                .slow_markers
                .then(|| MarkerProxy::start(&options.host, ports.brokers))
                .transpose()?;
            ports.proxy = proxy.as_ref().map(MarkerProxy::port);
            proxies.push(proxy);
        }
        let certificates = options
            .encrypted
            .then(|| Certificates::make(dir.path(), &options.host))
            .transpose()?;
        let mut brokers = Vec::new();
        let mut formats = Vec::new();
        for (index, proxy) in proxies.into_iter().enumerate() {
            let certificates = certificates.as_ref();
            let mut broker = Broker::prepare(options, index, &ports, dir.path(), certificates)?;
            broker.markers = proxy;
            formats.push(
                broker
                    .java(class_path, "kafka.tools.StorageTool")?
                    .args(["format", "--cluster-id", CLUSTER_ID, "--config"])
                    .arg(broker.dir.join("server.properties"))
                    .start()?,
            );
            brokers.push(broker);
        }
        for (broker, mut format) in formats.into_iter().enumerate() {
            let ended = format.wait(START)?;
            if !ended.is_some_and(|status| status.success()) {
                let log = brokers[broker].log();
                return Err(Error::Format { broker, log });
            }
        }
        let own = Own {
            brokers,
            class_path: class_path.clone(),
            certificates,
            dir,
        };
        for broker in &own.brokers {
            *broker.lock() = Some(broker.launch(&own.class_path)?);
        }
        for broker in 0..own.brokers.len() {
            own.ready(broker)?;
        }
        Ok(own)
    }

    fn ready(&self, index: usize) -> Result<(), Error> {
        let broker = &self.brokers[index];
        let deadline = Instant::now() + START;
        loop {
            let running = self.brokers.iter().filter(|b| b.runs()).count();
            let ended = match broker.lock().as_mut() {
                Some(process) => process.try_wait()?.is_some(),
                None => true,
            };
            if ended {
                let log = broker.log();
                return Err(Error::Ended { broker: index, log });
            }
            let is_seen = wire::brokers_seen_by(&broker.client).is_ok_and(|seen| seen >= running);
            if is_seen && (running < self.brokers.len() || self.is_in_sync()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Silent {
                    broker: index,
                    within: START,
                    log: broker.log(),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Own {
    /// Whether every broker knows every replica in sync.
    fn is_in_sync(&self) -> bool {
        let mut brokers = self.brokers.iter();
        brokers.all(|b| wire::all_in_sync(&b.client).is_ok_and(|all| all))
    }
}

impl Broker {
    /// Its directory with everything but the data.
    fn prepare(
        options: &Options,
        index: usize,
        ports: &[Ports],
        cluster: &Path,
        certificates: Option<&Certificates>,
    ) -> Result<Self, Error> {
        let dir = cluster.join(format!("broker-{index}"));
        let data = dir.join("data");
        let write = |name: &str, text: &str| {
            let file = dir.join(name);
            fs::write(&file, text)
                .map_err(Error::io(format!("{} cannot be written", file.display())))
        };
        fs::create_dir_all(&data)
            .map_err(Error::io(format!("{} cannot be made", data.display())))?;
        write(
            "server.properties",
            &properties::of(options, index, ports, &data, certificates),
        )?;
        write("log4j2.properties", LOG4J)?;
        let address = |port: u16| format!("{}:{port}", options.host);
        let log = match std::env::var_os("KAFKA_LOGS") {
            Some(logs) => Path::new(&logs).join(format!("broker-{}.log", ports[index].client)),
            None => dir.join("broker.log"),
        };
        Ok(Broker {
            log,
            dir,
            client: address(ports[index].client),
            sasl: (!options.users.is_empty()).then(|| address(ports[index].sasl)),
            markers: None,
            process: Mutex::new(None),
        })
    }

    fn java(&self, class_path: &ClassPath, main: &str) -> Result<Program, Error> {
        let log4j = self.dir.join("log4j2.properties");
        Program::java_machine(class_path, HEAP)?
            // Most of the processor time of a short-lived broker is that of the optimising compiler.
            .arg("-XX:TieredStopAtLevel=1")
            .arg(format!(
                "-Dlog4j2.configurationFile=file:{}",
                log4j.display()
            ))
            .arg(main)
            .current_dir(&self.dir)
            .log_to(&self.log)
    }

    fn launch(&self, class_path: &ClassPath) -> Result<Process, Error> {
        self.java(class_path, "kafka.Kafka")?
            .arg("server.properties")
            .start()
    }

    /// Whether it has been started, and not paused since.
    fn runs(&self) -> bool {
        self.lock().as_ref().is_some_and(|p| !p.is_paused())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> String {
        tail(&fs::read_to_string(&self.log).unwrap_or_default())
    }
}

/// Ports that were free a moment ago.
fn free_ports(host: &str, brokers: usize) -> Result<Vec<Ports>, Error> {
    // A seed that differs between processes and calls.
    let mut seed = RandomState::new().hash_one(std::process::id());
    let mut held = Vec::new();
    let mut next = || {
        for _ in 0..1000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let port = PORTS.start + u16::try_from((seed >> 33) % PORTS.len() as u64).unwrap_or(0);
            // Held until all are found, so that no two are the same.
            if let Ok(listener) = TcpListener::bind((host, port)) {
                held.push(listener);
                return Ok(port);
            }
        }
        let none = std::io::Error::other("a thousand ports were tried");
        Err(Error::io(format!("no port is free at {host}"))(none))
    };
    (0..brokers)
        .map(|_| {
            Ok(Ports {
                client: next()?,
                controller: next()?,
                sasl: next()?,
                brokers: next()?,
                proxy: None,
            })
        })
        .collect()
}

fn join<'a>(addresses: impl Iterator<Item = &'a str>) -> String {
    addresses.collect::<Vec<_>>().join(",")
}
