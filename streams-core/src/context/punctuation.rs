//! When punctuators are due: a queue for stream time and one for the wall clock, with Kafka Streams' rules (`PunctuationQueue`).

use std::collections::BTreeSet;

use crate::record::Timestamp;

/// Which time a punctuator follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PunctuationType {
    /// The highest timestamp among the task's records so far. It moves only with records.
    StreamTime,
    /// The machine's clock, whether or not there are records.
    WallClockTime,
}

/// The name of a schedule, by which it is cancelled.
pub(crate) type ScheduleId = u64;

/// A punctuator that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) id: ScheduleId,
    /// The processor's place in the sub-topology.
    pub(crate) processor: usize,
    /// Which of the processor's functions is called.
    pub(crate) function: usize,
    /// When it was due.
    time: Timestamp,
    interval: i64,
}

impl Due {
    /// The same schedule's next time, as seen at `now`: what was missed is not made up for.
    fn next(self, now: Timestamp) -> Due {
        let mut time = self.time.saturating_add(self.interval);
        if now >= time {
            let missed = now.saturating_sub(self.time) / self.interval;
            time = (missed + 1)
                .saturating_mul(self.interval)
                .saturating_add(self.time);
        }
        Due { time, ..self }
    }
}

/// What a schedule is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewSchedule {
    pub(crate) processor: usize,
    pub(crate) function: usize,
    /// Milliseconds, at least 1.
    pub(crate) interval: i64,
    /// When it is due first; it keeps to this rhythm. Without it, stream time begins at 0, and the wall clock one interval from now.
    pub(crate) start: Option<Timestamp>,
}

/// A task's schedules.
#[derive(Debug, Default)]
pub(crate) struct Punctuations {
    stream_time: Heap,
    wall_clock: Heap,
    /// Schedules that are not cancelled. A cancelled one stays in its queue until it would be due.
    live: BTreeSet<ScheduleId>,
    last: ScheduleId,
}

impl Punctuations {
    /// Adds a schedule. `now` is the time of its type: the stream's, -1 before the first record, or the clock's.
    pub(crate) fn schedule(
        &mut self,
        of: PunctuationType,
        new: NewSchedule,
        now: Timestamp,
    ) -> ScheduleId {
        self.last += 1;
        let interval = new.interval.max(1);
        let first = match (new.start, of) {
            (Some(start), _) => start,
            (None, PunctuationType::StreamTime) => 0,
            (None, PunctuationType::WallClockTime) => now.saturating_add(interval),
        };
        let mut due = Due {
            id: self.last,
            processor: new.processor,
            function: new.function,
            time: first,
            interval,
        };
        if new.start.is_some_and(|start| start < now) {
            due = due.next(now);
        }
        self.live.insert(due.id);
        self.heap(of).push(due);
        due.id
    }

    /// Ends a schedule; from within its own call, too.
    pub(crate) fn cancel(&mut self, id: ScheduleId) {
        self.live.remove(&id);
    }

    /// Whether a schedule still runs.
    pub(crate) fn is_live(&self, id: ScheduleId) -> bool {
        self.live.contains(&id)
    }

    /// Whether anything is due.
    #[inline]
    pub(crate) fn is_due(&self, of: PunctuationType, now: Timestamp) -> bool {
        let heap = match of {
            PunctuationType::StreamTime => &self.stream_time,
            PunctuationType::WallClockTime => &self.wall_clock,
        };
        heap.0.first().is_some_and(|top| top.time <= now)
    }

    /// The next one that is due; once it was called, [`called`](Self::called) has to be told.
    pub(crate) fn pop(&mut self, of: PunctuationType, now: Timestamp) -> Option<Due> {
        while self.is_due(of, now) {
            let due = self.heap(of).pop()?;
            if self.live.contains(&due.id) {
                return Some(due);
            }
        }
        None
    }

    /// A punctuator was called at `now`: it is due again, unless it was cancelled meanwhile.
    pub(crate) fn called(&mut self, of: PunctuationType, due: Due, now: Timestamp) {
        if self.live.contains(&due.id) {
            self.heap(of).push(due.next(now));
        }
    }

    /// When the wall clock's next one is due.
    pub(crate) fn next_wall_clock(&self) -> Option<Timestamp> {
        self.wall_clock.0.first().map(|due| due.time)
    }

    fn heap(&mut self, of: PunctuationType) -> &mut Heap {
        match of {
            PunctuationType::StreamTime => &mut self.stream_time,
            PunctuationType::WallClockTime => &mut self.wall_clock,
        }
    }
}

