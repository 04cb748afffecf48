//! What generated code calls: count, reduce and aggregate by windows, and by sessions.

use super::time::FixedWindows;
use super::{
    AllWindows, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows, WindowOf,
    WindowedTable, Work,
};
use crate::context::TaskContext;
use crate::error::{RecordPart, TaskResult};
use crate::obligations::{DeclaredKey, DeclaredValue};
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
    fn add(&mut self, key: &CK, value: CV, before: Option<A>) -> Option<A>;
    /// As the table's type has it.
    fn declared(&self, aggregate: A) -> V;
}

/// How the aggregates of sessions become one.
pub trait SessionFunctions<CK, CV, A, V>: Functions<CK, CV, A, V> {
    /// Two aggregates as one.
    fn merge(&mut self, key: &CK, one: Option<A>, other: A) -> Option<A>;
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
    G: FnMut(&CK, CV, Option<A>) -> Option<A>,
    D: Fn(A) -> V,
{
    #[inline]
    fn initial(&mut self) -> Option<A> {
        (self.initial)()
    }
    #[inline]
    fn add(&mut self, key: &CK, value: CV, before: Option<A>) -> Option<A> {
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
    fn add(&mut self, key: &CK, value: CV, before: Option<A>) -> Option<A> {
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
    M: FnMut(&CK, Option<A>, A) -> Option<A>,
{
    #[inline]
    fn merge(&mut self, key: &CK, one: Option<A>, other: A) -> Option<A> {
        (self.merge)(key, one, other)
    }
}

/// How a kind of windows takes a record.
pub trait TakesRecords<CK, CV, K, V>: AllWindows {
    /// Updates the windows of a record.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
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
                    return Err(table.unwritable(RecordPart::Key, reason, $cx));
                }
                let $work = Work { table, key: &key, bytes: &bytes, timestamp, headers: &headers };
                let $next = &mut next;
                let done = $take;
                $cx.scratch.wanted = bytes;
                done
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
) -> TaskResult
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
        let functions = Merged {
            functions: Aggregated {
                initial: || Some(0_i64),
                add: |_: &CK, _: CV, count: Option<i64>| {
                    Some(count.unwrap_or_default().wrapping_add(1))
                },
                declared: |count| V::of(count),
            },
            merge: |_: &CK, one: Option<i64>, other: i64| {
                Some(one.unwrap_or_default().wrapping_add(other))
            },
        };
        S::take::<Node, i64>(self, functions, cx, next)
    }

    /// `reduce` by windows: a window's first value is taken as it is.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn reduce<Node>(
        self,
        reducer: impl FnMut(V, V) -> V,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
        V: DeclaredValue<CV, Node>,
    {
        let reducer = std::cell::RefCell::new(reducer);
        let reduced = |old: Option<V>, value: V| match old {
            Some(old) => (reducer.borrow_mut())(old, value),
            None => value,
        };
        let functions = Merged {
            functions: Aggregated {
                initial: || None,
                add: |_: &CK, value: CV, old: Option<V>| Some(reduced(old, V::of(value))),
                declared: |value| value,
            },
            merge: |_: &CK, one: Option<V>, other: V| Some(reduced(one, other)),
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
        mut initializer: impl FnMut() -> A,
        mut aggregator: impl FnMut(&CK, CV, A) -> Option<A>,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<Option<A>>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = Merged {
            functions: Aggregated {
                initial: || Some(initializer()),
                add: |key: &CK, value: CV, old: Option<A>| aggregator(key, value, old?),
                declared: Some,
            },
            merge: |_: &CK, _: Option<A>, other: A| Some(other),
        };
        S::take::<Node, A>(self, functions, cx, next)
    }

    /// `aggregate` by sessions, with functions that may return `None`.
    ///
    /// # Errors
    /// When the store fails, or key or value have no bytes.
    #[inline]
    pub fn aggregate_sessions<Node>(
        self,
        mut initializer: impl FnMut() -> A,
        mut aggregator: impl FnMut(&CK, CV, A) -> Option<A>,
        mut merger: impl FnMut(&CK, A, A) -> Option<A>,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<Option<A>>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = Merged {
            functions: Aggregated {
                initial: || Some(initializer()),
                add: |key: &CK, value: CV, old: Option<A>| aggregator(key, value, old?),
                declared: Some,
            },
            merge: |key: &CK, one: Option<A>, other: A| match one {
                Some(one) => merger(key, one, other),
                None => Some(other),
            },
        };
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
        mut initializer: impl FnMut() -> V,
        mut aggregator: impl FnMut(&CK, CV, V) -> V,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = Merged {
            functions: Aggregated {
                initial: || Some(initializer()),
                add: |key: &CK, value: CV, old: Option<V>| Some(aggregator(key, value, old?)),
                declared: |value| value,
            },
            merge: |_: &CK, _: Option<V>, other: V| Some(other),
        };
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
        mut initializer: impl FnMut() -> V,
        mut aggregator: impl FnMut(&CK, CV, V) -> V,
        mut merger: impl FnMut(&CK, V, V) -> V,
        cx: &mut TaskContext,
        next: impl FnMut(Record<K, Change<V>>, &mut TaskContext) -> TaskResult,
    ) -> TaskResult
    where
        K: WindowedKey<Window: WindowOf<S>> + DeclaredKey<Windowed<CK, K::Window>, Node>,
    {
        let functions = Merged {
            functions: Aggregated {
                initial: || Some(initializer()),
                add: |key: &CK, value: CV, old: Option<V>| Some(aggregator(key, value, old?)),
                declared: |value| value,
            },
            merge: |key: &CK, one: Option<V>, other: V| match one {
                Some(one) => Some(merger(key, one, other)),
                None => Some(other),
            },
        };
        S::take::<Node, V>(self, functions, cx, next)
    }
}
