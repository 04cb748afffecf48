//! What generated code calls: count, reduce and aggregate by windows, and by sessions.

use super::time::FixedWindows;
use super::{
    AllWindows, SessionWindows, SlidingWindows, Stop, TimeWindows, UnlimitedWindows, WindowOf,
    WindowedTable, Work,
};
use crate::context::{Made, TaskContext, made_by};
use crate::error::{RecordPart, TaskResult};
use crate::obligations::{AggregateOf, DeclaredKey, DeclaredValue};
use crate::record::{Change, Record};
use crate::serde::Serde;
use crate::windowed::{Windowed, WindowedKey};

/// A record on its way into a windowed table. Null keys are dropped before.
#[derive(Debug)]
pub struct WindowedRecord<CK, CV, K, V, S> {
    pub(super) record: Record<CK, CV>,
    pub(super) table: WindowedTable<K, V, S>,
}

/// How an aggregate comes about. `A` is the aggregate as it is stored, `V` as the table's type has it.
pub trait Functions<CK, CV, A, V> {
    /// Before the first record.
    fn initial(&mut self) -> Option<A>;
    /// With one record more.
    fn add(&mut self, key: &CK, value: CV, before: Option<A>) -> Made<Option<A>>;
    /// As the table's type has it.
    fn declared(&self, aggregate: A) -> V;
}

/// How the aggregates of sessions become one.
pub trait SessionFunctions<CK, CV, A, V>: Functions<CK, CV, A, V> {
    /// Two aggregates as one.
    fn merge(&mut self, key: &CK, one: Option<A>, other: A) -> Made<Option<A>>;
}

/// Functions that make a `Functions`.
#[derive(Debug)]
pub struct Aggregated<I, G, D> {
    initial: I,
    add: G,
    declared: D,
}

impl<CK, CV, A, V, I, G, D> Functions<CK, CV, A, V> for Aggregated<I, G, D>
where
    I: FnMut() -> Option<A>,
    G: FnMut(&CK, CV, Option<A>) -> Made<Option<A>>,
    D: Fn(A) -> V,
{
    #[inline]
    fn initial(&mut self) -> Option<A> {
        (self.initial)()
    }
    #[inline]
    fn add(&mut self, key: &CK, value: CV, before: Option<A>) -> Made<Option<A>> {
        (self.add)(key, value, before)
    }
    #[inline]
    fn declared(&self, aggregate: A) -> V {
        (self.declared)(aggregate)
    }
}

/// The same, with a function for sessions.
#[derive(Debug)]
pub struct Merged<I, G, D, M> {
    functions: Aggregated<I, G, D>,
    merge: M,
}

impl<CK, CV, A, V, I, G, D, M> Functions<CK, CV, A, V> for Merged<I, G, D, M>
where
    Aggregated<I, G, D>: Functions<CK, CV, A, V>,
{
    #[inline]
    fn initial(&mut self) -> Option<A> {
        self.functions.initial()
    }
    #[inline]
    fn add(&mut self, key: &CK, value: CV, before: Option<A>) -> Made<Option<A>> {
        self.functions.add(key, value, before)
    }
    #[inline]
    fn declared(&self, aggregate: A) -> V {
        self.functions.declared(aggregate)
    }
}

impl<CK, CV, A, V, I, G, D, M> SessionFunctions<CK, CV, A, V> for Merged<I, G, D, M>
where
    Aggregated<I, G, D>: Functions<CK, CV, A, V>,
    M: FnMut(&CK, Option<A>, A) -> Made<Option<A>>,
{
    #[inline]
    fn merge(&mut self, key: &CK, one: Option<A>, other: A) -> Made<Option<A>> {
        (self.merge)(key, one, other)
    }
}

