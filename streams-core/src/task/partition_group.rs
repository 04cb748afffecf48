//! Layer 5. A task's input: a buffer per partition, and the choice of the record that is next, by timestamp.

use std::collections::VecDeque;
use std::time::Duration;

use super::metadata::UNKNOWN;
use crate::error::TaskResult;
use crate::record::{Timestamp, TopicPartition};
use crate::store::AHEAD;
use crate::transport::{ConsumedRecord, Fetched};

/// The buffered records of a task's partitions.
///
/// The record with the lowest timestamp among the buffers' heads is next; equal ones go in the order of the sources.
#[derive(Debug)]
pub(crate) struct PartitionGroup {
    queues: Vec<RecordQueue>,
    buffered: usize,
    stream_time: Timestamp,
    /// `max.task.idle.ms`; `None` never waits.
    max_task_idle: Option<Duration>,
}

/// One partition's buffer.
#[derive(Debug)]
struct RecordQueue {
    /// Index of its source in the sub-topology.
    source: usize,
    partition: TopicPartition,
    records: VecDeque<ConsumedRecord>,
    /// The highest timestamp that left the buffer.
    partition_time: Timestamp,
    /// The next offset to process, if `records` is empty; past transaction markers and other gaps.
    next_offset: i64,
    /// Whether the partition had no more when it was last read. Before the first read nobody knows.
    caught_up: bool,
    /// Until when an empty and caught-up partition is waited for.
    idle_until: Option<Duration>,
    paused: bool,
    /// Whether an extractor decides about the timestamps, not the records themselves.
    is_stamped: bool,
    /// Whether it has decided about the first buffered record.
    head_is_stamped: bool,
    /// How many records from the first on were shown to who looks ahead.
    shown: usize,
}

/// The record that is next.
#[derive(Debug)]
pub(crate) struct Next {
    /// Index of its source in the sub-topology.
    pub(crate) source: usize,
    /// The record.
    pub(crate) record: ConsumedRecord,
}

impl PartitionGroup {
    /// Empty buffers, one for each source that has this partition, in the sources' order.
    pub(crate) fn new(
        inputs: impl IntoIterator<Item = (usize, TopicPartition)>,
        max_task_idle: Option<Duration>,
    ) -> Self {
        let queues = inputs.into_iter().map(|(source, partition)| RecordQueue {
            source,
            partition,
            records: VecDeque::new(),
            partition_time: UNKNOWN,
            next_offset: 0,
            caught_up: false,
            idle_until: None,
            paused: false,
            is_stamped: false,
            head_is_stamped: false,
            shown: 0,
        });
        PartitionGroup {
            queues: queues.collect(),
            buffered: 0,
            stream_time: UNKNOWN,
            max_task_idle,
        }
    }

