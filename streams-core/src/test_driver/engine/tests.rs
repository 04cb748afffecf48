//! Layer 7. Single steps and faults, for the engine's simulations.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Instance};
use crate::error::Result;
use crate::record::TopicPartition;
use crate::runtime::{Application, RestoreProgress, Statistics, Worker};
use crate::task::StateLocation;
use crate::transport::{OffsetRange, Transport};

/// What simulations need to know of an instance.
pub(super) struct Simulation {
    pub(super) app: Arc<Application>,
    /// The index that the next worker gets.
    pub(super) next_index: usize,
    /// Workers that others took the place of, and that do not know it.
    pub(super) zombies: Vec<Worker>,
    /// What workers that died had done.
    pub(super) dead: Vec<Statistics>,
}

/// Single steps and faults, for simulations.
impl Engine {
    fn instance(&mut self) -> &mut Instance {
        self.running.as_mut().expect("running")
    }

    pub(in crate::test_driver) fn worker_count(&mut self) -> usize {
        self.instance().workers.len()
    }

    pub(in crate::test_driver) fn step_worker(&mut self, index: usize) -> Result {
        self.producer.flush()?;
        self.instance().workers[index].step(Duration::ZERO)?;
        Ok(())
    }

    /// Moves the clock, and nothing else.
    pub(in crate::test_driver) fn tick(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// A worker's process dies and is started again.
    pub(in crate::test_driver) fn crash_worker(&mut self, index: usize) {
        let instance = self.instance();
        let worker = instance.workers.remove(index);
        let member = worker.index();
        instance.simulation.dead.push(worker.stats());
        drop(worker);
        instance
            .workers
            .insert(index, Worker::new(instance.simulation.app.clone(), member));
    }

    /// A worker is started again while the old one is cut off, but alive.
    pub(in crate::test_driver) fn replace_worker(&mut self, index: usize) {
        let instance = self.instance();
        let member = instance.workers[index].index();
        let new = Worker::new(instance.simulation.app.clone(), member);
        let old = std::mem::replace(&mut instance.workers[index], new);
        instance.simulation.zombies.push(old);
    }

    /// The cut-off ones go on where they were, until they notice.
    pub(in crate::test_driver) fn step_zombies(&mut self) {
        self.producer.flush().unwrap();
        let zombies = &mut self.instance().simulation.zombies;
        zombies
            .retain_mut(|zombie| zombie.step(Duration::ZERO).is_ok() && zombie.stats().fenced == 0);
    }

    pub(in crate::test_driver) fn add_worker(&mut self) {
        let instance = self.instance();
        instance.workers.push(Worker::new(
            instance.simulation.app.clone(),
            instance.simulation.next_index,
        ));
        instance.simulation.next_index += 1;
    }

    /// A worker ends in an orderly way; a failure of its last commit leaves the work to be done again.
    pub(in crate::test_driver) fn remove_worker(&mut self) {
        if let Some(worker) = self.instance().workers.pop() {
            drop(worker.close());
        }
    }

    /// Every process dies, and as many are started again.
    pub(in crate::test_driver) fn crash_all(&mut self) {
        for index in 0..self.worker_count() {
            self.crash_worker(index);
        }
    }

    /// Starts every worker again, on another transport.
    pub(in crate::test_driver) fn wrap_transport<T: Transport + 'static>(
        &mut self,
        wrap: impl FnOnce(Arc<dyn Transport>) -> T,
    ) {
        let transport = wrap(self.transport.clone());
        let instance = self.instance();
        instance.workers.clear();
        let app = Arc::get_mut(&mut instance.simulation.app).expect("no worker left");
        app.transport = Arc::new(transport);
        let workers = 0..instance.simulation.next_index;
        instance.workers = workers
            .map(|index| Worker::new(instance.simulation.app.clone(), index))
            .collect();
    }

    pub(in crate::test_driver) fn stats(&mut self) -> Statistics {
        let instance = self.instance();
        let alive = instance
            .workers
            .iter()
            .chain(&instance.simulation.zombies)
            .map(Worker::stats);
        alive
            .chain(instance.simulation.dead.iter().copied())
            .fold(Statistics::default(), |sum, more| sum.and(&more))
    }

    /// The log is lost, with everything in it; the state is not.
    pub(in crate::test_driver) fn lose_log(&mut self) {
        let fresh = Engine::new(
            self.descriptor,
            self.subtopologies.clone(),
            self.options.clone(),
        )
        .unwrap();
        let lost = std::mem::replace(self, fresh);
        drop(lost.running);
        self.running = None;
        self.directory = lost.directory;
        self.start().unwrap();
    }

    /// The restores that are under way.
    pub(in crate::test_driver) fn restoring(&mut self) -> Vec<RestoreProgress> {
        self.instance().simulation.app.restores.all()
    }

    /// Deletes a partition's records before an offset.
    pub(in crate::test_driver) fn delete_before(&mut self, partition: &TopicPartition, at: i64) {
        self.admin
            .delete_records(&[(partition.clone(), at)])
            .unwrap();
    }

    /// The names of the tasks that have a state directory.
    pub(in crate::test_driver) fn task_directories(&mut self) -> Vec<String> {
        let StateLocation::Directory(directory) = &self.instance().simulation.app.state else {
            return Vec::new();
        };
        let tasks = directory.tasks().unwrap();
        tasks.iter().map(ToString::to_string).collect()
    }

    /// Makes a state directory as of a task that was here once.
    pub(in crate::test_driver) fn leave_directory(&mut self, task: &str) {
        let StateLocation::Directory(directory) = &self.instance().simulation.app.state else {
            return;
        };
        std::fs::create_dir(directory.path().join(task)).unwrap();
    }

    /// The first offset of each partition of some topics.
    pub(in crate::test_driver) fn starts(&mut self, topics: &[&str]) -> Vec<Vec<i64>> {
        let ranges = self.ranges(topics).into_iter();
        ranges
            .map(|of_topic| of_topic.iter().map(|r| r.start).collect())
            .collect()
    }

    /// The offsets of each partition of some topics.
    pub(in crate::test_driver) fn ranges(&mut self, topics: &[&str]) -> Vec<Vec<OffsetRange>> {
        let infos = self.admin.describe_topics(topics).unwrap();
        let mut all = Vec::new();
        for info in infos.into_iter().flatten() {
            let partitions: Vec<TopicPartition> = (0..info.partitions as i32)
                .map(|p| TopicPartition::new(info.name.as_str(), p))
                .collect();
            all.push(self.admin.offsets(&partitions).unwrap());
        }
        all
    }

    pub(in crate::test_driver) fn drop_zombies(&mut self) {
        self.instance().simulation.zombies.clear();
    }
}