/// How a kind of windows takes a record.
pub trait TakesRecords<CK, CV, K, V>: AllWindows {
    /// Updates the windows of a record. Where a function fails, the windows before keep their updates, and the rest is left out.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes; when a function failed and the handler says to fail.
    fn take<Node, A: Serde>(
        work: WindowedRecord<CK, CV, K, V, Self>,
        functions: impl SessionFunctions<CK, CV, A, V>,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        CK: Serde,
        K: WindowedKey + DeclaredKey<Windowed<CK, K::Window>, Node>;
}

macro_rules! takes_records {
    ($windows:ty, [$($bound:tt)*], |$work:ident, $value:ident, $f:ident, $cx:ident, $next:ident| $take:expr) => {
        impl<CK: Clone, CV: $($bound)*, K, V: Serde> TakesRecords<CK, CV, K, V> for $windows {
            #[inline]
            fn take<Node, A: Serde>(
                work: WindowedRecord<CK, CV, K, V, Self>,
                mut $f: impl SessionFunctions<CK, CV, A, V>,
                $cx: &mut TaskContext,
                mut next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
            ) -> TaskResult
            where
                CK: Serde,
                K: WindowedKey + DeclaredKey<Windowed<CK, K::Window>, Node>,
            {
                let WindowedRecord { record, table } = work;
                let Record { key, value: $value, timestamp, headers } = record;
                // What takes the record further may aggregate by windows too.
                let mut bytes = std::mem::take(&mut $cx.scratch.wanted);
                bytes.clear();
                if let Err(reason) = key.serialize(&mut bytes) {
                    let error = table.unwritable(RecordPart::Key, reason, $cx);
                    return $cx.declined(error);
                }
                let $work = Work { table, key: &key, bytes: &bytes, timestamp, headers: &headers };
                let $next = &mut next;
                let done = $take;
                $cx.scratch.wanted = bytes;
                match done {
                    Ok(()) => Ok(()),
                    Err(Stop::Task(e)) => $cx.declined(e),
                    Err(Stop::Failed(failed)) => $cx.decide(failed),
                }
            }
        }
    };
}

takes_records!(TimeWindows, [Clone], |work, value, f, cx, next| {
    fixed::<Node, _, _, _, _, _, _, _>(&work, value, &mut f, cx, next)
});
takes_records!(UnlimitedWindows, [Clone], |work, value, f, cx, next| {
    fixed::<Node, _, _, _, _, _, _, _>(&work, value, &mut f, cx, next)
});
takes_records!(SlidingWindows, [Clone], |work, value, f, cx, next| {
    work.in_sliding_windows::<Node, _, A, _>(&value, &mut f, cx, next)
});
takes_records!(SessionWindows, [Sized], |work, value, f, cx, next| {
    work.in_sessions::<Node, _, A, _>(value, &mut f, cx, next)
});

#[inline]
fn fixed<Node, CK, CV, K, V, S, A, N>(
    work: &Work<'_, CK, K, V, S>,
    value: CV,
    f: &mut impl Functions<CK, CV, A, V>,
    cx: &mut TaskContext,
    next: &mut N,
) -> Result<(), Stop>
where
    CK: Clone,
    CV: Clone,
    K: WindowedKey + DeclaredKey<Windowed<CK, K::Window>, Node>,
    V: Serde,
    S: FixedWindows,
    A: Serde,
    N: FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
{
    work.in_fixed_windows::<Node, CV, A, N>(value, f, cx, next)
}

/// The functions of `aggregate`. A merger is asked for by sessions only.
fn aggregating<CK, CV, A, V>(
    mut initializer: impl FnMut() -> A,
    mut aggregator: impl FnMut(&CK, CV, A) -> Made<Option<A>>,
    mut merger: impl FnMut(&CK, A, A) -> Made<Option<A>>,
    declared: impl Fn(A) -> V,
) -> impl SessionFunctions<CK, CV, A, V> {
    Merged {
        functions: Aggregated {
            initial: move || Some(initializer()),
            add: move |key: &CK, value: CV, old: Option<A>| match old {
                Some(old) => aggregator(key, value, old),
                None => Ok(None),
            },
            declared,
        },
        merge: move |key: &CK, one: Option<A>, other: A| match one {
            Some(one) => merger(key, one, other),
            None => Ok(Some(other)),
        },
    }
}

/// In the place of a merger, where no session can ask for it.
fn never_merged<CK, A>(_: &CK, _: A, other: A) -> Made<Option<A>> {
    Ok(Some(other))
}

impl<CK, CV, K, V, S> WindowedRecord<CK, CV, K, V, S>
where
    S: TakesRecords<CK, CV, K, V>,
    CK: Serde,
    V: Serde,
{
    /// `count` by windows: records with null values count too, except by sliding windows.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn count<Node>(
        self,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
        V: DeclaredValue<i64, Node>,
    {
        let functions = aggregating(
            || 0_i64,
            |_: &CK, _: CV, count: i64| Ok(Some(count.wrapping_add(1))),
            |_: &CK, one: i64, other: i64| Ok(Some(one.wrapping_add(other))),
            |count| V::of(count),
        );
        S::take::<Node, i64>(self, functions, cx, next)
    }

    /// `reduce` by windows: a window's first value is taken as it is.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn reduce<Node>(
        self,
        mut reducer: impl FnMut(V, V) -> V,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
        V: DeclaredValue<CV, Node>,
    {
        self.reduce_made(|old, value| Ok(reducer(old, value)), cx, next)
    }

    /// [`reduce`](Self::reduce) with a reducer that may fail: then the window keeps its value.
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce), and when the reducer failed and the handler says to fail.
    #[inline]
    pub fn try_reduce<Node, R: AggregateOf<V>>(
        self,
        mut reducer: impl FnMut(V, V) -> R,
        node: &'static str,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
        V: DeclaredValue<CV, Node>,
    {
        self.reduce_made(|old, value| made_by(node, reducer(old, value)), cx, next)
    }

    #[inline(always)]
    fn reduce_made<Node>(
        self,
        reducer: impl FnMut(V, V) -> Made<V>,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
        V: DeclaredValue<CV, Node>,
    {
        let reducer = std::cell::RefCell::new(reducer);
        let reduced = |old: Option<V>, value: V| match old {
            Some(old) => (reducer.borrow_mut())(old, value).map(Some),
            None => Ok(Some(value)),
        };
        let functions = Merged {
            functions: Aggregated {
                initial: || None,
                add: |_: &CK, value: CV, old: Option<V>| reduced(old, V::of(value)),
                declared: |value| value,
            },
            merge: |_: &CK, one: Option<V>, other: V| reduced(one, other),
        };
        S::take::<Node, V>(self, functions, cx, next)
    }
}

impl<CK, CV, K, A, S> WindowedRecord<CK, CV, K, Option<A>, S>
where
    S: TakesRecords<CK, CV, K, Option<A>>,
    CK: Serde,
    A: Serde,
{
    /// `aggregate` by windows, with an aggregator that may return `None`: that deletes the window.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn aggregate<Node>(
        self,
        initializer: impl FnMut() -> A,
        mut aggregator: impl FnMut(&CK, CV, A) -> Option<A>,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<Option<A>>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = aggregating(
            initializer,
            |key: &CK, value: CV, old: A| Ok(aggregator(key, value, old)),
            never_merged,
            Some,
        );
        S::take::<Node, A>(self, functions, cx, next)
    }

    /// The same with an aggregator that may fail: then the window keeps its value.
    ///
    /// # Errors
    /// As without `try_`, and when a function failed and the handler says to fail.
    #[inline]
    pub fn try_aggregate<Node, R: AggregateOf<Option<A>>>(
        self,
        initializer: impl FnMut() -> A,
        mut aggregator: impl FnMut(&CK, CV, A) -> R,
        node: &'static str,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<Option<A>>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = aggregating(
            initializer,
            |key: &CK, value: CV, old: A| made_by(node, aggregator(key, value, old)),
            never_merged,
            Some,
        );
        S::take::<Node, A>(self, functions, cx, next)
    }