    /// The partitions, each with the index of its source, in the order of the sources.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (usize, &TopicPartition)> {
        self.queues.iter().map(|q| (q.source, &q.partition))
    }

    /// An extractor decides about the timestamps of a source.
    pub(crate) fn stamp(&mut self, source: usize) {
        for queue in self.queues.iter_mut().filter(|q| q.source == source) {
            queue.is_stamped = true;
        }
    }

    /// Lets the extractor of each source decide about its first record, as far as it has not. It gets the source, the record,
    /// and the highest timestamp of its partition so far.
    pub(crate) fn stamp_heads(
        &mut self,
        mut extract: impl FnMut(usize, &ConsumedRecord, Timestamp) -> TaskResult<Timestamp>,
    ) -> TaskResult {
        for queue in &mut self.queues {
            if let Some(head) = queue.records.front_mut()
                && queue.is_stamped
                && !queue.head_is_stamped
            {
                head.timestamp = extract(queue.source, head, queue.partition_time)?;
                queue.head_is_stamped = true;
            }
        }
        Ok(())
    }

    /// Where a source's reading begins, and the partition time that its last commit told.
    pub(crate) fn start(&mut self, source: usize, offset: i64, partition_time: Timestamp) {
        if let Some(queue) = self.queues.iter_mut().find(|q| q.source == source) {
            queue.next_offset = offset;
            queue.partition_time = partition_time;
            self.stream_time = self.stream_time.max(partition_time);
        }
    }

    /// Appends what was fetched; of a partition that is not this task's, nothing. Tells whether that moved the position without
    /// a record: past the marks that transactions leave in a log.
    pub(crate) fn add(&mut self, fetched: Fetched) -> bool {
        let Some(queue) = self
            .queues
            .iter_mut()
            .find(|q| q.partition == fetched.partition)
        else {
            return false;
        };
        let moved = fetched.records.is_empty() && fetched.next_offset > queue.next_offset;
        self.buffered += fetched.records.len();
        if queue.records.is_empty() {
            queue.records = fetched.records.into();
        } else {
            queue.records.extend(fetched.records);
        }
        queue.next_offset = fetched.next_offset;
        queue.caught_up = fetched.at_end;
        moved
    }

    /// The timestamp of the record that is next, if there is one.
    pub(crate) fn head_timestamp(&self) -> Option<Timestamp> {
        self.queues
            .iter()
            .filter_map(|q| q.records.front())
            .map(|r| r.timestamp)
            .min()
    }

    /// Whether a record may be processed now: each partition has one waiting, or is caught up and was waited for
    /// `max.task.idle.ms` long.
    pub(crate) fn ready(&mut self, now: Duration) -> bool {
        if self.buffered == 0 {
            return false;
        }
        let Some(max_idle) = self.max_task_idle else {
            return true;
        };
        let mut ready = true;
        for queue in &mut self.queues {
            if !queue.records.is_empty() || !queue.caught_up {
                queue.idle_until = None;
                ready &= !queue.records.is_empty();
            } else {
                let until = *queue.idle_until.get_or_insert(now.saturating_add(max_idle));
                ready &= now >= until;
            }
        }
        ready
    }

    /// Shows keys and timestamps of records that come soon, each once, and up to [`AHEAD`] at a time.
    #[inline]
    pub(crate) fn look_ahead(&mut self, mut look: impl FnMut(&[(&[u8], Timestamp)])) {
        let unseen = |q: &&mut RecordQueue| q.shown == 0 && !q.records.is_empty();
        for queue in self.queues.iter_mut().filter(unseen) {
            let next = queue.records.iter().take(AHEAD);
            queue.shown = next.len();
            let mut coming = [(&[][..], 0); AHEAD];
            let mut count = 0;
            let keys = next.filter_map(|r| Some((r.key.as_deref()?, r.timestamp)));
            for (to, of) in coming.iter_mut().zip(keys) {
                *to = of;
                count += 1;
            }
            look(coming.get(..count).unwrap_or_default());
        }
    }

    /// Takes the record that is next.
    pub(crate) fn pop(&mut self) -> Option<Next> {
        let queue = self
            .queues
            .iter_mut()
            .filter(|q| !q.records.is_empty())
            .min_by_key(|q| (q.records.front().map(|r| r.timestamp), q.source))?;
        let record = queue.records.pop_front()?;
        queue.head_is_stamped = false;
        queue.shown = queue.shown.saturating_sub(1);
        self.buffered -= 1;
        let source = queue.source;
        Some(Next { source, record })
    }

    /// The highest timestamp of the records that were processed so far; -1 before the first.
    pub(crate) fn stream_time(&self) -> Timestamp {
        self.stream_time
    }

    /// A source's record was processed, not skipped: time is now at least its timestamp.
    pub(crate) fn passed(&mut self, source: usize, timestamp: Timestamp) {
        if let Some(queue) = self.queues.iter_mut().find(|q| q.source == source) {
            queue.partition_time = queue.partition_time.max(timestamp);
        }
        self.stream_time = self.stream_time.max(timestamp);
    }

    /// Records of other tasks moved time on, where all count as one.
    pub(crate) fn reach(&mut self, time: Timestamp) {
        self.stream_time = self.stream_time.max(time);
    }

    /// The next offset to process and the partition time of each partition: what a commit tells the group.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&TopicPartition, i64, Timestamp)> {
        self.queues.iter().map(|q| {
            let next = q.records.front().map_or(q.next_offset, |r| r.offset);
            (&q.partition, next, q.partition_time)
        })
    }

    /// Partitions whose buffers have become fuller than `limit`, to be paused, and those that have room again, to be resumed.
    pub(crate) fn change_flow(
        &mut self,
        limit: usize,
        pause: &mut Vec<TopicPartition>,
        resume: &mut Vec<TopicPartition>,
    ) {
        for queue in &mut self.queues {
            let full = queue.records.len() > limit;
            if full != queue.paused {
                queue.paused = full;
                (if full { &mut *pause } else { &mut *resume }).push(queue.partition.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Headers;

    fn group(sources: usize, idle: Option<Duration>) -> PartitionGroup {
        let names = ["a", "b", "c"];
        PartitionGroup::new(
            names
                .iter()
                .take(sources)
                .map(|n| TopicPartition::new(*n, 0))
                .enumerate(),
            idle,
        )
    }

    fn fetched(topic: &str, first: i64, timestamps: &[Timestamp], at_end: bool) -> Fetched {
        let record = |(i, timestamp): (i64, &Timestamp)| ConsumedRecord {
            offset: first + i,
            timestamp: *timestamp,
            key: None,
            value: None,
            headers: Headers::new(),
        };
        Fetched {
            partition: TopicPartition::new(topic, 0),
            records: (0..).zip(timestamps).map(record).collect(),
            next_offset: first + timestamps.len() as i64,
            at_end,
        }
    }

    fn drain(group: &mut PartitionGroup) -> Vec<(usize, Timestamp)> {
        let mut all = Vec::new();
        while let Some(Next { source, record }) = group.pop() {
            group.passed(source, record.timestamp);
            all.push((source, record.timestamp));
        }
        all
    }

    #[test]
    fn the_lowest_timestamp_among_the_heads_is_next_and_the_first_source_wins_a_tie() {
        let mut group = group(2, Some(Duration::ZERO));
        group.add(fetched("b", 0, &[3, 1, 9], true));
        group.add(fetched("a", 0, &[3, 5], true));
        assert_eq!(group.head_timestamp(), Some(3));
        assert_eq!(drain(&mut group), [(0, 3), (1, 3), (1, 1), (0, 5), (1, 9)]);
        assert_eq!(group.stream_time, 9);
    }

    #[test]
    fn who_looks_ahead_sees_each_record_once_before_it_is_processed() {
        let mut group = group(2, None);
        let keys = |first: u8, topic: &str| {
            let mut fetched = fetched(topic, i64::from(first), &[0; 40], true);
            for (key, record) in (first..).zip(&mut fetched.records) {
                record.key = Some(vec![key].into());
            }
            fetched
        };
        group.add(keys(0, "a"));
        group.add(keys(100, "b"));
        let mut seen = Vec::new();
        loop {
            group.look_ahead(|coming| seen.extend(coming.iter().flat_map(|(key, _)| *key)));
            let Some(Next { record, .. }) = group.pop() else {
                break;
            };
            let key = record.key.expect("it has one");
            assert!(seen.contains(&key[0]), "{key:?}");
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..40).chain(100..140).collect::<Vec<u8>>());
    }

    #[test]
    fn a_partition_of_which_nothing_is_known_is_waited_for() {
        let mut group = group(2, Some(Duration::ZERO));
        group.add(fetched("a", 0, &[1], true));
        assert!(!group.ready(Duration::MAX), "nobody has read b yet");
        group.add(fetched("b", 0, &[], false));
        assert!(!group.ready(Duration::MAX), "b has more");
        group.add(fetched("b", 0, &[], true));
        assert!(
            group.ready(Duration::ZERO),
            "b is at its end, and max.task.idle.ms is 0"
        );
    }

    #[test]
    fn a_caught_up_partition_is_waited_for_as_long_as_configured() {
        let ms = Duration::from_millis;
        let mut group = group(2, Some(ms(50)));
        group.add(fetched("a", 0, &[1], true));
        group.add(fetched("b", 0, &[], true));
        assert!(!group.ready(ms(100)));
        assert!(!group.ready(ms(149)));
        assert!(group.ready(ms(150)));
        group.add(fetched("b", 0, &[7], true));
        assert!(group.ready(ms(151)), "both have records");
        assert_eq!(drain(&mut group).len(), 2);
        assert!(!group.ready(ms(151)), "nothing to process");
    }

    #[test]
    fn minus_one_never_waits() {
        let mut group = group(2, None);
        group.add(fetched("a", 0, &[1], false));
        assert!(group.ready(Duration::ZERO));
    }

    #[test]
    fn positions_are_the_next_offsets_past_gaps() {
        let mut group = group(1, None);
        group.start(0, 5, 40);
        let positions =
            |g: &PartitionGroup| g.positions().map(|(_, o, t)| (o, t)).collect::<Vec<_>>();
        assert_eq!(positions(&group), [(5, 40)]);
        let mut batch = fetched("a", 7, &[30, 60], true);
        batch.next_offset = 12;
        group.add(batch);
        assert_eq!(positions(&group), [(7, 40)]);
        group.pop();
        group.passed(0, 30);
        assert_eq!(positions(&group), [(8, 40)], "time does not go back");
        group.pop();
        assert_eq!(
            positions(&group),
            [(12, 40)],
            "a skipped record moves no time"
        );
        group.passed(0, 60);
        assert_eq!(
            positions(&group),
            [(12, 60)],
            "past the marker behind the last record"
        );
    }

    #[test]
    fn full_buffers_pause_once() {
        let mut group = group(1, None);
        group.add(fetched("a", 0, &[1, 2, 3], true));
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        group.change_flow(2, &mut pause, &mut resume);
        group.change_flow(2, &mut pause, &mut resume);
        assert_eq!((pause.len(), resume.len()), (1, 0));
        group.pop();
        group.change_flow(2, &mut pause, &mut resume);
        assert_eq!((pause.len(), resume.len()), (1, 1));
    }
}