/// A binary heap by time. Among equal times the order is that of Java's `PriorityQueue`, which Kafka Streams uses and which is
/// not that of insertion: punctuators that are due at once are called in the same order.
#[derive(Debug, Default)]
struct Heap(Vec<Due>);

impl Heap {
    fn push(&mut self, due: Due) {
        let mut at = self.0.len();
        self.0.push(due);
        while at > 0 {
            let parent = (at - 1) / 2;
            match self.0.get(parent) {
                Some(above) if due.time < above.time => {}
                _ => break,
            }
            self.0.swap(at, parent);
            at = parent;
        }
    }

    fn pop(&mut self) -> Option<Due> {
        if self.0.is_empty() {
            return None;
        }
        let top = self.0.swap_remove(0);
        let mut at = 0;
        while let Some(left) = self.0.get(2 * at + 1) {
            let right = self.0.get(2 * at + 2);
            let child = match right {
                Some(right) if left.time > right.time => 2 * at + 2,
                _ => 2 * at + 1,
            };
            match (self.0.get(at), self.0.get(child)) {
                (Some(moved), Some(below)) if moved.time > below.time => self.0.swap(at, child),
                _ => break,
            }
            at = child;
        }
        Some(top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: i64 = 10;

    fn new(start: Option<Timestamp>) -> NewSchedule {
        NewSchedule {
            processor: 0,
            function: 0,
            interval: INTERVAL,
            start,
        }
    }

    /// Which of the times a schedule is called at.
    fn fired(
        of: PunctuationType,
        start: Option<Timestamp>,
        scheduled_at: Timestamp,
        times: &[Timestamp],
    ) -> Vec<Timestamp> {
        let mut queue = Punctuations::default();
        queue.schedule(of, new(start), scheduled_at);
        let mut fired = Vec::new();
        for now in times {
            while let Some(due) = queue.pop(of, *now) {
                fired.push(*now);
                queue.called(of, due, *now);
            }
        }
        fired
    }

    #[test]
    fn stream_time_is_due_at_once_and_then_at_multiples_of_the_interval() {
        let of = PunctuationType::StreamTime;
        let times = [3, 9, 10, 13, 19, 20, 60, 65, 70];
        assert_eq!(fired(of, None, -1, &times), [3, 10, 20, 60, 70]);
    }

    #[test]
    fn the_wall_clock_is_due_after_the_interval_and_keeps_its_rhythm() {
        let of = PunctuationType::WallClockTime;
        let times = [100, 109, 110, 125, 129, 130, 175, 179, 180];
        assert_eq!(fired(of, None, 100, &times), [110, 125, 130, 175, 180]);
    }

    #[test]
    fn an_anchor_in_the_past_waits_for_its_next_time_and_one_in_the_future_for_itself() {
        let of = PunctuationType::WallClockTime;
        assert_eq!(
            fired(of, Some(3), 100, &[100, 102, 103, 112, 113]),
            [103, 113]
        );
        assert_eq!(fired(of, Some(120), 100, &[110, 119, 120, 129]), [120]);
        assert_eq!(fired(of, Some(100), 100, &[100, 109, 110]), [100, 110]);
        let of = PunctuationType::StreamTime;
        assert_eq!(fired(of, Some(25), -1, &[3, 24, 26, 34, 36]), [26, 36]);
    }

    #[test]
    fn a_cancelled_schedule_is_called_no_more_even_when_it_cancels_itself() {
        let of = PunctuationType::StreamTime;
        let mut queue = Punctuations::default();
        let first = queue.schedule(of, new(None), -1);
        let second = queue.schedule(of, new(None), -1);
        queue.cancel(second);
        let due = queue.pop(of, 5).expect("the first");
        assert_eq!((due.id, queue.pop(of, 5)), (first, None));
        queue.cancel(first);
        queue.called(of, due, 5);
        assert_eq!(queue.pop(of, 1_000), None);
        assert!(!queue.is_live(first));
    }

    #[test]
    fn equal_times_come_in_the_order_of_javas_heap() {
        // What Java 21's `PriorityQueue` gives back of five equal elements.
        let of = PunctuationType::StreamTime;
        let mut queue = Punctuations::default();
        for _ in 0..5 {
            queue.schedule(of, new(None), -1);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(of, 0))
            .map(|due| due.id)
            .collect();
        assert_eq!(order, [1, 5, 4, 3, 2]);
    }
}