    /// `aggregate` by sessions, with functions that may return `None`.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn aggregate_sessions<Node>(
        self,
        initializer: impl FnMut() -> A,
        mut aggregator: impl FnMut(&CK, CV, A) -> Option<A>,
        mut merger: impl FnMut(&CK, A, A) -> Option<A>,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<Option<A>>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = aggregating(
            initializer,
            |key: &CK, value: CV, old: A| Ok(aggregator(key, value, old)),
            |key: &CK, one: A, other: A| Ok(merger(key, one, other)),
            Some,
        );
        S::take::<Node, A>(self, functions, cx, next)
    }

    /// The same with functions that may fail: then the sessions stay as they are.
    ///
    /// # Errors
    /// As without `try_`, and when a function failed and the handler says to fail.
    #[inline]
    pub fn try_aggregate_sessions<Node, R: AggregateOf<Option<A>>, M: AggregateOf<Option<A>>>(
        self,
        initializer: impl FnMut() -> A,
        mut aggregator: impl FnMut(&CK, CV, A) -> R,
        mut merger: impl FnMut(&CK, A, A) -> M,
        node: &'static str,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<Option<A>>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = aggregating(
            initializer,
            |key: &CK, value: CV, old: A| made_by(node, aggregator(key, value, old)),
            |key: &CK, one: A, other: A| made_by(node, merger(key, one, other)),
            Some,
        );
        S::take::<Node, A>(self, functions, cx, next)
    }
}

/// [`WindowedRecord::aggregate`] of tables whose values are not nullable.
pub trait WindowedAggregate<CK, CV, K, V, S> {
    /// `aggregate` by windows.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    fn aggregate<Node>(
        self,
        initializer: impl FnMut() -> V,
        aggregator: impl FnMut(&CK, CV, V) -> V,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>;

    /// The same with an aggregator that may fail: then the window keeps its value.
    ///
    /// # Errors
    /// As without `try_`, and when a function failed and the handler says to fail.
    fn try_aggregate<Node, R: AggregateOf<V>>(
        self,
        initializer: impl FnMut() -> V,
        aggregator: impl FnMut(&CK, CV, V) -> R,
        node: &'static str,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>;
}

impl<CK, CV, K, V, S> WindowedAggregate<CK, CV, K, V, S> for WindowedRecord<CK, CV, K, V, S>
where
    S: TakesRecords<CK, CV, K, V>,
    CK: Serde,
    V: Serde,
{
    #[inline]
    fn aggregate<Node>(
        self,
        initializer: impl FnMut() -> V,
        mut aggregator: impl FnMut(&CK, CV, V) -> V,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = aggregating(
            initializer,
            |key: &CK, value: CV, old: V| Ok(Some(aggregator(key, value, old))),
            never_merged,
            |value| value,
        );
        S::take::<Node, V>(self, functions, cx, next)
    }

    #[inline]
    fn try_aggregate<Node, R: AggregateOf<V>>(
        self,
        initializer: impl FnMut() -> V,
        mut aggregator: impl FnMut(&CK, CV, V) -> R,
        node: &'static str,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = aggregating(
            initializer,
            |key: &CK, value: CV, old: V| made_by(node, aggregator(key, value, old)).map(Some),
            never_merged,
            |value| value,
        );
        S::take::<Node, V>(self, functions, cx, next)
    }
}

/// [`WindowedRecord::aggregate_sessions`] of tables whose values are not nullable.
pub trait SessionAggregate<CK, CV, K, V, S> {
    /// `aggregate` by sessions.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    fn aggregate_sessions<Node>(
        self,
        initializer: impl FnMut() -> V,
        aggregator: impl FnMut(&CK, CV, V) -> V,
        merger: impl FnMut(&CK, V, V) -> V,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>;

    /// The same with functions that may fail: then the sessions stay as they are.
    ///
    /// # Errors
    /// As without `try_`, and when a function failed and the handler says to fail.
    fn try_aggregate_sessions<Node, R: AggregateOf<V>, M: AggregateOf<V>>(
        self,
        initializer: impl FnMut() -> V,
        aggregator: impl FnMut(&CK, CV, V) -> R,
        merger: impl FnMut(&CK, V, V) -> M,
        node: &'static str,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>;
}

impl<CK, CV, K, V, S> SessionAggregate<CK, CV, K, V, S> for WindowedRecord<CK, CV, K, V, S>
where
    S: TakesRecords<CK, CV, K, V>,
    CK: Serde,
    V: Serde,
{
    #[inline]
    fn aggregate_sessions<Node>(
        self,
        initializer: impl FnMut() -> V,
        mut aggregator: impl FnMut(&CK, CV, V) -> V,
        mut merger: impl FnMut(&CK, V, V) -> V,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = aggregating(
            initializer,
            |key: &CK, value: CV, old: V| Ok(Some(aggregator(key, value, old))),
            |key: &CK, one: V, other: V| Ok(Some(merger(key, one, other))),
            |value| value,
        );
        S::take::<Node, V>(self, functions, cx, next)
    }

    #[inline]
    fn try_aggregate_sessions<Node, R: AggregateOf<V>, M: AggregateOf<V>>(
        self,
        initializer: impl FnMut() -> V,
        mut aggregator: impl FnMut(&CK, CV, V) -> R,
        mut merger: impl FnMut(&CK, V, V) -> M,
        node: &'static str,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = aggregating(
            initializer,
            |key: &CK, value: CV, old: V| made_by(node, aggregator(key, value, old)).map(Some),
            |key: &CK, one: V, other: V| made_by(node, merger(key, one, other)).map(Some),
            |value| value,
        );
        S::take::<Node, V>(self, functions, cx, next)
    }
}
